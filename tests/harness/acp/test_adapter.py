"""What only some agents do: told here in lines, because no real one does it when asked to."""

from __future__ import annotations

import json

import pytest

from agents.harness import ADAPTERS, with_agents
from agents.harness.base import Ask, Done, Write
from tests.harness.driver import chunks_of, one, text_of, turn
from tests.harness.shapes import check_turn

PICTURE = "data:image/png;base64,iVBORw0KGgo="


@pytest.fixture
def adapter():
    return ADAPTERS["acp:gemini"]()


def tell(adapter, **message):
    return adapter.feed(json.dumps({"jsonrpc": "2.0"} | message).encode())


def update(adapter, kind, **fields):
    params = {"sessionId": "s", "update": {"sessionUpdate": kind} | fields}
    return tell(adapter, method="session/update", params=params)


def written(outs):
    return [json.loads(out.line) for out in outs if isinstance(out, Write)]


def begin(adapter, given=None, *, abilities=None, session=None):
    """Take a turn to its prompt; return all outputs."""
    outs = adapter.begin(given or turn("hi"))
    outs += tell(adapter, id=1, result={"agentCapabilities": abilities or {}})
    return outs + tell(adapter, id=2, result={"sessionId": "s"} | (session or {}))


def test_an_agent_named_by_the_person_is_there_and_ours_stay_ours():
    adapters = with_agents({"goose": ["goose", "acp"], "gemini": ["evil"], "empty": []})

    assert set(adapters) == {*ADAPTERS, "acp:goose"}
    assert adapters["acp:gemini"]().launch(turn("hi")).program == "gemini"
    launch = adapters["acp:goose"]().launch(turn("hi"))
    assert (launch.program, launch.args) == ("goose", ("acp",))


def test_what_was_said_before_is_not_said_again(adapter):
    given = turn("hi", resumeSessionRef="s")
    adapter.begin(given)
    tell(adapter, id=1, result={"agentCapabilities": {"loadSession": True}})
    text = {"type": "text", "text": "from before"}

    before = update(adapter, "agent_message_chunk", content=text)
    modes = {"currentModeId": "default", "availableModes": []}
    loaded = tell(adapter, id=2, result={"modes": modes})
    late = update(adapter, "agent_message_chunk", content=text)
    prompted = tell(adapter, id=3, result={})

    assert text_of(chunks_of(before + loaded + late)) == ""
    assert [line["method"] for line in written(loaded)] == ["session/set_mode"]
    assert [line["method"] for line in written(prompted)] == ["session/prompt"]


def test_a_session_is_resumed_rather_than_replayed(adapter):
    adapter.begin(turn("hi", resumeSessionRef="s"))
    abilities = {"loadSession": True, "sessionCapabilities": {"resume": {}}}

    outs = tell(adapter, id=1, result={"agentCapabilities": abilities})

    assert written(outs)[0]["method"] == "session/resume"
    assert written(outs)[0]["params"]["sessionId"] == "s"


def test_an_agent_that_can_not_resume_says_so(adapter):
    adapter.begin(turn("hi", resumeSessionRef="s"))

    outs = tell(adapter, id=1, result={})

    assert one(chunks_of(outs), "data-notice")["data"]["code"] == "session_lost"
    assert written(outs)[0]["method"] == "session/new"


def test_it_plans_in_its_own_mode_and_works_again_as_before(adapter):
    modes = {"currentModeId": "default", "availableModes": [{"id": "default"}, {"id": "plan"}]}
    outs = begin(adapter, turn("hi", mode="plan"), session={"modes": modes})
    assert written(outs)[-1]["params"]["modeId"] == "plan"
    tell(adapter, id=3, result={})
    tell(adapter, id=4, result={"stopReason": "end_turn"})

    again = adapter.begin(turn("hi"))

    assert written(again)[-1]["params"]["modeId"] == "default"


def test_its_list_of_what_is_to_be_done_is_shown(adapter):
    begin(adapter)
    entries = [{"content": "one", "status": "completed"}, {"content": "two", "status": "pending"}]

    outs = update(adapter, "plan", entries=entries)

    assert one(chunks_of(outs), "data-todos")["data"]["todos"] == [
        {"text": "one", "status": "completed"},
        {"text": "two", "status": "pending"},
    ]


def test_a_file_it_wants_us_to_write_is_refused(adapter):
    begin(adapter)

    (answer,) = written(tell(adapter, id=9, method="fs/write_text_file", params={"path": "/x"}))

    assert (answer["id"], answer["error"]["code"]) == (9, -32601)


