"""Two processes at the same row at the same moment, on either database: one of them has it."""

from __future__ import annotations

import random
from collections import Counter
from datetime import timedelta

import pytest
from django.utils import timezone

from sandboxes.providers.base import SandboxEvent
from tests.threads.doubles import DONE, a_turn, chunk
from tests.threads.races import at_once
from threads import committing, selectors, services
from threads.committing import Share
from threads.core import run_state
from threads.core.fold import fold
from threads.models import Event, Message, Run, Thread

pytestmark = pytest.mark.django_db(transaction=True)

TURNS = range(5)
ROLES = 4


def numbered(*bodies, start=1):
    return [SandboxEvent(n, body) for n, body in enumerate(bodies, start)]


def finishes(run):
    texts = Event.objects.filter(run=run).values_list("chunk", flat=True)
    return sum('"type":"finish"' in text for text in texts)


def assert_whole(thread):
    """No gap, nothing twice, one active run, and what is stored is what was told."""
    seqs = list(Event.objects.filter(thread=thread).order_by("seq").values_list("seq", flat=True))
    last = Thread.objects.values_list("last_seq", flat=True).get(pk=thread.pk)
    assert seqs == list(range(1, last + 1))
    produced = Event.objects.filter(thread=thread, n__isnull=False)
    assert max(Counter(produced.values_list("run", "fence", "n")).values(), default=1) == 1
    assert thread.runs.filter(state__in=run_state.ACTIVE).count() <= 1
    for run in thread.runs.filter(state__in=run_state.FINISHED).select_related("answer"):
        told = selectors._as_rows(Event.objects.filter(run=run).order_by("seq"))
        assert run.answer.parts == fold(row.chunk for row in told).parts()
        assert finishes(run) == 1


@pytest.mark.parametrize("turn", TURNS)
def test_one_message_sent_twice(say, thread, turn):
    runs = at_once(*[lambda: say("hi", client_id="c1")] * ROLES)

    assert len({run.pk for run in runs}) == 1
    assert Message.objects.count() == Run.objects.count() == 1
    assert_whole(thread)


@pytest.mark.parametrize("turn", TURNS)
def test_different_messages(say, thread, turn):
    runs = at_once(*[lambda n=n: say("hi", client_id=f"c{n}") for n in range(ROLES)])

    assert len({run.pk for run in runs}) == ROLES
    assert_whole(thread)


@pytest.mark.parametrize("turn", TURNS)
def test_a_claim(say, thread, turn):
    first, second = say("a"), say("b")
    claims = [lambda run=run: services.claim_run(run_id=run.pk) for run in (first, second)]

    assert sorted(at_once(*claims * 2)) == [False, False, False, True]
    assert_whole(thread)


@pytest.mark.parametrize("turn", TURNS)
def test_a_take_over(say, served, turn):
    run = say()
    services.claim_run(run_id=run.pk, node="lost")
    services.release_leases(node="lost")

    takes = [lambda n=n: services.take_over(run_id=run.pk, node=f"n{n}") for n in range(ROLES)]

    assert sorted(at_once(*takes)) == [False, False, False, True]


@pytest.mark.parametrize("turn", TURNS)
def test_a_new_attempt_and_the_events_of_the_old_one(say, served, turn):
    """What the old attempt brings in is before the new one, or refused."""
    run = say()
    services.claim_run(run_id=run.pk, node="A")
    commit = committing.commit

    started, [outcome] = at_once(
        lambda: services.restart_run(run_id=run.pk, fence=1, node="A"),
        lambda: commit([Share(run.pk, 1, numbered(*a_turn("old")[:3]))]),
    )

    assert started is True
    again = numbered(*a_turn("new"))
    assert commit([Share(run.pk, 2, again)])[0].is_over
    run.refresh_from_db()
    said = [part["text"] for part in run.answer.parts if part["type"] == "text"]
    assert said == ["new"], outcome
    assert_whole(served)


@pytest.mark.parametrize("turn", TURNS)
def test_an_end_and_a_stop(say, thread, turn):
    run = say()
    services.claim_run(run_id=run.pk)

    at_once(
        lambda: committing.commit([Share(run.pk, 1, numbered(*a_turn("a")))]),
        lambda: services.cancel(thread=thread),
        lambda: services.finish_run(run_id=run.pk, state="cancelled"),
    )

    run.refresh_from_db()
    assert run.state in ("completed", "cancelled")
    assert_whole(thread)


