"""Agents that stall, answer twice, flood or are wrong at any step: a turn ends, and is whole."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agents.harness.acp.content import TERMINALS_LIMIT
from agents.harness.base import Done, Fail, Unasked
from tests.examples import up_to
from tests.harness.acp.scripted import Scripted, line, output, state, text, update, written
from tests.harness.driver import chunks_of, text_of, turn, types_of
from tests.harness.shapes import check_turn

MODES = {"currentModeId": "auto", "availableModes": [{"id": "auto"}, {"id": "default"}]}
OPENED = {"sessionId": "s", "modes": MODES}
# Our requests of a first turn, in this order, with what an agent answers.
COURSE = {
    "initialize": {"protocolVersion": 1},
    "session/new": OPENED,
    "session/set_mode": {},
    "session/prompt": {"stopReason": "end_turn"},
}
STEPS = list(COURSE)


@pytest.fixture(params=[1, 2], ids=["version 1 offered", "version 2 offered"], scope="module")
def offered(request):
    """The newest version that is offered to the agent, which speaks version 1."""
    return request.param


class Course:
    """A first turn with an agent that is well up to a step; ``answers`` replace its own."""

    def __init__(self, up_to: str = "", *, offered: int = 1, **answers: Any) -> None:
        self.agent = Scripted("acp:qwen")
        self.adapter = self.agent.adapter
        self.outs = self.adapter.begin(
            turn("hi", toolApprovalLevel="readonly", takesUnasked=offered == 2)
        )
        self.answers = COURSE | {name.replace("_to_", "/"): each for name, each in answers.items()}
        self.asked = self._newest(self.outs)
        while self.asked["method"] != up_to and not self.is_over:
            if not self.answer():
                break

    def _newest(self, outs: list[Any]) -> dict[str, Any]:
        asked = [each for each in written(outs) if "method" in each and "id" in each]
        return asked[-1] if asked else self.asked

    def answer(self, **answer: Any) -> bool:
        """Answer our newest request; returns whether we asked for more."""
        before = self.asked
        result = answer or {"result": self.answers.get(before["method"], {})}
        self.say(line(id=before["id"], **result))
        return self.asked is not before

    def say(self, *lines: bytes) -> None:
        heard = self.agent.say(*lines)
        self.outs += heard
        self.asked = self._newest(heard)

    @property
    def is_over(self) -> bool:
        return any(isinstance(out, Done) for out in self.outs)


@pytest.mark.parametrize("step", STEPS)
def test_an_agent_that_stalls_is_stopped_at_once(step, offered):
    course = Course(step, offered=offered)
    assert course.asked["method"] == step
    assert course.adapter.is_starting is (step != "session/prompt")

    course.outs += course.adapter.interrupt() + course.adapter.ended(-15, "")

    check_turn(course.outs)
    assert "abort" in types_of(chunks_of(course.outs))
    assert not course.adapter.is_starting


@pytest.mark.parametrize("step", STEPS)
def test_an_agent_that_ends_at_a_step_has_crashed(step, offered):
    course = Course(step, offered=offered)

    course.outs += course.adapter.ended(1, "out of luck")

    check_turn(course.outs)
    assert "out of luck" in next(o.message for o in course.outs if isinstance(o, Fail))


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize(
    "answer",
    [
        pytest.param({"error": {"code": -32603, "message": "no"}}, id="an error"),
        pytest.param({"error": "no"}, id="an error of a wrong type"),
        pytest.param({"error": {}}, id="an empty error"),
    ],
)
def test_a_refusal_at_any_step_ends_the_turn_with_its_reason(step, answer, offered):
    course = Course(step, offered=offered)

    while not course.is_over:  # the newer version is asked for first
        course.answer(**answer)

    check_turn(course.outs)
    assert any(isinstance(out, Fail) for out in course.outs)


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("result", [None, [], "x", 7, {"sessionId": 7, "modes": [1]}])
def test_an_answer_of_a_wrong_type_is_no_crash(step, result, offered):
    course = Course(step, offered=offered)

    course.answer(result=result)
    while not course.is_over and course.answer():
        pass

    course.outs += [] if course.is_over else course.adapter.ended(1, "")
    check_turn(course.outs)


@pytest.mark.parametrize("step", STEPS)
def test_a_second_answer_changes_nothing(step, offered):
    course = Course(step, offered=offered)
    first = course.asked

    course.answer()
    again = course.adapter.feed(line(id=first["id"], result=COURSE[step]))
    while not course.is_over:
        course.answer()

    assert again == []
    check_turn(course.outs)


def test_updates_before_the_session_is_open_are_not_the_answer(offered):
    course = Course("session/new", offered=offered)

    course.say(text("too early"), update("plan", entries=[{"content": "a"}]))
    while not course.is_over:
        course.answer()

    check_turn(course.outs)
    assert text_of(chunks_of(course.outs)) == ""
    assert "data-todos" not in types_of(chunks_of(course.outs))


def test_an_answer_to_what_nobody_asked_is_nothing(offered):
    course = Course("session/prompt", offered=offered)

    course.say(
        line(id=999, result={"stopReason": "end_turn"}),
        line(id="1", result={}),
        line(id=None, error={"code": 1}),
        line(id=[1], result={}),
        state("idle", stopReason="end_turn"),
    )

    assert not course.is_over


def test_after_its_end_it_may_say_what_it_likes(offered):
    course = Course(offered=offered)
    assert course.is_over

    late = course.agent.say(text("late"), state("running"), update("plan", entries=[]), b"[", b"{}")

    assert late == []


def printed(terminal, size):
    data = base64.b64encode(b"x" * size).decode()
    return update("terminal_output_chunk", terminalId=terminal, data=data)


def test_terminals_that_no_call_shows_take_a_bounded_place(monkeypatch):
    monkeypatch.setattr("agents.harness.acp.content.TERMINALS_LIMIT", 100)
    agent = Scripted()
    outs = agent.begin()

    for number in range(30):
        outs += agent.say(printed(f"t{number}", 10))
    shown = [{"type": "terminal", "terminalId": "t25"}]
    outs += agent.say(update("tool_call", toolCallId="c", kind="execute", content=shown))
    outs += agent.end()

    check_turn(outs)
    kept = [terminal.text for terminal in agent.adapter._stream._terminals.values()]
    assert sum(text.count("x") for text in kept) == 100
    assert TERMINALS_LIMIT > 100


def test_a_flood_of_pieces_of_content_is_one_answer():
    piece = update("tool_call_content_chunk", toolCallId="c", content=output("x")[0])

    outs = Scripted().play(*[piece] * 5_000)

    check_turn(outs)
    assert len(chunks_of(outs)) < 100


ANY = st.sampled_from(
    [
        text("a"),
        text("b", messageId="m"),
        update("agent_thought_chunk", content={"type": "text", "text": "t"}),
        update("tool_call", toolCallId="c", kind="execute", title="ls"),
        update("tool_call", toolCallId="d", kind="edit", title="x", status="pending"),
        update("tool_call_update", toolCallId="c", status="in_progress", content=output("x")),
        update("tool_call_update", toolCallId="c", status="completed", content=output("y")),
        update("tool_call_update", toolCallId="d", status="failed"),
        update("plan", entries=[{"content": "a", "status": "pending"}]),
        update("current_mode_update", currentModeId="auto"),
        update("available_commands_update", availableCommands=[{"name": "x"}]),
        update("notice", severity="error", title="t"),
        line(id=9, method="session/request_permission", params={"toolCall": {"toolCallId": "c"}}),
        line(method="$/cancel_request", params={"requestId": 9}),
        line(id=8, method="elicitation/create", params={"mode": "form", "requestedSchema": {}}),
        b"answer",
        b"refuse",
        b"interrupt",
        b"allow",
        b"deny",
    ]
)


@settings(max_examples=up_to(300), deadline=None)
@given(steps=st.lists(ANY, max_size=25), code=st.sampled_from([None, 0, 1, -9]))
def test_any_order_of_answers_and_updates_makes_a_whole_turn(offered, steps, code):
    course = Course("initialize", offered=offered)
    for step in steps:
        if course.is_over:
            break
        if step == b"answer":
            course.answer()
        elif step == b"refuse":
            course.answer(error={"code": -32000, "message": "no"})
        elif step == b"interrupt":
            course.outs += course.adapter.interrupt()
        elif step in (b"allow", b"deny"):
            open_ones = list(course.adapter._questions)
            for approval_id in open_ones:
                course.outs += course.adapter.answer(approval_id, step.decode(), "", {})
        else:
            course.say(step)

    course.outs += course.adapter.ended(code, "")
    check_turn([out for out in course.outs if not isinstance(out, Unasked)])
