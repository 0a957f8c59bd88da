"""What Codex reports beside its answer, and what outlives it."""

from __future__ import annotations

import pytest

from agents.harness.base import Background, BackgroundTask, Fail
from agents.harness.codex import CodexAdapter, notices
from tests.harness.codex.test_adapter import begin, completed, tell, written
from tests.harness.driver import chunks_of, one, turn, types_of

WARNING = {"threadId": "t", "message": "Mind the gap."}
COMMAND = {"type": "commandExecution", "id": "c", "command": "sleep 9", "processId": "7"}


@pytest.fixture
def adapter():
    return CodexAdapter()


def hook(status, **run):
    return {"run": {"eventName": "preToolUse", "status": status, "entries": [], **run}}


def told(outs):
    found = [c for c in chunks_of(outs) if c["type"] == "data-notice"]
    assert not any(notice.get("transient") for notice in found)
    return [(notice["data"]["code"], notice["data"]["text"]) for notice in found]


@pytest.mark.parametrize(
    ("method", "params", "notice"),
    [
        ("warning", WARNING, ("warning", "Mind the gap.")),
        ("guardianWarning", WARNING, ("warning", "Mind the gap.")),
        (
            "configWarning",
            {"summary": "A typo.", "details": "Line 3."},
            ("warning", "A typo. Line 3."),
        ),
        ("deprecationNotice", {"summary": "Old.", "details": None}, ("warning", "Old.")),
        (
            "model/rerouted",
            {"fromModel": "gpt-a", "toModel": "gpt-b"},
            ("model_changed", "Another model answers: gpt-b instead of gpt-a."),
        ),
        (
            "mcpServer/startupStatus/updated",
            {"name": "tools", "status": "failed"},
            ("mcp_server", "Codex can't use the MCP server tools here."),
        ),
        (
            "mcpServer/startupStatus/updated",
            {"name": "tools", "status": "failed", "error": "timed out after 10 seconds"},
            ("mcp_server", "Codex can't use the MCP server tools here: it does not answer."),
        ),
        (
            "hook/completed",
            hook("failed", entries=[{"kind": "error", "text": "exit 2"}]),
            ("hook", "A preToolUse hook failed: exit 2"),
        ),
        (
            "hook/completed",
            hook("blocked", statusMessage="not on Fridays"),
            ("hook", "A preToolUse hook said no: not on Fridays"),
        ),
    ],
)
def test_what_a_person_should_know_is_kept(adapter, method, params, notice):
    begin(adapter)

    assert told(tell(adapter, method=method, params=params)) == [notice]


@pytest.mark.parametrize(
    ("method", "params"),
    [
        ("hook/completed", hook("completed")),
        ("mcpServer/startupStatus/updated", {"status": "ready"}),
        (
            "mcpServer/startupStatus/updated",
            {"name": "a", "status": "failed", "error": 'HTTP 504: {"code":"mcp_silent"}'},
        ),
        ("item/autoApprovalReview/started", {"reviewId": "r"}),
        ("of/next/year", {"a": 1}),
        ("warning", {}),
    ],
)
def test_the_rest_is_not_shown(adapter, method, params):
    begin(adapter)

    assert chunks_of(tell(adapter, method=method, params=params)) == []


def test_a_warning_is_told_once_while_the_program_runs(adapter):
    begin(adapter)
    first = tell(adapter, method="warning", params=WARNING)
    completed(adapter)
    adapter.begin(turn("again"))

    assert len(told(first)) == 1
    assert told(tell(adapter, method="warning", params=WARNING)) == []


def test_a_shortened_conversation_is_told_once_in_a_turn(adapter):
    begin(adapter)
    item = {"threadId": "t", "item": {"type": "contextCompaction", "id": "c"}}

    outs = tell(adapter, method="item/started", params=item)
    outs += tell(adapter, method="item/completed", params=item)
    outs += tell(adapter, method="thread/compacted", params={"threadId": "t", "turnId": "u"})

    assert told(outs) == [notices.COMPACTED]


@pytest.mark.parametrize(("level", "is_told"), [("readonly", True), ("auto", False)])
def test_what_the_read_only_sandbox_hides_is_said_once(adapter, level, is_told):
    given = turn("hi", toolApprovalLevel=level)

    first = begin(adapter, given, sandbox={"type": "readOnly"})
    completed(adapter)

    assert (notices.REFUSED_UNSEEN in told(first)) is is_told
    assert told(adapter.begin(given)) == []


