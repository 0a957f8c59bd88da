from __future__ import annotations

import pytest

from agents.harness.answer import AnswerBuilder
from agents.harness.codex import approvals
from agents.harness.codex.items import Items
from tests.harness.driver import turn


@pytest.fixture
def items():
    items = Items(AnswerBuilder("run-1"))
    items.started({"id": "c", "type": "commandExecution", "command": "/bin/sh -c ls"})
    change = {"path": "a", "kind": {"type": "add"}, "diff": "x\n"}
    items.started({"id": "f", "type": "fileChange", "changes": [change]})
    items.started({"id": "m", "type": "mcpToolCall", "server": "s", "tool": "t"})
    return items


MCP = {"codex_approval_kind": "mcp_tool_call", "tool_name": "t", "tool_params": {"a": 1}}


@pytest.mark.parametrize(
    ("method", "params", "call", "tool", "given"),
    [
        pytest.param(
            approvals.COMMAND,
            {"itemId": "c", "reason": "Why."},
            "c",
            "Bash",
            {"command": "ls", "reason": "Why."},
            id="a command, with the reason",
        ),
        pytest.param(
            approvals.COMMAND,
            {"itemId": "new", "command": "/bin/sh -c pwd"},
            "new",
            "Bash",
            {"command": "pwd"},
            id="a command without an item",
        ),
        pytest.param(
            approvals.COMMAND,
            {"itemId": "c", "command": "/bin/sh -c 'ls; id'", "cwd": "/elsewhere"},
            "c",
            "Bash",
            {"command": "ls; id", "cwd": "/elsewhere"},
            id="a command that is another than the item's",
        ),
        pytest.param(
            approvals.COMMAND,
            {
                "itemId": "c",
                "networkApprovalContext": {"host": "x.example", "protocol": "https"},
                "additionalPermissions": {"fileSystem": {"write": ["/"]}},
            },
            "c",
            "Bash",
            {
                "command": "ls",
                "network": {"host": "x.example", "protocol": "https"},
                "permissions": {"fileSystem": {"write": ["/"]}},
            },
            id="a command that wants the network, and more of the disk",
        ),
        pytest.param(
            approvals.CHANGE,
            {"itemId": "f", "grantRoot": "/"},
            "f",
            "Edit",
            {
                "file_path": "a",
                "diff": "--- /dev/null\n+++ b/a\n@@ -0,0 +1,1 @@\n+x\n",
                "grantRoot": "/",
            },
            id="a change, and all others below a folder",
        ),
        pytest.param(
            approvals.CHANGE,
            {"itemId": "f"},
            "f",
            "Edit",
            {"file_path": "a", "diff": "--- /dev/null\n+++ b/a\n@@ -0,0 +1,1 @@\n+x\n"},
            id="a change: the item has its diff",
        ),
        pytest.param(
            approvals.ELICITATION,
            {"serverName": "s", "_meta": MCP},
            "m",
            "mcp__s__t",
            {"a": 1},
            id="an MCP tool: found by its name",
        ),
        pytest.param(
            approvals.PERMISSIONS,
            {"itemId": "c", "permissions": {"network": True}},
            "",
            "Permissions",
            {"permissions": {"network": True}},
            id="more permissions",
        ),
    ],
)
def test_what_is_asked(items, method, params, call, tool, given):
    question = approvals.read(method, 7, params, items)

    assert (question.call, question.tool, question.input) == (call, tool, given)


@pytest.mark.parametrize(
    ("told", "is_known"),
    [
        pytest.param({"serverName": "s", "_meta": MCP}, True, id="by server and tool"),
        pytest.param({"_meta": MCP}, False, id="no server"),
        pytest.param(
            {"serverName": "s", "message": "t?", "_meta": MCP | {"tool_name": ""}},
            False,
            id="only the server's own words",
        ),
    ],
)
def test_a_tool_of_a_server_is_known_by_both_names(items, told, is_known):
    assert approvals.read(approvals.ELICITATION, 7, told, items).is_known is is_known


@pytest.mark.parametrize(
    ("method", "params"),
    [
        pytest.param(approvals.ELICITATION, {"_meta": None}, id="a form of an MCP server"),
        pytest.param("item/tool/call", {}, id="something else"),
    ],
)
def test_what_is_no_question_of_yes_or_no(items, method, params):
    assert approvals.read(method, 7, params, items) is None