@pytest.mark.parametrize("turn", TURNS)
def test_two_sweeps(say, thread, link, turn):
    stuck, late = say("a"), say("b", may_wait=True)
    services.claim_run(run_id=stuck.pk)
    ago = timezone.now() - timedelta(days=4)
    Run.objects.filter(pk=stuck.pk).update(progress_at=ago)
    now = timezone.now()

    ended = at_once(*[lambda: services.end_stuck_runs(now=now)] * 2)
    type(link).objects.update(offline_after=None)
    Run.objects.filter(pk=late.pk).update(expires_at=ago)
    expired = at_once(*[lambda: services.expire_queued_runs(now=now)] * 2)

    assert (sorted(ended), sorted(expired)) == ([0, 1], [0, 1])
    assert_whole(thread)


@pytest.mark.parametrize("turn", TURNS)
def test_two_ends_by_the_server(say, thread, turn):
    run = say()
    services.claim_run(run_id=run.pk)
    end = [
        lambda code=code: services.finish_run(run_id=run.pk, state="failed", code=code)
        for code in ("stuck", "internal_error")
    ]

    assert sorted(at_once(*end)) == [False, True]
    assert_whole(thread)


class AnyLife:
    """What may happen to a thread, each thing at random; each step keeps what is promised."""

    def __init__(self, say, thread, seed):
        self.say, self.thread, self.random = say, thread, random.Random(seed)
        self.said: dict[tuple, list] = {}  # what each attempt has produced
        self.ended: dict = {}

    def pick(self, *states):
        found = list(self.thread.runs.filter(state__in=states))
        return self.random.choice(found) if found else None

    def post(self):
        self.say("hi", client_id=f"c{self.random.randrange(6)}")

    def claim(self):
        if run := self.pick(run_state.QUEUED):
            services.claim_run(run_id=run.pk, node="A")

    def speak(self):
        """An attempt says more, perhaps from an older number, or from too new a one."""
        run = self.pick(*run_state.UNFINISHED, *run_state.FINISHED)
        if run is None or not run.fence:
            return
        fence = self.random.randint(1, run.fence)
        said = self.said.setdefault((run.pk, fence), [])
        bodies = [chunk("text-delta", id="t", delta="a"), chunk("start"), chunk("start-step")]
        said += self.random.choices(bodies, k=self.random.randrange(4))
        if self.random.random() < 0.15:
            said += [chunk("finish"), DONE]
        start = self.random.randint(0, len(said))
        if self.random.random() < 0.1:
            start += 1
        events = [SandboxEvent(n, body) for n, body in enumerate(said, 1) if n > start]
        committing.commit([Share(run.pk, fence, events)])

    def stop(self):
        services.cancel(thread=self.thread)

    def end(self):
        if run := self.pick(*run_state.UNFINISHED, *run_state.FINISHED):
            services.finish_run(run_id=run.pk, state="failed", code="internal_error")

    def requeue(self):
        if run := self.pick(*run_state.ACTIVE):
            services.requeue_run(run_id=run.pk)

    def restart(self):
        if run := self.pick(*run_state.ACTIVE):
            services.restart_run(run_id=run.pk, fence=run.fence, node="A")

    def step(self):
        steps = [self.post, self.claim, self.speak, self.requeue, self.restart, self.stop, self.end]
        self.random.choices(steps, weights=[2, 4, 12, 1, 2, 1, 1])[0]()

    def check(self):
        assert_whole(self.thread)
        for run in self.thread.runs.filter(state__in=run_state.FINISHED):
            facts = (run.state, run.error_code, run.answer_id, run.finished_at)
            assert self.ended.setdefault(run.pk, facts) == facts  # what is over stays over


@pytest.mark.parametrize("seed", range(12))
def test_any_life_of_a_thread_keeps_every_promise(say, served, seed):
    life = AnyLife(say, served, seed)
    for _ in range(40):
        life.step()
        life.check()


@pytest.mark.parametrize("turn", TURNS)
def test_a_thread_deleted_while_its_agent_speaks(say, thread, turn):
    """The database itself does not look for an event's thread: the lock must."""
    run = say()
    services.claim_run(run_id=run.pk)
    share = Share(run.pk, 1, numbered(*[chunk("text-delta", id="t", delta="x")] * 50))

    at_once(lambda: committing.commit([share]), thread.delete, lambda: committing.commit([share]))

    assert Thread.objects.count() == Event.objects.count() == 0
    assert isinstance(committing.commit([share])[0].error, committing.Refused)
