"""One thread, whatever people, agents, clocks and lost processes do to it: what always holds.

The services and the journal's commit over a database, against a model of the queue and of what
each attempt's sandbox has said. On PostgreSQL too (``tests.on_postgres``).
"""

from __future__ import annotations

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

from sandboxes.providers.base import SandboxEvent
from tests.threads.doubles import DONE, chunk
from tests.threads.promises import assert_whole
from threads import selectors, services
from threads.core.queue import moved
from threads.errors import AlreadyDispatched, ApprovalAnswered, RunOver
from threads.journal import committing
from threads.journal.committing import Missing, Share, StaleFence
from threads.journal.rows import as_rows
from threads.models import Approval, Event, Run, Thread
from threads.run import state as run_state
from threads.services import Answer, QueueChange

NODES = ("A", "B")
WORDS = [
    chunk("start", messageId="r"),
    chunk("text-start", id="t"),
    chunk("text-delta", id="t", delta="a"),
    chunk("text-end", id="t"),
    chunk("tool-input-start", toolCallId="c", toolName="Bash", dynamic=True),
]
LATER = timedelta(days=8)


class AnyLife(RuleBasedStateMachine):
    """``order``: the runs that wait, as the conversation has them. ``said``: what each attempt's
    sandbox has in its journal, by (run, fence)."""

    def __init__(self, say, new_thread, ada):
        super().__init__()
        self.example = transaction.atomic()
        self.example.__enter__()
        self.say, self.ada, self.thread = say, ada, new_thread()
        self.by_key, self.order, self.said = {}, [], {}
        self.ended, self.answered, self.fences, self.stopped = {}, {}, {}, set()

    def teardown(self):
        transaction.set_rollback(True)
        self.example.__exit__(None, None, None)

    @property
    def active(self):
        return Run.objects.filter(thread=self.thread, state__in=run_state.ACTIVE).first()

    def is_working(self):
        return self.active is not None

    # People

    @rule(key=st.sampled_from("abcdef"))
    def post(self, key):
        """A message, perhaps one that was sent before."""
        run = self.say("hi", client_id=key, to=self.thread, approval_level="readonly")
        if key not in self.by_key:
            self.order.append(run.pk)
        assert self.by_key.setdefault(key, run.pk) == run.pk

    @precondition(lambda self: self.by_key)
    @rule(data=st.data(), last=st.booleans())
    def move_and_edit(self, data, last):
        runs = sorted(self.by_key.values())
        run_id = data.draw(st.sampled_from(runs))
        before = None if last else data.draw(st.sampled_from(runs))
        parts = [{"type": "text", "text": "other words"}]
        change = QueueChange(parts=parts, moves=True, before=before)
        waits = run_id in self.order and (before is None or before in self.order)
        try:
            services.change_queued(thread=self.thread, run_id=run_id, change=change, by=self.ada)
        except AlreadyDispatched:
            assert not waits
        else:
            self.order = list(moved(self.order, run_id, before=before))

    @precondition(lambda self: self.by_key)
    @rule(data=st.data())
    def take_back(self, data):
        run_id = data.draw(st.sampled_from(sorted(self.by_key.values())))
        try:
            services.withdraw_queued(thread=self.thread, run_id=run_id, by=self.ada)
        except AlreadyDispatched:
            assert run_id not in self.order
        else:
            self.order = [each for each in self.order if each != run_id]
            self.ended.pop(run_id, None)  # one that was never sent is hidden after its end

    @rule()
    def stop(self):
        running = Run.objects.filter(thread=self.thread, state__in=run_state.UNFINISHED)
        self.stopped |= set(running.values_list("pk", flat=True))
        self.order = []
        services.cancel(thread=self.thread)

    @rule(decision=st.sampled_from(["allow", "deny"]), data=st.data())
    def answer(self, decision, data):
        """An answer to any question there ever was: the first one counts."""
        asked = list(Approval.objects.filter(run__thread=self.thread).order_by("asked_at", "id"))
        if not asked:
            return
        approval = data.draw(st.sampled_from(asked))
        given = {"approval_id": approval.approval_id, "answer": Answer(decision=decision)}
        try:
            services.answer_approval(thread=self.thread, by=self.ada, **given)
        except ApprovalAnswered:
            assert approval.decision
            assert approval.decision != decision
        except RunOver:
            assert approval.run.state in run_state.FINISHED or approval.run_id in self.stopped

    # Processes

    @precondition(lambda self: self.order)
    @rule(node=st.sampled_from(NODES))
    def claim(self, node):
        """The next one goes, unless another is going on."""
        is_free = not self.is_working()
        assert services.claim_run(run_id=self.order[0], node=node) is is_free
        if is_free:
            self.order = self.order[1:]

    @precondition(is_working)
    @rule()
    def requeue(self):
        run = self.active
        if services.requeue_run(run_id=run.pk):
            assert (run.state, run.last_n) == (run_state.DISPATCHED, 0)
            self.order.insert(0, run.pk)

    @precondition(is_working)
    @rule(node=st.sampled_from(NODES), joins=st.booleans())
    def lose_the_holder(self, node, joins):
        """Its lease lapses; who takes over joins the attempt, or begins the next one."""
        run = self.active
        services.release_leases(node=run.node)
        assert services.take_over(run_id=run.pk, node=node)
        assert not services.take_over(run_id=run.pk, node=node)
        if not joins:
            services.restart_run(run_id=run.pk, fence=run.fence, node=node)

    @precondition(is_working)
    @rule()
    def fail(self):
        services.finish_run(run_id=self.active.pk, state="failed", code="internal_error")

    @rule()
    def sweep(self):
        """Much later: what is silent, overdue or old goes."""
        now = timezone.now() + LATER
        services.end_overdue_stops(now=now)
        services.end_stuck_runs(now=now)
        services.prune_events(now=now)

    # Agents

    @precondition(lambda self: self.fences)
    @rule(words=st.lists(st.sampled_from(WORDS), max_size=3), data=st.data())
    def append(self, words, data):
        """An attempt, perhaps one that is lost or over, says more, perhaps not from the next
        number."""
        run = data.draw(st.sampled_from(sorted(self.fences)))
        fence = max(1, self.fences[run] - data.draw(st.sampled_from([0, 0, 0, 1])))
        if run in self.order:
            return  # nobody follows it
        self.said.setdefault((run, fence), []).extend(words)
        self.send(run, fence, behind=data.draw(st.sampled_from([0, 0, 1, 2])))

    @precondition(is_working)
    @rule()
    def ask(self):
        run = self.active
        said = self.said.setdefault((run.pk, run.fence), [])
        # With the run's id in it, as adapters name their questions: an answer names no run.
        name = f"{run.pk}:{run.fence}-{len(said)}"
        request = chunk("tool-approval-request", approvalId=name, toolCallId="c")
        said.append({**request, "approval": {"tool": "Bash", "input": {"command": "rm"}}})
        self.send(run.pk, run.fence)

    @precondition(is_working)
    @rule(data=st.data())
    def apply(self, data):
        """The agent does as it was told; the sandbox may say so twice."""
        run = self.active
        answered = Approval.objects.filter(
            run=run, approval_id__startswith=f"{run.pk}:{run.fence}-", answered_at__isnull=False
        )
        if not answered:
            return
        names = sorted(answered.values_list("approval_id", flat=True))
        told = {"type": "approval-applied", "approvalId": data.draw(st.sampled_from(names))}
        self.said[run.pk, run.fence].append(told)
        self.send(run.pk, run.fence)

    @precondition(is_working)
    @rule(abrupt=st.booleans())
    def finish(self, abrupt):
        run = self.active
        last = [DONE] if abrupt else [chunk("finish"), DONE]
        self.said.setdefault((run.pk, run.fence), []).extend(last)
        self.send(run.pk, run.fence)

    def send(self, run_id, fence, behind=0):
        """Commit what the attempt has said behind what ours knows, or ``behind`` numbers off."""
        row = Run.objects.get(pk=run_id)
        said = self.said[run_id, fence]
        after = max(0, row.last_n - 1) if behind == 1 else row.last_n + (behind == 2)
        events = [SandboxEvent(n, body) for n, body in enumerate(said, 1) if n > after]
        [outcome] = committing.commit([Share(run_id, fence, events)])
        if fence != row.fence:
            assert isinstance(outcome.error, StaleFence)
        elif events and behind == 2:
            assert isinstance(outcome.error, Missing)
        else:
            assert outcome.error is None
            assert outcome.last_n == max([row.last_n, *(event.n for event in events)])

    # What always holds

    @invariant()
    def the_journal_is_whole_and_one_run_is_active(self):
        assert_whole(self.thread)

    @invariant()
    def what_waits_is_in_its_order(self):
        assert [run.pk for run in selectors.list_queue(thread=self.thread)] == self.order

    @invariant()
    def what_is_over_stays_over_and_says_no_more(self):
        for run in self.thread.runs.filter(state__in=run_state.FINISHED).select_related("answer"):
            facts = (run.state, run.error_code, run.answer_id, run.finished_at, run.answer.parts)
            assert self.ended.setdefault(run.pk, facts) == facts
            last = Event.objects.filter(run=run).order_by("seq").last()
            assert last is None or last.seq == run.answer.seq

    @invariant()
    def stop_wins(self):
        over = Run.objects.filter(pk__in=self.stopped, state__in=run_state.FINISHED)
        assert set(over.values_list("state", flat=True)) <= {run_state.CANCELLED}

    @invariant()
    def fences_grow(self):
        for run in self.thread.runs.filter(fence__gt=0):
            assert run.fence >= self.fences.get(run.pk, 0)
            self.fences[run.pk] = run.fence

    @invariant()
    def an_answer_counts_once(self):
        for approval in Approval.objects.filter(run__thread=self.thread, answered_at__isnull=False):
            facts = (approval.decision, approval.answered_at)
            assert self.answered.setdefault(approval.pk, facts) == facts
        applied = Event.objects.filter(thread=self.thread, chunk__contains='"state":"applied"')
        told = [row.chunk for row in as_rows(applied)]
        names = [each["data"]["approvalId"] for each in told]
        assert len(names) == len(set(names))


@pytest.mark.thorough
@pytest.mark.django_db
def test_any_life_of_a_thread_keeps_every_promise(say, ada, org, agent, settings_of_pytest):
    def new_thread():
        thread = services.create_thread(owner=ada, organization=org, agent=agent)
        pins = {"sandbox_provider_kind": "docker", "harness_id": "demo", "branch": "main"}
        Thread.objects.filter(pk=thread.pk).update(**pins)
        return thread

    run_state_machine_as_test(
        lambda: AnyLife(say, new_thread, ada),
        settings=settings(
            max_examples=12,
            stateful_step_count=30,
            deadline=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        ),
    )


@pytest.fixture
def settings_of_pytest(settings):
    settings.MESH_SANDBOX_KINDS = ["docker"]
