"""The engine's messages and calls; its requests are those of whole runs (``test_loop.py``)."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from pydantic_ai.messages import ModelResponse, TextPart, ToolCallPart
from pydantic_ai.usage import RunUsage

from agents.harness.decopilot.memory import Call, Image, Reply, System, User
from threads.decopilot.engine import CALLS, Engine, Failed, messages_of

BASH = Call("c1", "bash", {"command": "ls"}, "a.py", "success")


def kinds_of(message):
    return [part.part_kind for part in message.parts]


@pytest.mark.parametrize(
    ("turn", "kinds"),
    [
        pytest.param(System("be kind"), [["system-prompt"]], id="system"),
        pytest.param(User(("hi",)), [["user-prompt"]], id="a person"),
        pytest.param(Reply("hello"), [["text"]], id="text alone"),
        pytest.param(Reply("", (BASH,)), [["tool-call"], ["tool-return"]], id="a call alone"),
        pytest.param(Reply("so", (BASH,)), [["text", "tool-call"], ["tool-return"]], id="both"),
    ],
)
def test_a_turn_becomes_the_library_s_messages(turn, kinds):
    assert [kinds_of(message) for message in messages_of([turn])] == kinds


def test_a_picture_keeps_its_bytes_and_type():
    (message,) = messages_of([User(("look", Image("image/png", b"png")))])

    text, picture = message.parts[0].content
    assert (text, picture.data, picture.media_type) == ("look", b"png", "image/png")


@pytest.mark.parametrize("outcome", ["success", "failed", "denied"])
def test_a_result_keeps_its_call_and_its_outcome(outcome):
    _, message = messages_of([Reply("", (Call("c1", "bash", {}, "out", outcome),))])

    (part,) = message.parts
    assert (part.tool_call_id, part.content, part.outcome) == ("c1", "out", outcome)


@pytest.fixture
def engine():
    """An engine without a model: its checks and counts need none."""
    engine = Engine.__new__(Engine)
    engine._called = set()
    engine._account = SimpleNamespace(base_url="https://gateway.example", secret="")
    engine.spent = SimpleNamespace(usage=RunUsage(), costs=[], finish_reason="stop")
    return engine


def response(*ids):
    return ModelResponse([TextPart("so"), *(ToolCallPart("bash", {}, each) for each in ids)])


def test_calls_with_ids_of_their_own_pass(engine):
    engine._check_calls(response("a", "b"))
    engine._check_calls(response("c"))


@pytest.mark.parametrize(
    "ids",
    [
        pytest.param(["b", "b"], id="twice in a response"),
        pytest.param(["a"], id="again in a later one"),
        pytest.param([f"c{n}" for n in range(CALLS + 1)], id="too many"),
    ],
)
def test_calls_that_can_not_be_told_apart_are_refused(engine, ids):
    engine._check_calls(response("a"))

    with pytest.raises(Failed) as failed:
        engine._check_calls(response(*ids))
    assert failed.value.trouble.kinds == ("ModelConfused",)


def test_a_gateway_s_response_has_the_cost_that_it_reports_and_no_list_price(engine):
    reported = ModelResponse([], provider_details={"cost": 0.5}, finish_reason="length")
    engine._note(reported)
    engine._note(ModelResponse([]))

    assert engine.spent.costs == [0.5, None]
    assert engine.spent.finish_reason == "stop"