@pytest.mark.parametrize(
    ("method", "params", "yes", "no"),
    [
        (approvals.COMMAND, {}, {"decision": "accept"}, {"decision": "decline"}),
        (
            approvals.ELICITATION,
            {"_meta": MCP},
            {"action": "accept", "content": {}, "_meta": None},
            {"action": "decline", "content": None, "_meta": None},
        ),
        (
            approvals.PERMISSIONS,
            {"permissions": {"network": True}},
            {"permissions": {"network": True}, "scope": "turn"},
            {"permissions": {}, "scope": "turn"},
        ),
    ],
)
def test_an_answer_is_for_this_one_time(items, method, params, yes, no):
    question = approvals.read(method, 7, params, items)

    assert approvals.reply(question, is_allowed=True) == yes
    assert approvals.reply(question, is_allowed=False) == no


FORM = {
    "itemId": "c",
    "questions": [
        {
            "id": "q1",
            "header": "Colour",
            "question": "Which?",
            "options": [{"label": "Red", "description": "Warm"}],
        },
        {"id": "q2", "header": "", "question": "Why?", "options": None},
    ],
}


@pytest.mark.parametrize("mode", ["default", "plan"])
def test_a_form_of_the_model_is_a_question_at_every_level(items, mode):
    question = approvals.read(approvals.FORM, 7, FORM, items)

    assert (question.call, question.tool) == ("c", "AskUserQuestion")
    assert question.input["questions"][0] == {
        "question": "Which?",
        "header": "Colour",
        "options": [{"label": "Red", "description": "Warm"}],
        "multiSelect": False,
    }
    assert approvals.decide(question, turn("hi", mode=mode)) == "ask"


def test_a_form_is_filled_by_the_names_of_its_questions(items):
    question = approvals.read(approvals.FORM, 7, FORM, items)

    reply = approvals.reply(question, is_allowed=True, answers={"Which?": ["Red", "Blue"]})

    assert reply["answers"]["q1"] == {"answers": ["Red", "Blue"]}
    assert reply["answers"]["q2"] == {"answers": [approvals.SKIPPED]}


@pytest.mark.parametrize(("told", "is_secret"), [({"isSecret": True}, True), ({}, False)])
def test_codex_says_which_answer_is_secret(items, told, is_secret):
    asked = {"questions": [{"id": "q", "question": "Key?", "header": "Key", **told}]}
    question = approvals.read(approvals.FORM, 1, asked, items)

    assert question.input["questions"][0].get("secret", False) is is_secret


OPTIONS = {"options": [{"label": "Red", "description": ""}]}


@pytest.mark.parametrize(
    ("told", "other"),
    [
        pytest.param({"isOther": False} | OPTIONS, False, id="only the options"),
        pytest.param({"isOther": True} | OPTIONS, True, id="a free text as well"),
        pytest.param({"isOther": False, "options": None}, None, id="nothing to choose from"),
        pytest.param(OPTIONS, None, id="nothing said"),
    ],
)
def test_codex_says_whether_another_answer_may_be_given(items, told, other):
    asked = {"questions": [{"id": "q", "question": "Which?", "header": "", **told}]}
    question = approvals.read(approvals.FORM, 1, asked, items)

    assert question.input["questions"][0].get("other") is other


@pytest.mark.parametrize(
    ("reason", "because"),
    [
        ("`ls -l` requires approval by policy", "A rule of yours for Codex asks."),
        (
            "`ls -l` requires approval: Each.",
            "A rule of yours for Codex asks: Each.",
        ),
        ("`rm x` requires approval by policy", ""),
        ("May I?", ""),
        ("", ""),
    ],
)
def test_the_persons_own_rules_ask_at_auto(items, reason, because):
    params = {"itemId": "c", "command": "ls -l", "reason": reason}

    question = approvals.read(approvals.COMMAND, 1, params, items)

    assert question.because == because
    assert approvals.decide(question, turn()) == ("ask" if because else "allow")
    assert approvals.decide(question, turn(mode="plan")) == "deny"