@pytest.mark.parametrize(
    ("reason", "finish"),
    [
        ("end_turn", "stop"),
        ("max_tokens", "length"),
        ("max_turn_requests", "length"),
        ("refusal", "error"),
        ("of next year", "stop"),
    ],
)
def test_why_it_stopped(adapter, reason, finish):
    outs = begin(adapter)

    outs += tell(adapter, id=3, result={"stopReason": reason})

    check_turn(outs)
    assert chunks_of(outs)[-1]["finishReason"] == finish


@pytest.mark.parametrize(
    ("error", "code"),
    [
        ({"code": -32000, "message": "Authentication required"}, "not_signed_in"),
        ({"code": 401, "message": "no"}, "agent_key_refused"),
        ({"code": -32603, "message": "x", "data": {"errorName": "APIError"}}, "model_api_error"),
        ({"code": -32603, "message": "Internal error", "data": {"details": "d"}}, "harness_failed"),
    ],
)
def test_what_a_failure_is_called(adapter, error, code):
    outs = adapter.begin(turn("hi"))
    before = adapter.key(turn("hi"))

    outs += tell(adapter, id=1, error=error)

    check_turn(outs)
    assert next(out for out in outs if hasattr(out, "code")).code == code
    assert adapter.key(turn("hi")) != before


def test_stopped_before_it_was_asked_anything(adapter):
    outs = adapter.begin(turn("hi"))
    assert adapter.interrupt() == []

    outs += tell(adapter, id=1, result={}) + tell(adapter, id=2, result={"sessionId": "s"})

    check_turn(outs)
    assert isinstance(outs[-1], Done)
    assert "session/prompt" not in [line.get("method") for line in written(outs)]


def test_the_cost_of_a_turn_is_not_the_sessions(adapter):
    outs = begin(adapter)
    update(adapter, "usage_update", used=1, size=100, cost={"amount": 0.5, "currency": "USD"})
    outs = tell(adapter, id=3, result={"stopReason": "end_turn"})
    assert chunks_of(outs)[-1]["messageMetadata"]["costUsd"] == 0.5

    adapter.begin(turn("again"))
    update(adapter, "usage_update", used=1, size=100, cost={"amount": 0.7, "currency": "USD"})
    outs = tell(adapter, id=4, result={"stopReason": "end_turn", "usage": {"inputTokens": 1}})

    metadata = chunks_of(outs)[-1]["messageMetadata"]
    assert (metadata["costUsd"], metadata["usage"]["contextWindow"]) == (0.2, 100)


@pytest.mark.parametrize(
    ("abilities", "method"),
    [
        pytest.param({"sessionCapabilities": {"fork": {}}}, "session/fork", id="it can fork"),
        pytest.param({"loadSession": True}, "session/new", id="it can't, so it is told again"),
    ],
)
def test_a_fork_leaves_the_conversation_as_it_is(adapter, abilities, method):
    adapter.begin(turn("hi", resumeSessionRef="s", forkSession=True))

    (opened,) = written(tell(adapter, id=1, result={"agentCapabilities": abilities}))
    outs = tell(adapter, id=2, result={"sessionId": "copy"})

    assert opened["method"] == method
    named = one(chunks_of(outs), "message-metadata")["messageMetadata"]
    assert named["codingAgentSessionId"] == "copy"


@pytest.mark.parametrize("sees", [True, False])
def test_a_picture_goes_to_agents_that_accept_it_or_is_reported_as_left_out(adapter, sees):
    picture = {"type": "file", "mediaType": "image/png", "filename": "a.png", "url": PICTURE}
    given = turn(messages=[{"id": "m", "role": "user", "parts": [picture]}])

    outs = begin(adapter, given, abilities={"promptCapabilities": {"image": sees}})

    (block,) = written(outs)[-1]["params"]["prompt"]
    notices = [chunk["data"] for chunk in chunks_of(outs) if chunk["type"] == "data-notice"]
    assert block["type"] == ("image" if sees else "text")
    assert [notice["code"] for notice in notices] == ([] if sees else ["files_not_taken"])


