"""A thread that is deleted, restored and purged, while its agent speaks and processes crash.

The services and the journal's commit over a database, against a model of what is to be there. On
PostgreSQL too (``tests.on_postgres``).
"""

from __future__ import annotations

import contextlib
from datetime import timedelta

import pytest
from django.db import transaction
from django.utils import timezone
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from mesh.selectors import NotFound
from sandboxes.providers.base import SandboxEvent
from tests.threads.doubles import DONE, chunk
from tests.threads.promises import assert_whole
from threads import selectors, services
from threads.errors import ThreadPurged
from threads.journal import committing
from threads.journal.committing import Refused, Share
from threads.models import Event, Message, Run, Thread
from threads.run import state as run_state

KEEP = timedelta(days=7)
WORDS = [chunk("text-start", id="t"), chunk("text-delta", id="t", delta="a")]
pytestmark = [pytest.mark.django_db, pytest.mark.thorough]


class PowerCut(Exception):
    """The process is gone in the middle of a transaction."""


class AnyDeletion(RuleBasedStateMachine):
    """``age``: how long ago the thread was deleted; ``None`` while it is not. ``has_begun``: some
    of its rows are gone. ``prompts``: the messages that must be there as long as it is whole."""

    def __init__(self, say, new_thread, ada, org):
        super().__init__()
        self.example = transaction.atomic()
        self.example.__enter__()
        self.say, self.ada, self.org, self.thread = say, ada, org, new_thread()
        self.age, self.has_begun, self.is_gone = None, False, False
        self.keys, self.run, self.n = set(), None, 0

    def teardown(self):
        transaction.set_rollback(True)
        self.example.__exit__(None, None, None)

    # People

    @rule(key=st.sampled_from("abc"))
    def post(self, key):
        try:
            self.say("hi", client_id=key, to=self.thread)
        except NotFound:
            assert self.age is not None
        else:
            assert self.age is None
            self.keys.add(key)

    @rule(days=st.sampled_from([0, 8, 40]))
    def delete(self, days):
        """As the page does, which has read the thread before; then some time passes."""
        try:
            services.delete_thread(thread=self.thread)
        except NotFound:
            assert self.is_gone
        else:
            assert not self.is_gone
            self.age = timedelta(0) if self.age is None else self.age
            self.wait(days)

    @rule()
    def restore(self):
        try:
            services.restore_thread(owner=self.ada, organization=self.org, thread_id=self.thread.pk)
        except NotFound:
            assert self.is_gone
        except ThreadPurged:
            assert self.has_begun or self.age >= KEEP
        else:
            assert self.age is None or (self.age < KEEP and not self.has_begun)
            self.age = None

    @rule()
    def rename(self):
        with contextlib.suppress(NotFound):
            services.rename_thread(thread=self.thread, title="x")
            assert not self.is_gone

    def wait(self, days):
        self.age += timedelta(days=days)
        at = timezone.now() - self.age
        Thread.objects.filter(pk=self.thread.pk).update(deleted_at=at)

    # Processes

    @precondition(lambda self: not self.is_gone)
    @rule()
    def claim(self):
        queued = Run.objects.filter(thread=self.thread, state=run_state.QUEUED).first()
        if queued is not None and services.claim_run(run_id=queued.pk):
            self.run, self.n = queued.pk, 0

    @precondition(lambda self: self.run is not None)
    @rule(ends=st.booleans())
    def speak(self, ends):
        """The agent's next words, however late they are."""
        words = [*WORDS, DONE] if ends else WORDS
        events = [SandboxEvent(self.n + place, body) for place, body in enumerate(words, 1)]
        before = Event.objects.count()
        (outcome,) = committing.commit([Share(self.run, 1, events)])
        if outcome.error is None:
            self.n = max(self.n, outcome.last_n)
        else:
            assert isinstance(outcome.error, Refused)
            assert Event.objects.count() == before

    @rule()
    def end_stops(self):
        services.end_overdue_stops(now=timezone.now() + timedelta(minutes=1))

    @rule()
    def tell_the_machine(self):
        for run in Run.objects.filter(stop_due_at__isnull=False):
            services.mark_stop_delivered(run_id=run.pk)

    @rule(days=st.sampled_from([0, 1, 8]), batches=st.integers(1, 8), cut=st.booleans())
    def purge(self, days, batches, cut):
        """Some batches, after some days; perhaps the power fails before one is committed."""
        if self.age is not None and not self.is_gone:
            self.wait(days)
        for _ in range(batches):
            self.purge_batch(cut)

    def purge_batch(self, cut):
        at_work = Run.objects.filter(thread=self.thread, state__in=run_state.UNFINISHED).exists()
        count = 0
        with contextlib.suppress(PowerCut), transaction.atomic():
            count = services.purge_deleted(now=timezone.now())
            if cut:
                raise PowerCut
        if count:
            assert self.has_begun or self.age >= KEEP
            assert not at_work
        if count and not cut:
            self.has_begun = True
            self.is_gone = not Thread.objects.filter(pk=self.thread.pk).exists()

    # What always holds

    @invariant()
    def it_is_whole_or_on_its_way_out(self):
        if self.is_gone:
            for model in (Message, Run, Event):
                assert not model.objects.filter(thread=self.thread.pk).exists()
        elif not self.has_begun:
            assert_whole(self.thread)
            prompts = Message.objects.filter(thread=self.thread, role="user")
            assert set(prompts.values_list("client_id", flat=True)) == self.keys

    @invariant()
    def its_owner_sees_it_unless_it_is_deleted(self):
        seen = selectors.find_thread(viewer=self.ada, thread_id=self.thread.pk)
        assert (seen is not None) == (self.age is None)


def test_any_deletion(say, ada, org, agent):
    def new_thread():
        return services.create_thread(owner=ada, organization=org, agent=agent)

    run_state_machine_as_test(
        lambda: AnyDeletion(say, new_thread, ada, org),
        settings=settings(
            max_examples=30,
            stateful_step_count=30,
            phases=[Phase.explicit, Phase.reuse, Phase.generate],
            suppress_health_check=list(HealthCheck),
        ),
    )
