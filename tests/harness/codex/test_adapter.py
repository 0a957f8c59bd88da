"""Codex's messages, one by one; recorded and real ones are the kit's."""

from __future__ import annotations

import json

import pytest

from agents.harness.base import Ask, Fail, NotSteered, Steered, Withdrawn, Write
from agents.harness.codex import CodexAdapter
from agents.harness.codex.failures import SILENT
from agents.harness.unfinished_calls import WITHDRAWN
from tests.harness.driver import chunks_of, one, text_of, turn
from tests.harness.shapes import check_turn

MESSAGE = {"id": "m2", "role": "user", "parts": [{"type": "text", "text": "and now"}]}
WRITABLE = {"type": "workspaceWrite"}


@pytest.fixture
def adapter():
    return CodexAdapter()


def tell(adapter, **message):
    return adapter.feed(json.dumps(message).encode())


def written(outs):
    return [json.loads(out.line) for out in outs if isinstance(out, Write)]


def begin(adapter, given=None, *, sandbox=None):
    """Take a turn to its start; return all outputs."""
    outs = adapter.begin(given or turn("hi"))
    outs += tell(adapter, id=1, result={})
    thread = {"thread": {"id": "t"}, "cwd": "/folder", "sandbox": sandbox or WRITABLE}
    outs += tell(adapter, id=2, result=thread)
    requests = {line["method"]: line.get("id") for line in written(outs)}
    return outs + tell(adapter, id=requests.get("turn/start"), result={"turn": {"id": "u"}})


def completed(adapter, status="completed", *, says="Done.", **turn_fields):
    params = {"threadId": "t", "turn": {"id": "u", "status": status, **turn_fields}}
    said = {"threadId": "t", "turnId": "u", "itemId": "said", "delta": says}
    outs = tell(adapter, method="item/agentMessage/delta", params=said) if says else []
    return outs + tell(adapter, method="turn/completed", params=params)


def test_a_turn_is_reached_by_initialize_and_a_thread(adapter):
    outs = begin(adapter) + completed(adapter)

    check_turn(outs)
    methods = [line["method"] for line in written(outs)]
    opened = ["initialize", "initialized", "thread/start", "account/read"]
    assert methods == [*opened, "turn/start", "model/list", "skills/list"]
    metadata = one(chunks_of(outs), "finish")["messageMetadata"]
    assert metadata["codingAgentSessionId"] == "t"


def test_a_turn_without_a_word_was_refused_by_the_model(adapter):
    """Codex drops a refusal, and its words."""
    outs = begin(adapter) + completed(adapter, says="")

    failure = next(out for out in outs if isinstance(out, Fail))
    assert failure == Fail("model_refused", SILENT)


def test_a_second_turn_of_a_living_program_only_starts_the_turn(adapter):
    begin(adapter)
    completed(adapter)

    assert [line["method"] for line in written(adapter.begin(turn("again")))] == ["turn/start"]


def test_a_version_that_can_write_in_a_read_only_turn_is_refused(adapter):
    outs = begin(adapter, turn("hi", toolApprovalLevel="readonly"), sandbox=WRITABLE)

    (failure,) = [out for out in outs if isinstance(out, Fail)]
    assert failure.code == "harness_too_old"
    assert "turn/start" not in [line["method"] for line in written(outs)]


def test_an_account_that_is_not_signed_in_ends_the_turn(adapter):
    outs = begin(adapter)
    (request,) = [line for line in written(outs) if line["method"] == "account/read"]

    outs = tell(adapter, id=request["id"], result={"requiresOpenaiAuth": True, "account": None})

    assert [out.code for out in outs if isinstance(out, Fail)] == ["not_signed_in"]


@pytest.mark.parametrize("params", [{"threadId": "other"}, {"threadId": "t", "turnId": "before"}])
def test_notifications_of_other_threads_and_turns_are_ignored(adapter, params):
    begin(adapter)

    item = {"itemId": "m", "delta": "not ours"}
    outs = tell(adapter, method="item/agentMessage/delta", params={**params, **item})

    assert text_of(chunks_of(outs)) == ""


def test_a_steer_is_reported_by_the_response_to_it(adapter):
    begin(adapter)
    (taken,) = written(adapter.steer("s1", MESSAGE))
    (refused,) = written(adapter.steer("s2", MESSAGE))

    outs = tell(adapter, id=taken["id"], result={})
    outs += tell(adapter, id=refused["id"], error={"message": "no"})

    assert [out for out in outs if isinstance(out, Steered | NotSteered)] == [
        Steered("s1"),
        NotSteered("s2"),
    ]


