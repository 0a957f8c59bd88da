"""The effect of events on a run; arbitrary sequences are in ``test_any_run.py``."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandboxes.providers.base import SandboxEvent
from tests.threads.doubles import DONE, a_turn, chunk
from threads.core.decide import HOLD_LIMIT, OURS, Gap, Question, RunFacts, decide, hold_from
from threads.journal import chunks
from threads.run.state import FINISHED


def events(*bodies, start=1):
    return [SandboxEvent(n, body) for n, body in enumerate(bodies, start)]


def status(state):
    return {"type": "data-run-status", "state": state}


def of(state="dispatched", last_n=0, **more):
    return RunFacts(state=state, last_n=last_n, **more)


def ask(approval_id="a"):
    return {
        **chunk("tool-approval-request", approvalId=approval_id, toolCallId="c"),
        "approval": {"tool": "Bash", "input": {"command": "ls"}},
    }


ERROR = {"type": "error", "code": "harness_crashed", "message": "It crashed."}

ENDS = [
    ("finished", of(), a_turn("x"), "completed", ""),
    ("an error, told", of(), [ERROR, chunk("finish"), DONE], "failed", "harness_crashed"),
    ("an error, told late", of(), [chunk("finish"), ERROR, DONE], "failed", "harness_crashed"),
    ("an error of an earlier batch", of(error_code="x"), [chunk("finish"), DONE], "failed", "x"),
    ("only the finish says so", of(), a_turn(finishReason="error"), "failed", "harness_crashed"),
    ("nothing at all", of(), [DONE], "failed", "stream_truncated"),
    ("no finish", of(), [chunk("start"), DONE], "failed", "stream_truncated"),
    ("told to stop", of(is_stopping=True), a_turn("x"), "cancelled", ""),
    ("told to stop, and crashed", of(is_stopping=True), [ERROR, DONE], "cancelled", ""),
    ("stopped by itself", of(), [chunk("abort"), chunk("finish"), DONE], "cancelled", ""),
    ("an error, then aborted", of(), [ERROR, chunk("abort"), DONE], "failed", "harness_crashed"),
]


@pytest.mark.parametrize(
    ("run", "bodies", "end", "code"), [pytest.param(*case, id=name) for name, *case in ENDS]
)
def test_how_a_run_ends(run, bodies, end, code):
    decision = decide(run, events(*bodies), status=status)

    assert (decision.move.state, decision.move.code, decision.move.is_told) == (end, code, True)


def test_the_first_chunk_sets_it_running():
    decision = decide(of(), events(chunk("start")), status=status)

    assert decision.move.state == "running"
    assert [c["type"] for c, _ in decision.chunks] == ["data-run-status", "start"]


def test_a_question_makes_it_wait_until_the_answer_is_applied():
    asked = decide(of("running"), events(ask()), status=status)
    assert (asked.move.state, asked.asked[0].input) == ("waiting", {"command": "ls"})

    facts = of("waiting", 1, waits_for={"a": Question("c", "allow")})
    applied = {"type": "approval-applied", "approvalId": "a", "decision": "allow"}
    answered = decide(facts, events(applied, start=2), status=status)
    assert (answered.move.state, answered.applied) == ("running", ["a"])


APPLIED = {"type": "approval-applied", "approvalId": "a", "decision": "allow"}
RAN = chunk("tool-output-available", toolCallId="c", output="done")


@pytest.mark.parametrize(
    ("decision", "body"),
    [
        pytest.param("", APPLIED, id="nobody has answered"),
        pytest.param("deny", APPLIED, id="it was answered the other way"),
        pytest.param("allow", APPLIED | {"decision": "deny"}, id="and the other way round"),
        pytest.param("", RAN, id="the tool ran without an answer"),
    ],
)
def test_an_answer_that_is_not_ours_stops_the_run(decision, body):
    facts = of("waiting", 1, waits_for={"a": Question("c", decision)})

    stopped = decide(facts, events(body, chunk("finish"), DONE, start=2), status=status)

    assert (stopped.move.state, stopped.move.code) == ("failed", "answered_elsewhere")
    assert not stopped.move.is_told
    assert (stopped.applied, stopped.last_n) == ([], 4)


WITHDRAWN = {"type": "approval-withdrawn", "approvalId": "a"}


@pytest.mark.parametrize("answer", ["", "allow", "deny"])
def test_a_question_that_the_agent_takes_back_is_waited_for_no_longer(answer):
    facts = of("waiting", 1, waits_for={"a": Question("c", answer)})

    decision = decide(facts, events(WITHDRAWN, RAN, start=2), status=status)

    assert (decision.move.state, decision.move.code) == ("running", "")
    assert (decision.withdrawn, decision.applied) == (["a"], [])


def test_another_open_question_is_still_waited_for():
    waits_for = {"a": Question("c"), "b": Question("d")}

    decision = decide(
        of("waiting", 1, waits_for=waits_for), events(WITHDRAWN, start=2), status=status
    )

    assert decision.move.state == "waiting"


def test_what_was_answered_in_the_same_batch_is_not_taken_back():
    facts = of("waiting", 1, waits_for={"a": Question("c", "allow")})

    decision = decide(facts, events(APPLIED, WITHDRAWN, start=2), status=status)

    assert (decision.applied, decision.withdrawn) == (["a"], [])


@pytest.mark.parametrize("early", [APPLIED, WITHDRAWN])
def test_what_is_said_of_a_question_before_it_is_asked_is_not_about_it(early):
    decision = decide(of("running"), events(early, early, ask()), status=status)

    assert (decision.move.state, decision.applied, decision.withdrawn) == ("waiting", [], [])


def test_a_question_answered_before_the_server_saw_it_stops_the_run():
    stopped = decide(of("running"), events(ask(), APPLIED), status=status)

    assert (stopped.move.code, [each.approval_id for each in stopped.asked]) == (
        "answered_elsewhere",
        ["a"],
    )


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(chunk("tool-output-available", toolCallId="d", output=""), id="another call"),
        pytest.param(chunk("tool-output-error", toolCallId="c", errorText="no"), id="it failed"),
        pytest.param(chunk("tool-output-denied", toolCallId="c"), id="it was not made"),
    ],
)
def test_other_chunks_of_a_waiting_agent_do_not_stop_the_run(body):
    facts = of("waiting", 1, waits_for={"a": Question("c")})

    assert not decide(facts, events(body, start=2), status=status).move.ends


def test_a_run_that_is_being_stopped_may_send_anything():
    facts = of("waiting", 1, waits_for={"a": Question("c")}, is_stopping=True)

    assert not decide(facts, events(APPLIED, RAN, start=2), status=status).move.ends


def test_a_run_waits_while_one_question_is_open():
    facts = of("waiting", 0, waits_for={"a": Question("c", "deny"), "b": Question("d")})
    applied = {"type": "approval-applied", "approvalId": "a", "decision": "deny"}

    assert decide(facts, events(applied), status=status).move.state == "waiting"


def test_a_gap_refuses_the_batch():
    with pytest.raises(Gap):
        decide(of(last_n=3), events(chunk("start"), start=5), status=status)


def test_events_already_seen_change_nothing():
    decision = decide(of("running", 5), events(*a_turn("x")[:4]), status=status)

    assert (decision.last_n, decision.chunks) == (5, [])


@pytest.mark.parametrize("state", FINISHED)
def test_a_finished_run_only_counts(state):
    decision = decide(of(state), events(*a_turn("x")), status=status)

    assert (decision.last_n, decision.chunks, decision.move.state) == (6, [], state)


@pytest.mark.parametrize(
    ("one", "two", "joined"),
    [
        pytest.param(("text", "t", "a"), ("text", "t", "b"), True, id="text"),
        pytest.param(("reasoning", "t", "a"), ("reasoning", "t", "b"), True, id="reasoning"),
        pytest.param(("text", "t", "a"), ("text", "u", "b"), False, id="another part"),
        pytest.param(("text", "t", "a"), ("reasoning", "t", "b"), False, id="another kind"),
        pytest.param(("text", "t", "a" * 40_000), ("text", "t", "b" * 40_000), False, id="long"),
    ],
)
def test_which_deltas_are_joined(one, two, joined):
    bodies = [chunk(f"{kind}-delta", id=part, delta=text) for kind, part, text in (one, two)]
    decision = decide(of("running"), events(*bodies), status=status)

    assert len(decision.chunks) == (1 if joined else 2)
    assert decision.chunks[-1][1] == 2
    assert "".join(c["delta"] for c, _ in decision.chunks) == one[2] + two[2]


def test_a_delta_with_other_fields_is_not_joined():
    extra = chunk("text-delta", id="t", delta="a", providerMetadata={})
    decision = decide(of("running"), events(extra, extra), status=status)

    assert len(decision.chunks) == 2


@pytest.mark.parametrize("kind", sorted(OURS))
def test_chunks_that_only_the_server_writes_are_not_accepted_from_a_sandbox(kind):
    forged = chunk(kind, id="a", data={"decision": "allow", "toolCallId": "c"})
    decision = decide(of("running"), events(forged, chunk("start-step")), status=status)

    assert decision.last_n == 2
    assert [c["type"] for c, _ in decision.chunks] == ["start-step"]


# Agents name a thread, give notice and wait for MCP servers, too.
NOT_OURS_ALONE = {"data-thread-title", "data-notice", "data-waiting"}


def test_every_chunk_the_server_makes_is_listed_as_its_own():
    said = set(re.findall(r'"(data-[a-z-]+)"', Path(chunks.__file__).read_text()))

    assert said - NOT_OURS_ALONE <= OURS


@pytest.mark.parametrize(
    "odd",
    [
        pytest.param(chunk("text-delta", other=1, more=2), id="a delta of nothing"),
        pytest.param(chunk("text-delta", id="t", other="x"), id="a delta without its text"),
        pytest.param({"type": "ui-message-chunk", "chunk": {"type": ["text-delta"]}}, id="a list"),
        pytest.param({"type": "ui-message-chunk", "chunk": {"type": {}}}, id="an object"),
        pytest.param(chunk("data-thread-title", data=["x"]), id="a title in a list"),
        pytest.param(chunk("data-thread-title", data="x"), id="a title that is none"),
    ],
)
def test_a_chunk_of_odd_shape_ends_nothing(odd):
    decision = decide(of("running"), events(odd, odd, chunk("start-step")), status=status)

    assert decision.last_n == 3
    assert decision.chunks[-1][0]["type"] == "start-step"


def test_what_a_newer_sandbox_says_is_counted():
    decision = decide(of("running"), events({"type": "telepathy"}), status=status)

    assert (decision.last_n, decision.chunks) == (1, [])


@pytest.mark.parametrize(
    ("bodies", "ready"),
    [
        pytest.param([], 0, id="nothing"),
        pytest.param([chunk("start")], 1, id="no end in sight"),
        pytest.param([chunk("start"), chunk("finish")], 1, id="the finish waits"),
        pytest.param([chunk("finish"), ERROR], 0, id="and what is behind it"),
        pytest.param([chunk("start"), chunk("finish"), DONE], 3, id="until done"),
        pytest.param(
            [chunk("finish"), *[chunk("x")] * HOLD_LIMIT], HOLD_LIMIT + 1, id="but not for ever"
        ),
    ],
)
def test_the_finish_waits_for_what_follows(bodies, ready):
    assert hold_from(events(*bodies)) == ready


BODIES = st.sampled_from(
    [
        chunk("start"),
        chunk("text-delta", id="t", delta="x"),
        chunk("text-delta", id="u", delta="y"),
        chunk("abort"),
        chunk("finish"),
        chunk("finish", messageMetadata={"codingAgentSessionId": "s", "usage": {"n": 1}}),
        ask("a"),
        ask("b"),
        {"type": "approval-applied", "approvalId": "a", "decision": "allow"},
        {"type": "approval-applied", "approvalId": "b", "decision": "deny"},
        ERROR,
        DONE,
        {"type": "ui-message-chunk"},
        {},
    ]
)


@given(st.lists(BODIES, max_size=20), st.integers(0, 20))
def test_the_batch_boundaries_do_not_change_the_answer(bodies, cut):
    """Deltas may be joined differently; the state and the answer stay the same."""
    from threads.core.fold import fold

    def run(*batches):
        facts, read = of(), []
        for batch in batches:
            decision = decide(facts, batch, status=status)
            read += [one for one, _ in decision.chunks]
            facts = of(
                decision.move.state,
                decision.last_n,
                error_code=decision.move.code,
                error_text=decision.move.text,
                waits_for={
                    name: Question("c")
                    for name in {*facts.waits_for, *(each.approval_id for each in decision.asked)}
                    if name not in decision.applied
                },
            )
        return facts, fold(read).parts()

    # Each question once, and answered only after it was asked, as harnesses do.
    asks, answer = [ask("a"), ask("b")], "approval-applied"
    bodies = [
        body
        for place, body in enumerate(bodies)
        if body.get("chunk", {}).get("type") != "finish"
        and not (body in asks and body in bodies[:place])
        and not (body.get("type") == answer and ask(body["approvalId"]) not in bodies[:place])
    ]
    whole = events(*bodies)

    assert run(whole) == run(whole[:cut], whole[cut:])
