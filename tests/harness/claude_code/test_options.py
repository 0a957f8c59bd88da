"""What Claude Code offers: its models, their efforts, and its commands."""

from __future__ import annotations

import json

import pytest

from agents.harness.base import Write
from agents.harness.claude_code import ClaudeCodeAdapter
from tests.harness.driver import chunks_of, one, text_of, turn, types_of

OPUS = {
    "value": "opus",
    "displayName": "Opus",
    "resolvedModel": "claude-opus-5-5",
    "supportedEffortLevels": ["low", "max", 3],
}
COMPACT = {"name": "compact", "description": "Shortens", "argumentHint": "[how]", "aliases": ["c"]}
OFFER = {"models": [OPUS, {"value": 7}], "commands": [COMPACT, {"name": "__inner"}]}


@pytest.fixture
def adapter():
    return ClaudeCodeAdapter()


def tell(adapter, kind, **fields):
    return adapter.feed(json.dumps({"type": kind, **fields}).encode())


def respond(adapter, request, response):
    answer = {"subtype": "success", "request_id": request["request_id"], "response": response}
    return tell(adapter, "control_response", response=answer)


def written(outs):
    return [json.loads(out.line) for out in outs if isinstance(out, Write)]


def begin(adapter, given):
    """Begin a turn; return its requests by kind, and the messages that were sent."""
    lines = written(adapter.begin(given))
    requests = {line["request"]["subtype"]: line for line in lines if "request" in line}
    return requests, [line for line in lines if line["type"] == "user"]


def said(outs):
    return [
        line["message"]["content"][0]["text"] for line in written(outs) if line["type"] == "user"
    ]


def notices(outs):
    return [c["data"] for c in chunks_of(outs) if c["type"] == "data-notice"]


def test_models_and_commands_are_offered_at_once(adapter):
    requests, _ = begin(adapter, turn("hi", models={"thinking": {"id": "claude-code:opus"}}))

    data = one(chunks_of(respond(adapter, requests["initialize"], OFFER)), "data-agent-options")

    (model,) = data["data"]["models"]
    assert (model["id"], model["title"], model["current"]) == ("opus", "Opus", True)
    assert model["efforts"] == ["low", "max"]
    assert [each["name"] for each in data["data"]["commands"]] == ["compact"]
    assert data["transient"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("/compact now", "/compact now", id="a command"),
        pytest.param("/c", "/c", id="its other name"),
        pytest.param("/help", "<message>\n/help\n</message>", id="one that is not announced"),
    ],
)
def test_what_may_be_a_command_waits_until_they_are_known(adapter, text, expected):
    requests, sent = begin(adapter, turn(text))

    outs = respond(adapter, requests["initialize"], OFFER)

    assert (sent, said(outs)) == ([], [expected])


def test_a_stop_before_they_are_known_ends_the_turn(adapter):
    requests, _ = begin(adapter, turn("/compact"))
    adapter.interrupt()

    outs = respond(adapter, requests["initialize"], OFFER)

    assert (said(outs), types_of(chunks_of(outs))[-2:]) == ([], ["abort", "finish"])


def test_a_path_sent_in_the_middle_is_words(adapter):
    requests, _ = begin(adapter, turn("hi"))
    respond(adapter, requests["initialize"], OFFER)
    tell(adapter, "system", subtype="init", session_id="s", claude_code_version="2.1.332")
    message = {"id": "m", "role": "user", "parts": [{"type": "text", "text": "/tmp/x is it"}]}

    assert said(adapter.steer("11111111-1111-4111-8111-111111111111", message)) == [
        "<message>\n/tmp/x is it\n</message>"
    ]


def test_a_command_that_says_nothing_is_explained(adapter):
    requests, _ = begin(adapter, turn("/compact"))
    respond(adapter, requests["initialize"], OFFER)

    outs = tell(adapter, "result", result="")

    (notice,) = notices(outs)
    assert notice["code"] == "said_nothing"
    assert "/compact" in notice["text"]


def test_a_cleared_conversation_is_told(adapter):
    begin(adapter, turn("hi"))

    assert notices(tell(adapter, "conversation_reset"))[0]["code"] == "cleared"


@pytest.mark.parametrize(
    ("model", "told"),
    [
        pytest.param("claude-opus-5-5[1m]", 0, id="the same"),
        pytest.param("claude-haiku-5-5", 1, id="another one"),
    ],
)
def test_a_model_that_was_not_chosen_is_told(adapter, model, told):
    requests, _ = begin(adapter, turn("hi", models={"thinking": {"id": "claude-code:opus"}}))
    respond(adapter, requests["initialize"], OFFER)

    outs = tell(adapter, "system", subtype="init", session_id="s", model=model)

    assert len(notices(outs)) == told


@pytest.mark.parametrize(("applied", "told"), [("max", 0), ("medium", 1), (None, 1)])
def test_an_effort_is_set_and_read_back(adapter, applied, told):
    given = turn("hi", effort="max")
    requests, _ = begin(adapter, given)

    outs = respond(adapter, requests["get_settings"], {"applied": {"effort": applied}})

    assert "--effort=max" in adapter.launch(given).args
    assert adapter.key(given) != adapter.key(turn("hi"))
    assert [each["code"] for each in notices(outs)] == ["model_changed"] * told


def test_commands_that_change_between_two_turns_are_told_in_the_next(adapter):
    requests, _ = begin(adapter, turn("hi"))
    respond(adapter, requests["initialize"], OFFER)
    tell(adapter, "result", result="done")
    tell(adapter, "system", subtype="commands_changed", commands=[{"name": "deploy"}])

    outs = adapter.begin(turn("again"))

    data = one(chunks_of(outs), "data-agent-options")["data"]
    assert [each["name"] for each in data["commands"]] == ["deploy"]
    assert text_of(chunks_of(outs)) == ""
