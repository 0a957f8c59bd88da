"""What a walk takes for untrue."""

from contextlib import nullcontext
from types import SimpleNamespace

import pytest

from tests.chaos.walk import PIECES, Said, Thread, Violation, Walk
from tests.standin import Standin
from tests.standin.server import Request

PROMPT = f"pieces {PIECES} 30 m1"
TEXTS = [{"type": "text", "text": f"{n}-ä🙂 "} for n in range(1, PIECES + 1)]


@pytest.fixture
def laptop():
    return SimpleNamespace(prompts=[PROMPT])


@pytest.fixture
def walk(tmp_path, laptop):
    return Walk(SimpleNamespace(root=tmp_path, laptop=laptop), Standin())


def said(text, agent="recorded", **fields):
    return Said(Thread("t", agent, reader=None), text, "key", **fields)


def told(state="completed", parts=TEXTS, error=None):
    return {"state": state, "error": error, "parts": parts}


def test_an_answer_that_is_whole_is_true(walk):
    walk.look_at_message(said(PROMPT), told())


@pytest.mark.parametrize(
    ("fields", "answer", "why"),
    [
        pytest.param({}, told("running"), "has not ended", id="a run that goes on"),
        pytest.param({}, told("failed"), "says no reason", id="a failure without a reason"),
        pytest.param({"is_stopped": True}, told(), "was stopped", id="completed after a stop"),
        pytest.param({}, told(parts=TEXTS[1:]), "its text is", id="a piece that is missing"),
        pytest.param({}, told(parts=TEXTS + TEXTS[:1]), "its text is", id="one that came twice"),
    ],
)
def test_an_answer_that_is_not(walk, fields, answer, why):
    with pytest.raises(Violation, match=why):
        walk.look_at_message(said(PROMPT, **fields), answer)


@pytest.mark.parametrize("times", [0, 2])
def test_a_prompt_that_came_not_once(walk, laptop, times):
    laptop.prompts = [PROMPT] * times

    with pytest.raises(Violation, match=f"got it {times} times"):
        walk.look_at_message(said(PROMPT), told())


def asked(*texts):
    """A request that a model gets, after these messages."""
    messages = [{"role": "user", "content": text} for text in texts]
    return Request("POST", "/v1/messages", {}, {"messages": messages})


@pytest.mark.parametrize(
    ("requests", "times"),
    [
        pytest.param([asked("first", "say: x")], 1, id="once"),
        pytest.param([asked("say: x"), asked("say: x", "next")], 1, id="in the history"),
        pytest.param([asked("first\nsay: x")], 1, id="with one that has no answer"),
        pytest.param([asked("first")], 0, id="never"),
        pytest.param([asked("say: x", "say: x")], 2, id="twice"),
    ],
)
def test_how_often_a_model_was_told(walk, requests, times):
    walk.standin.requests = requests
    expected = nullcontext() if times == 1 else pytest.raises(Violation, match=f"{times} times")

    with expected:
        walk.look_at_message(said("say: x", "decopilot"), told())


def call(state):
    return [{"type": "tool-bash", "toolCallId": "c1", "state": state}]


@pytest.mark.parametrize(
    ("ran", "level", "decisions", "answer", "why"),
    [
        pytest.param(2, "auto", set(), told(), "ran 2 times", id="twice"),
        pytest.param(1, "readonly", {"deny"}, told(), "nobody allowed it", id="after a deny"),
        pytest.param(1, "readonly", set(), None, "nobody allowed it", id="without an answer"),
        pytest.param(
            0, "auto", set(), told("failed", call("output-available"), "x"), "never ran", id="lost"
        ),
        pytest.param(0, "auto", set(), told(parts=[]), "nothing says so", id="lost, and unsaid"),
    ],
)
def test_a_command_that_ran_otherwise_than_told(walk, ran, level, decisions, answer, why):
    effect = walk.effects / "m1"
    if ran:
        effect.write_text("x\n" * ran)
    message = said("run it", "demo", level=level, effect=effect, decisions=decisions)

    with pytest.raises(Violation, match=why):
        walk.look_at_message(message, answer)


@pytest.mark.parametrize(
    ("ran", "answer"),
    [
        pytest.param(1, told(parts=call("output-available")), id="once"),
        pytest.param(1, told("failed", call("output-error"), "x"), id="once, and then lost"),
        pytest.param(0, told(parts=call("output-denied")), id="denied"),
        pytest.param(0, None, id="never sent"),
    ],
)
def test_a_command_that_ran_as_told(walk, ran, answer):
    effect = walk.effects / "m1"
    if ran:
        effect.write_text("x\n")

    walk.look_at_message(said("run it", "demo", effect=effect), answer)