def test_a_steer_without_a_response_at_the_end_was_not_taken(adapter):
    begin(adapter)
    adapter.steer("s1", MESSAGE)

    assert NotSteered("s1") in completed(adapter)


def test_a_stopped_turn_also_ends_its_background_terminals(adapter):
    begin(adapter)
    assert [line["method"] for line in written(adapter.interrupt())] == ["turn/interrupt"]

    outs = completed(adapter, "interrupted")

    assert written(outs)[0]["method"] == "thread/backgroundTerminals/clean"
    assert one(chunks_of(outs), "abort")


def test_an_unknown_request_is_refused_in_a_turn_and_between_turns(adapter):
    begin(adapter)
    (during,) = written(tell(adapter, id=9, method="new/request", params={}))
    completed(adapter)
    (after,) = written(tell(adapter, id=10, method="new/request", params={}))

    assert (during["id"], during["error"]["code"]) == (9, -32601)
    assert (after["id"], after["error"]["message"]) == (10, "No turn is running.")


def change(adapter, *, asks):
    """Take a change of a file to its end, in a turn that must ask."""
    read_only = {"type": "readOnly"}
    outs = begin(adapter, turn("hi", toolApprovalLevel="readonly"), sandbox=read_only)
    diff = [{"path": "a", "kind": {"type": "add"}, "diff": "x\n"}]
    item = {"id": "f", "type": "fileChange", "changes": diff}
    ids = {"threadId": "t", "turnId": "u"}
    outs += tell(adapter, method="item/started", params=ids | {"item": item})
    if asks:
        method = "item/fileChange/requestApproval"
        outs += tell(adapter, id=9, method=method, params=ids | {"itemId": "f"})
        outs += adapter.answer("run-1:9", "allow", "")
    done = ids | {"item": item | {"status": "completed"}}
    outs += tell(adapter, method="item/completed", params=done)
    return chunks_of(outs + completed(adapter))


@pytest.mark.parametrize(("asks", "count"), [(True, None), (False, 1)])
def test_a_change_that_was_not_asked_about_is_marked(adapter, asks, count):
    chunks = change(adapter, asks=asks)

    marked = [c for c in chunks if c.get("providerMetadata", {}).get("mesh", {}).get("unasked")]
    assert len(marked) == (count or 0)
    assert chunks[-1]["messageMetadata"].get("unaskedCalls") == count


def resolved(adapter):
    return tell(adapter, method="serverRequest/resolved", params={"threadId": "t", "requestId": 7})


def asked_for_a_command(adapter):
    given = turn("hi", toolApprovalLevel="readonly")
    outs = begin(adapter, given, sandbox={"type": "readOnly"})
    params = {"threadId": "t", "turnId": "u", "itemId": "c", "command": "ls", "cwd": "/folder"}
    return outs + tell(adapter, id=7, method="item/commandExecution/requestApproval", params=params)


def test_a_question_that_codex_settles_itself_is_taken_back(adapter):
    outs = asked_for_a_command(adapter) + resolved(adapter)

    (question,) = [out for out in outs if isinstance(out, Ask)]
    assert Withdrawn(question.approval_id) in outs
    assert adapter.answer(question.approval_id, "allow", "") == []
    check_turn(outs + completed(adapter))


def test_a_form_that_codex_settles_itself_is_closed(adapter):
    outs = begin(adapter)
    questions = [{"id": "a", "question": "Which?", "header": "H", "options": []}]
    params = {"threadId": "t", "turnId": "u", "itemId": "f", "questions": questions}
    outs += tell(adapter, id=7, method="item/tool/requestUserInput", params=params)
    outs += resolved(adapter)

    assert one(chunks_of(outs), "tool-output-error")["errorText"] == WITHDRAWN
    check_turn(outs + completed(adapter))


@pytest.mark.parametrize(
    "settle",
    [
        pytest.param(lambda adapter, ask: adapter.answer(ask, "allow", ""), id="with our answer"),
        pytest.param(lambda adapter, ask: adapter.interrupt(), id="because it is stopped"),
    ],
)
def test_a_question_settled_in_another_way_is_not_taken_back(adapter, settle):
    outs = asked_for_a_command(adapter)
    (question,) = [out for out in outs if isinstance(out, Ask)]

    outs = settle(adapter, question.approval_id) + resolved(adapter)

    assert not [out for out in outs if isinstance(out, Withdrawn)]