def retrying(adapter, details="gone", info=None):
    error = {"message": "Reconnecting... 1/5", "codexErrorInfo": info, "additionalDetails": details}
    return tell(adapter, method="error", params={"error": error, "willRetry": True})


@pytest.mark.parametrize(
    ("info", "code"),
    [
        ({"responseStreamDisconnected": {"httpStatusCode": 401}}, "agent_key_refused"),
        ("unauthorized", "not_signed_in"),
    ],
)
def test_a_refused_sign_in_is_not_tried_again_and_again(adapter, info, code):
    begin(adapter)
    before = adapter.key(turn("hi"))

    outs = retrying(adapter, "unexpected status 401: no such key", info)

    assert [line["method"] for line in written(outs)] == ["turn/interrupt"]
    assert [out.code for out in outs if isinstance(out, Fail)] == [code]
    assert adapter.key(turn("hi")) != before  # another program for the next turn


def test_other_errors_are_tried_again(adapter):
    begin(adapter)

    outs = retrying(adapter, "no", {"httpConnectionFailed": {"httpStatusCode": 529}})

    assert types_of(chunks_of(outs)) == ["data-retry"]
    assert written(outs) == []


def spoken(adapter, item_id, text):
    item = {"type": "agentMessage", "id": item_id, "text": text}
    return tell(adapter, method="item/completed", params={"threadId": "t", "item": item})


def test_what_a_cut_answer_says_again_is_called_a_repetition(adapter):
    begin(adapter)

    outs = spoken(adapter, "m1", "I begin") + retrying(adapter) + spoken(adapter, "m2", "I begin")

    assert told(outs) == [notices.REPEATED]
    assert types_of(chunks_of(outs)).count("start-step") == 2


def test_nothing_is_repeated_after_a_complete_answer(adapter):
    begin(adapter)
    spoken(adapter, "m1", "Done.")
    tell(adapter, method="thread/tokenUsage/updated", params={"threadId": "t"})

    assert told(retrying(adapter)) == []


def outlived(adapter):
    """Take a turn to its end whose command runs on; return its last outputs."""
    begin(adapter)
    tell(adapter, method="item/started", params={"threadId": "t", "item": COMMAND})
    delta = {"threadId": "t", "itemId": "c", "delta": "so far\n"}
    tell(adapter, method="item/commandExecution/outputDelta", params=delta)
    return completed(adapter)


def backgrounds(outs):
    return [out for out in outs if isinstance(out, Background)]


def test_a_command_that_outlives_its_turn_runs_in_the_background(adapter):
    outs = outlived(adapter)

    output = one(chunks_of(outs), "tool-output-available")["output"]
    assert output == "It is still running in the background.\nso far"
    assert told(outs) == [notices.runs_on("sleep 9")]
    assert backgrounds(outs) == [Background((BackgroundTask("c", "sleep 9"),))]


@pytest.mark.parametrize("is_in_a_turn", [True, False])
def test_its_end_is_told_whenever_it_comes(adapter, is_in_a_turn):
    outlived(adapter)
    if is_in_a_turn:
        adapter.begin(turn("again"))

    ended = COMMAND | {"status": "completed", "exitCode": 0}
    params = {"threadId": "t", "turnId": "u", "item": ended}
    outs = tell(adapter, method="item/completed", params=params)

    assert (backgrounds(outs), chunks_of(outs)) == ([Background()], [])


def test_it_can_be_stopped_by_itself(adapter):
    outlived(adapter)

    (request,) = written(adapter.stop_task("c"))

    assert request["method"] == "thread/backgroundTerminals/terminate"
    assert request["params"] == {"threadId": "t", "processId": "7"}
    assert adapter.stop_task("other") == []


def test_it_ends_with_its_program(adapter):
    outlived(adapter)

    assert backgrounds(adapter.ended(0, "")) == [Background()]


def test_a_stop_of_a_later_turn_ends_it(adapter):
    outlived(adapter)
    (request,) = written(adapter.begin(turn("more")))
    tell(adapter, id=request["id"], result={"turn": {"id": "u"}})
    adapter.interrupt()

    assert backgrounds(completed(adapter, "interrupted")) == [Background()]
