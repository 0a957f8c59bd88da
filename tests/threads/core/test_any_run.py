"""The invariants of one run under any agent output and any loss, repetition or delay.

What a process keeps in its memory is thrown away after each batch: the next decision knows what
rows know. ``test_any_life.py`` does the like with the services and a database.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from sandboxes.providers.base import SandboxEvent
from tests.examples import up_to
from tests.threads.doubles import DONE, chunk
from threads.core.decide import (
    ABORTED,
    ANSWERED_ELSEWHERE,
    DIED,
    RESUMPTIONS,
    Gap,
    Question,
    RunFacts,
    decide,
)
from threads.core.fold import SETTLED, closing, fold
from threads.core.rules import Policy, Rule
from threads.run import state as run_state
from threads.run.state import AFTER, FINISHED

ALLOWED = Rule("Bash", "command", "ls")


def status(state):
    return {"type": "data-run-status", "state": state}


def ask(approval_id, command="rm"):
    return {
        **chunk("tool-approval-request", approvalId=approval_id, toolCallId="c"),
        "approval": {"tool": "Bash", "input": {"command": command}},
    }


def error(code):
    return {"type": "error", "code": code, "message": "It broke."}


BODIES = st.sampled_from(
    [
        chunk("start", messageId="r"),
        chunk("start-step"),
        chunk("text-start", id="t"),
        *[chunk("text-delta", id=part, delta="x") for part in "tu"],
        chunk("text-end", id="t"),
        chunk("tool-input-start", toolCallId="c", toolName="Bash", dynamic=True),
        chunk("tool-output-available", toolCallId="c", output="done"),
        chunk("data-thread-title", data={"title": "A title"}, transient=True),
        chunk("message-metadata", messageMetadata={"codingAgentSessionId": "s"}),
        chunk("abort"),
        chunk("finish", messageMetadata={"usage": {"n": 1}}),
        chunk("finish", finishReason="error"),
        *[ask(name) for name in "ab"],
        ask("c", "ls"),  # a rule allows it
        *[{"type": "approval-applied", "approvalId": name} for name in "abc"],
        *[{"type": "approval-withdrawn", "approvalId": name} for name in "abc"],
        *[{"type": f"steer-{what}", "steerId": "s"} for what in ("taken", "applied", "refused")],
        error("harness_crashed"),
        error(DIED),
        DONE,
        chunk("finish-step"),
        {"type": "ui-message-chunk"},
        {"type": "telepathy"},
        {},
    ]
)

# Sequences that agents and sandboxes really send; by chance alone they would be rare.
SESSION = chunk("message-metadata", messageMetadata={"codingAgentSessionId": "s"})
IN_A_ROW = st.sampled_from(
    [
        [chunk("start", messageId="r"), SESSION, ask("a")],
        [SESSION, ask("b"), error(DIED), chunk("finish"), DONE],
        [error(DIED), chunk("finish"), DONE],
        [chunk("finish"), DONE],
        [chunk("finish"), DONE, chunk("text-delta", id="t", delta="late"), chunk("finish"), DONE],
        [error("harness_crashed"), DONE],
        [DONE],
    ]
)


def is_possible(body, said):
    """Sandboxes number their questions, and apply an answer once."""
    once = "approval" in body or body.get("type") == "approval-applied"
    return not once or body not in said


def end_of(before, decision):
    """Return the state in which the decision ends the run, if it does."""
    return decision.move.state if decision.move.ends and before.state not in FINISHED else ""


class AnyRun(RuleBasedStateMachine):
    """``said``: what each attempt's sandbox has in its journal; ``kept``: ours, as (fence, n,
    chunk)."""

    def __init__(self):
        super().__init__()
        policy = Policy(rules=[ALLOWED])
        self.row = RunFacts("dispatched", 0, policy=policy, can_resume=True)
        self.fence = 1
        self.said = {1: []}
        self.kept = []
        self.ends = []
        self.was_stopped_before_its_end = False

    # What the agent and the network do

    @rule(bodies=st.lists(BODIES, min_size=1, max_size=6) | IN_A_ROW, data=st.data())
    def say(self, bodies, data):
        """An attempt, the current or a lost one, sends more; mostly it arrives."""
        fence = self.fence - data.draw(st.sampled_from([0, 0, 0, 1])) or 1
        for body in bodies:
            if is_possible(body, self.said[fence]):
                self.said[fence].append(body)
        if data.draw(st.integers(0, 3)):
            self.deliver(fence, 0)

    @precondition(lambda self: self.row.waits_for)
    @rule()
    def die_while_a_person_is_asked(self):
        self.said[self.fence] += [error(DIED), chunk("finish"), DONE]
        self.deliver(self.fence, 0)

    @rule(data=st.data())
    def send_again(self, data):
        """A stream restarts from any number that was committed."""
        fence = data.draw(st.integers(1, self.fence))
        self.deliver(fence, data.draw(st.integers(0, len(self.said[fence]))))

    @rule(body=BODIES, ahead=st.integers(2, 5))
    def lose_one(self, body, ahead):
        before = self.row
        with pytest.raises(Gap):
            decide(before, [SandboxEvent(before.last_n + ahead, body)], status=status)

    def deliver(self, fence, after):
        """As ``committing.commit`` does it."""
        events = [SandboxEvent(n, body) for n, body in enumerate(self.said[fence], 1) if n > after]
        if fence != self.fence:
            return  # a stale fence
        if after > self.row.last_n and events:
            with pytest.raises(Gap):
                decide(self.row, events, status=status)
            return
        self.keep(decide(self.row, events, status=status))

    def keep(self, decision):
        before = self.row
        self.check_states(before, decision)
        if before.state in FINISHED:
            assert (decision.chunks, decision.move.state, decision.asked) == ([], before.state, [])
        end = end_of(before, decision)
        if end and not decision.move.is_told:
            assert (end, decision.move.code) == ("failed", ANSWERED_ELSEWHERE)
        elif end:  # events after "done" are only counted
            last = self.said[self.fence].index(DONE) + 1
            assert all(n is None or n <= last for _, n in decision.chunks)
        asked = {
            each.approval_id: Question(each.tool_call_id)
            for each in decision.asked
            if each.answered_by is None
        }
        self.kept += [(self.fence, n, one) for one, n in decision.chunks]
        self.row = replace(
            before,
            state=decision.move.state,
            last_n=decision.last_n,
            error_code=decision.move.code,
            error_text=decision.move.text,
            waits_for={
                name: question
                for name, question in {**before.waits_for, **asked}.items()
                if name not in {*decision.applied, *decision.withdrawn}
            },
            has_session=before.has_session or bool(decision.session_ref),
        )
        if end:
            self.end(end)
            if decision.finish:
                self.kept.append((self.fence, decision.finish[1], decision.finish[0]))
        elif decision.move.begins_anew:
            self.row = replace(self.row, resumptions=before.resumptions + 1)
            self.next_attempt()

    def check_states(self, before, decision):
        path = [before.state, *(one["state"] for one, n in decision.chunks if n is None)]
        for earlier, later in pairwise([*path, *filter(None, [end_of(before, decision)])]):
            assert later in AFTER[earlier], (earlier, later)

    # What the server does

    @precondition(lambda self: self.row.waits_for)
    @rule(decision=st.sampled_from(["allow", "deny"]), data=st.data())
    def answer(self, decision, data):
        """A person answers; agents then report that they have the answer, some without one."""
        name = data.draw(st.sampled_from(sorted(self.row.waits_for)))
        question = self.row.waits_for[name]
        given = {name: replace(question, decision=question.decision or decision)}
        self.row = replace(self.row, waits_for={**self.row.waits_for, **given})

    def end(self, state):
        self.ends.append(state)
        self.was_stopped_before_its_end = self.row.is_stopping
        for one in closing(fold(one for _, _, one in self.kept)):
            self.kept.append((self.fence, None, one))

    def next_attempt(self):
        self.fence += 1
        self.said[self.fence] = []
        self.row = replace(
            self.row,
            state="dispatched",
            last_n=0,
            error_code="",
            error_text="",
            waits_for={},
        )

    @precondition(lambda self: self.row.state not in FINISHED)
    @rule()
    def stop(self):
        self.row = replace(self.row, is_stopping=True)

    @precondition(lambda self: self.row.state in run_state.ACTIVE and not self.row.is_stopping)
    @rule()
    def lose_the_process(self):
        """No process has the attempt any more; see ``services.restart_run``."""
        self.kept.append((self.fence, None, {"type": "data-run-restarted", "data": {}}))
        self.next_attempt()

    # What always holds

    @invariant()
    def it_ends_once_and_stays_so(self):
        assert self.ends == ([self.row.state] if self.row.state in FINISHED else [])

    @invariant()
    def who_is_stopped_is_cancelled(self):
        if self.was_stopped_before_its_end:
            assert self.row.state == run_state.CANCELLED

    @invariant()
    def numbers_grow_within_an_attempt_and_attempts_grow(self):
        """Except for the last chunk, which waits for all others."""
        numbered = [(fence, n) for fence, n, _ in self.kept if n is not None]
        assert len(set(numbered)) == len(numbered)
        inner = [(fence, n) for fence, n, one in self.kept if n and one.get("type") != "finish"]
        assert inner == sorted(inner)
        assert self.row.last_n <= len(self.said[self.fence])

    @invariant()
    def it_waits_exactly_while_a_question_is_open(self):
        if self.row.state not in FINISHED:
            assert (self.row.state == run_state.WAITING) == bool(self.row.waits_for)

    @invariant()
    def nothing_fails_without_a_code_and_nothing_else_keeps_one(self):
        if self.row.state in FINISHED:
            assert bool(self.row.error_code) == (self.row.state == run_state.FAILED)
            assert self.row.error_code != ABORTED

    @invariant()
    def it_is_asked_to_go_on_only_so_often(self):
        assert self.row.resumptions <= RESUMPTIONS

    @invariant()
    def what_is_read_live_is_what_is_stored(self):
        live = fold(())
        for _, _, one in self.kept:
            live.apply(one)
            live.parts()  # reading in between changes nothing
        stored = fold(one for _, _, one in self.kept)
        assert live.parts() == stored.parts()
        if self.ends:
            tools = [part for part in stored.parts() if "toolCallId" in part]
            assert all(part["state"] in SETTLED for part in tools)


TestAnyRun = AnyRun.TestCase
TestAnyRun.settings = settings(max_examples=up_to(80), stateful_step_count=20)
