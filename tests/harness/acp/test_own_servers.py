"""An agent that waits for MCP servers of its person's own settings."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from agents.harness import ADAPTERS
from agents.harness.acp.agents import built_in
from agents.harness.base import Again
from agents.harness.mcp import asked_directly, own_silence_in_words, servers_of
from tests.harness.acp.scripted import (
    SESSION,
    Scripted,
    line,
    question,
    text,
    update,
    written,
)
from tests.harness.driver import chunks_of, one, text_of, turn
from tests.harness.shapes import check_turn

OURS = {"id": "a", "mcpServers": [{"name": "greeter", "url": "http://127.0.0.1:1/mcp"}]}


def launched(kind, **changes):
    left_out = changes.pop("left_out", ())
    given = turn("hi", **changes)
    object.__setattr__(given, "left_out", left_out)
    return ADAPTERS[kind]().launch(given)


@pytest.mark.parametrize("level", ["auto", "readonly"])
def test_gemini_may_start_ours_alone(level):
    start = launched("acp:gemini", toolApprovalLevel=level, left_out=("mute",))
    assert start.args[-1] == "--allowed-mcp-server-names=-"

    start = launched("acp:gemini", toolApprovalLevel=level, left_out=("mute",), virtualMcp=OURS)
    assert start.args[-1] == "--allowed-mcp-server-names=greeter"


@pytest.mark.parametrize("level", ["auto", "readonly"])
def test_copilot_may_start_all_but_those(level):
    usual = launched("acp:copilot", toolApprovalLevel=level)
    start = launched("acp:copilot", toolApprovalLevel=level, left_out=("mute", "-of two words"))

    assert start.args == (
        *usual.args,
        "--disable-mcp-server=mute",
        "--disable-mcp-server=-of two words",
    )


@pytest.mark.parametrize("changes", [{}, {"toolApprovalLevel": "readonly"}, {"mode": "plan"}])
def test_opencode_keeps_what_else_it_is_told(changes):
    usual = launched("acp:opencode", **changes)
    start = launched("acp:opencode", left_out=("mute",), **changes)

    told = json.loads(start.env["OPENCODE_CONFIG_CONTENT"])
    assert told.pop("mcp") == {"mute": {"enabled": False}}
    assert told == json.loads(usual.env.get("OPENCODE_CONFIG_CONTENT", "{}"))
    assert {**start.env, "OPENCODE_CONFIG_CONTENT": ""} == {
        **usual.env,
        "OPENCODE_CONFIG_CONTENT": "",
    }


@pytest.mark.parametrize("kind", ["acp:gemini", "acp:opencode", "acp:copilot"])
def test_a_program_that_was_started_without_them_is_another_one(kind):
    adapter = ADAPTERS[kind]()
    given = turn("hi")
    before = adapter.key(given)
    object.__setattr__(given, "left_out", ("mute",))

    assert adapter.key(given) != before


def test_an_agent_that_does_not_wait_is_started_as_ever():
    assert built_in()["acp:qwen"].own_servers is None
    assert launched("acp:qwen", left_out=("mute",)) == launched("acp:qwen")


@pytest.fixture
def opening():
    """A conversation whose agent has been asked for a session; returns it with the request."""
    course = Scripted("acp:gemini")
    outs = course.adapter.begin(turn("hi"))
    assert course.adapter.opens == "program"
    hello = written(outs)[0]
    outs += course.adapter.feed(line(id=hello["id"], result={"protocolVersion": 1}))
    assert course.adapter.opens == "session"
    return course, outs, written(outs)[-1]["id"]


def test_the_person_is_told_what_it_waits_for_until_it_has_a_session(opening):
    course, outs, request = opening
    told = course.adapter.tell_waiting(["mute"])
    after = course.adapter.feed(line(id=request, result={"sessionId": SESSION}))
    more = course.respond(after)

    assert one(chunks_of(told), "data-waiting")["data"] == {"servers": ["mute"]}
    assert one(chunks_of(after), "data-waiting")["data"] == {"servers": []}
    assert course.adapter.opens == ""
    assert course.adapter.tell_waiting(["mute"]) == course.adapter.leave_out(["mute"]) == []
    check_turn(outs + told + after + more + course.say(text("yes")) + course.end())


def test_an_error_ends_the_waiting_as_well(opening):
    course, outs, request = opening
    outs += course.adapter.tell_waiting(["mute"])
    outs += course.adapter.feed(line(id=request, error={"code": -32000, "message": "no"}))

    waits = [each["data"]["servers"] for each in chunks_of(outs) if each["type"] == "data-waiting"]
    assert waits == [["mute"], []]
    check_turn(outs)


def test_it_is_started_again_without_them_and_the_answer_goes_on(opening):
    course, outs, request = opening
    outs += course.adapter.tell_waiting(["mute"])
    gone = course.adapter.leave_out(["mute"])

    again = gone[-1]
    assert isinstance(again, Again)
    assert again.turn.left_out == ("mute",)
    words = own_silence_in_words("Gemini CLI", ["mute"], is_known=False)
    assert one(chunks_of(gone), "data-notice")["data"]["text"] == words
    assert one(chunks_of(gone), "data-waiting")["data"] == {"servers": []}
    # What the first program still says, and its exit, are no part of the answer.
    assert course.adapter.feed(line(id=request, result={"sessionId": "its"})) == []
    assert course.adapter.ended(-15, "") == []

    outs += gone[:-1] + course.adapter.begin(again.turn)
    outs += course.respond(outs[-1:]) + course.say(text("yes")) + course.end()

    check_turn(outs)
    assert text_of(chunks_of(outs)) == "yes"
    assert len([each for each in chunks_of(outs) if each["type"] == "data-notice"]) == 1


def test_one_that_was_left_out_before_stays_left_out():
    course = Scripted("acp:opencode")
    outs = course.adapter.begin(replace(turn("hi"), left_out=("known",)))
    gone = course.adapter.leave_out(["mute"])

    assert gone[-1].turn.left_out == ("known", "mute")
    told = [each["data"]["text"] for each in chunks_of(outs + gone) if "data" in each]
    assert told == [
        own_silence_in_words("opencode", ["known"], is_known=True),
        own_silence_in_words("opencode", ["mute"], is_known=False),
    ]


def test_one_that_waits_before_it_introduces_itself_is_started_again_as_well():
    course = Scripted("acp:gemini")
    outs = course.adapter.begin(turn("hi")) + course.adapter.tell_waiting(["mute"])
    gone = course.adapter.leave_out(["mute"])
    outs += gone[:-1] + course.adapter.begin(gone[-1].turn)
    outs += course.respond(outs[-1:]) + course.say(text("yes")) + course.end()

    check_turn(outs)
    waits = [each["data"]["servers"] for each in chunks_of(outs) if each["type"] == "data-waiting"]
    assert waits == [["mute"], []]


def test_the_person_is_told_once_though_start_and_session_both_take_long():
    course = Scripted("acp:gemini")
    outs = course.adapter.begin(turn("hi"))
    hello = written(outs)[0]
    told = course.adapter.tell_waiting(["mute"])
    told += course.adapter.feed(line(id=hello["id"], result={"protocolVersion": 1}))
    told += course.adapter.tell_waiting(["mute"])

    assert one(chunks_of(told), "data-waiting")["data"] == {"servers": ["mute"]}


def test_those_of_the_turn_that_it_asks_itself_can_be_left_out_as_well():
    through_mesh = "https://mesh.example/api/home/decopilot/threads/t/mcp/linear"
    given = turn(
        "hi",
        virtualMcp={
            "id": "a",
            "mcpServers": [
                {"name": "linear", "url": through_mesh},
                {"name": "mute", "url": "https://mcp.example/mcp"},
            ],
        },
    )
    without = replace(given, left_out=("mute",))

    assert asked_directly(given) == {"mute": "https://mcp.example/mcp"}
    assert asked_directly(without) == {}
    assert [each.name for each in servers_of(without)] == ["linear"]
    start = ADAPTERS["acp:gemini"]().launch(without)
    assert start.args[-1] == "--allowed-mcp-server-names=linear"


def test_a_stop_meanwhile_starts_nothing_again(opening):
    course, _, _ = opening
    course.adapter.interrupt()

    assert course.adapter.tell_waiting(["mute"]) == course.adapter.leave_out(["mute"]) == []


def test_one_that_starts_without_them_says_so_once():
    course = Scripted("acp:gemini")
    given = turn("hi")
    object.__setattr__(given, "left_out", ("mute",))

    first = course.begin(given) + course.end()
    second = course.begin(given) + course.end()

    words = own_silence_in_words("Gemini CLI", ["mute"], is_known=True)
    assert one(chunks_of(first), "data-notice")["data"]["text"] == words
    assert not [each for each in chunks_of(second) if each["type"] == "data-notice"]
    check_turn(first)


# One that opens its session at once, and then waits with the message.

OF_THE_SESSION = [
    update("available_commands_update", availableCommands=[{"name": "compact"}]),
    update("current_mode_update", currentModeId="agent"),
    update("config_option_update", configOptions=[]),
]
# What Copilot CLI says before it asks its model, and what else may come first.
BEGUN = {
    "its title": update("session_info_update", title="hi"),
    "its usage": update("usage_update", used=1, size=10),
    "its words": text("yes"),
    "a call": update("tool_call", toolCallId="1", title="ls", kind="execute"),
    "a question": question(7, {"optionId": "a", "kind": "allow_once"}, toolCallId="1", title="ls"),
}


@pytest.fixture
def waiting():
    """A conversation whose agent has its message, and has begun with nothing."""
    course = Scripted("acp:copilot")
    return course, course.begin()


def test_one_that_waits_with_the_message_waits_until_it_says_more_than_of_its_session(waiting):
    course, outs = waiting
    for said in OF_THE_SESSION:
        outs += course.adapter.feed(said)
    told = course.adapter.tell_waiting(["mute"])
    assert course.adapter.opens == "message"
    begun = course.adapter.feed(BEGUN["its usage"])

    assert course.adapter.opens == ""
    assert one(chunks_of(told), "data-waiting")["data"] == {"servers": ["mute"]}
    assert one(chunks_of(begun), "data-waiting")["data"] == {"servers": []}
    assert course.adapter.leave_out(["mute"]) == []
    check_turn(outs + told + begun + course.say(text("yes")) + course.end())


@pytest.mark.parametrize("said", BEGUN)
def test_a_message_with_which_it_has_begun_is_never_sent_again(waiting, said):
    course, _ = waiting
    course.adapter.feed(BEGUN[said])

    assert course.adapter.tell_waiting(["mute"]) == course.adapter.leave_out(["mute"]) == []


def test_the_message_is_sent_again_to_a_program_without_them(waiting):
    course, outs = waiting
    outs += course.adapter.tell_waiting(["mute"])
    gone = course.adapter.leave_out(["mute"])
    outs += gone[:-1] + course.adapter.begin(gone[-1].turn)
    outs += course.respond(outs[-1:])
    assert written(outs)[-1]["params"]["prompt"] == [{"type": "text", "text": "hi"}]
    outs += course.say(text("yes")) + course.end()

    check_turn(outs)
    waits = [each["data"]["servers"] for each in chunks_of(outs) if each["type"] == "data-waiting"]
    assert waits == [["mute"], []]
    assert text_of(chunks_of(outs)) == "yes"


def test_its_next_messages_wait_for_none(waiting):
    course, _ = waiting
    course.say(BEGUN["its usage"], text("yes"))
    course.end()
    course.begin(turn("and now?"))

    assert course.adapter.opens == ""


@pytest.mark.parametrize("end", ["an answer", "an error"])
def test_an_end_of_the_message_ends_the_waiting_as_well(waiting, end):
    course, outs = waiting
    outs += course.adapter.tell_waiting(["mute"])
    if end == "an answer":
        outs += course.end()
    else:
        outs += course.adapter.feed(line(id=course.prompt, error={"code": 1, "message": "no"}))

    waits = [each["data"]["servers"] for each in chunks_of(outs) if each["type"] == "data-waiting"]
    assert waits == [["mute"], []]
    check_turn(outs)


def test_others_begin_with_the_message_when_they_have_it():
    course = Scripted("acp:gemini")
    course.begin()

    assert course.adapter.opens == ""