@pytest.mark.parametrize(
    ("content", "is_asked"),
    [
        pytest.param([], False, id="reads"),
        pytest.param([{"type": "diff", "path": "a", "newText": "x"}], True, id="brings a change"),
    ],
)
def test_a_person_is_asked_for_a_change_that_is_called_reading(adapter, content, is_asked):
    begin(adapter, turn("hi", toolApprovalLevel="readonly"))
    call = {"toolCallId": "c", "kind": "read", "title": "a", "content": content}
    options = [{"kind": "allow_once", "optionId": "yes", "name": "Yes"}]
    params = {"sessionId": "s", "toolCall": call, "options": options}

    outs = tell(adapter, id=9, method="session/request_permission", params=params)

    assert any(isinstance(out, Ask) for out in outs) is is_asked


def test_a_prompt_is_answered_by_the_response_to_it_alone(adapter):
    first = [line["id"] for line in written(begin(adapter)) if line["method"] == "session/prompt"]
    tell(adapter, id=first[0], result={"stopReason": "end_turn"})
    (prompt,) = (
        line["id"]
        for line in written(adapter.begin(turn("again")))
        if line["method"] == "session/prompt"
    )

    late = tell(adapter, id=first[0], result={"stopReason": "end_turn"})
    ours = tell(adapter, id=prompt, result={"stopReason": "end_turn"})

    assert not any(isinstance(out, Done) for out in late)
    assert isinstance(ours[-1], Done)


def test_what_a_person_can_choose_is_told_at_once_and_again_when_it_changes(adapter):
    modes = {"currentModeId": "a", "availableModes": [{"id": "a", "name": "Ask"}]}
    outs = begin(adapter, session={"modes": modes})
    told = one(chunks_of(outs), "data-agent-options")

    again = update(adapter, "available_commands_update", availableCommands=[{"name": "init"}])

    assert told["transient"]
    assert [mode["title"] for mode in told["data"]["modes"]] == ["Ask"]
    (command,) = one(chunks_of(again), "data-agent-options")["data"]["commands"]
    assert command["name"] == "init"


def test_commands_that_come_between_two_turns_are_told_in_the_next(adapter):
    begin(adapter)
    tell(adapter, id=3, result={"stopReason": "end_turn"})
    late = update(adapter, "available_commands_update", availableCommands=[{"name": "init"}])

    outs = adapter.begin(turn("again"))

    assert late == []
    assert one(chunks_of(outs), "data-agent-options")["data"]["commands"][0]["name"] == "init"


def prompts(outs):
    """Return the text of each prompt, its blocks joined."""
    sent = [each["params"]["prompt"] for each in written(outs) if each.get("method") == PROMPT]
    return ["\n".join(block["text"] for block in blocks) for blocks in sent]


PROMPT = "session/prompt"
INIT = [{"name": "init", "description": "Sets up"}]


def announce(adapter):
    return update(adapter, "available_commands_update", availableCommands=INIT)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("/init here", "/init here", id="a command"),
        pytest.param("/foo bar", "<message>\n/foo bar\n</message>", id="none of its"),
        pytest.param("/etc/hosts", "<message>\n/etc/hosts\n</message>", id="a path"),
    ],
)
def test_only_what_is_announced_is_sent_as_a_command(adapter, text, expected):
    adapter.begin(turn(text))
    tell(adapter, id=1, result={"agentCapabilities": {}})
    announce(adapter)

    assert prompts(tell(adapter, id=2, result={"sessionId": "s"})) == [expected]


@pytest.mark.parametrize("end", [{"result": {"stopReason": "end_turn"}}, {"error": {"code": 1}}])
def test_what_was_no_command_after_all_is_sent_again_as_words(adapter, end):
    first = prompts(begin(adapter, turn("/foo bar")))

    again = tell(adapter, id=3, **end)
    over = tell(adapter, id=4, result={"stopReason": "end_turn"})

    assert (first, prompts(again)) == (["/foo bar"], ["<message>\n/foo bar\n</message>"])
    assert isinstance(over[-1], Done)


def test_a_command_that_says_nothing_is_explained_and_not_sent_again(adapter):
    begin(adapter, turn("/init"))
    announce(adapter)

    outs = tell(adapter, id=3, result={"stopReason": "end_turn"})

    assert prompts(outs) == []
    assert one(chunks_of(outs), "data-notice")["data"]["code"] == "said_nothing"


def test_instructions_wait_for_the_first_words(adapter):
    instructed = {"id": "default", "instructions": "Be brief."}
    first = prompts(begin(adapter, turn("/init", agent=instructed)))
    announce(adapter)
    tell(adapter, id=3, result={"stopReason": "end_turn"})

    second = prompts(adapter.begin(turn("hi", agent=instructed)))

    assert first == ["/init"]
    assert second == ["<instructions>\nBe brief.\n</instructions>\nhi"]
