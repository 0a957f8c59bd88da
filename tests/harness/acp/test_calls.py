from __future__ import annotations

import pytest

from agents.harness.acp.calls import Call

DIFF = {"type": "diff", "path": "/folder/a", "oldText": "x\n", "newText": "y\n"}
FENCED = "````console\none\n```\ntwo\n````"


def call(**told):
    made = Call("/folder")
    made.update(told)
    return made


@pytest.mark.parametrize(
    ("told", "name", "given"),
    [
        pytest.param(
            {"kind": "execute", "rawInput": {"command": "ls", "cwd": "/folder"}},
            "Bash",
            {"command": "ls"},
            id="a command",
        ),
        pytest.param(
            {"kind": "execute", "rawInput": {"command": "ls", "cwd": "/elsewhere"}},
            "Bash",
            {"command": "ls", "cwd": "/elsewhere"},
            id="a command in another folder",
        ),
        pytest.param(
            {"kind": "execute", "rawInput": {"command": "ls", "env": {"A": "b"}}},
            "Bash",
            {"command": "ls", "env": {"A": "b"}},
            id="a command with a variable",
        ),
        pytest.param(
            {
                "kind": "edit",
                "rawInput": {"filePath": "/folder/a", "file_path": "/folder/b"},
                "locations": [{"path": "/folder/a"}, {"path": "/folder/c"}],
            },
            "Edit",
            {"file_path": "a, b, c"},
            id="every file that is named",
        ),
        pytest.param(
            {"kind": "edit", "content": [DIFF], "rawInput": {"filepath": "/folder/b"}},
            "Edit",
            {"file_path": "a, b", "diff": "--- a/a\n+++ b/a\n@@ -1 +1 @@\n-x\n+y\n"},
            id="a file that the diff does not name",
        ),
        pytest.param(
            {"kind": "execute", "title": "ls"}, "Bash", {"command": "ls"}, id="only its title"
        ),
        pytest.param(
            {"kind": "edit", "content": [DIFF]},
            "Edit",
            {"file_path": "a", "diff": "--- a/a\n+++ b/a\n@@ -1 +1 @@\n-x\n+y\n"},
            id="an edit",
        ),
        pytest.param(
            {"kind": "read", "locations": [{"path": "/folder/b"}]},
            "Read",
            {"file_path": "b"},
            id="a place",
        ),
        pytest.param(
            {"kind": "other", "title": "Weather", "rawInput": {"city": "Rome"}},
            "Tool",
            {"city": "Rome"},
            id="a title names no tool",
        ),
        pytest.param(
            {"kind": "other", "name": "weather", "title": "Rome", "rawInput": {"city": "Rome"}},
            "weather",
            {"city": "Rome"},
            id="its own name",
        ),
        pytest.param(
            {"kind": "other", "_meta": {"toolName": "weather"}, "rawInput": {"city": "Rome"}},
            "weather",
            {"city": "Rome"},
            id="its own name beside the call",
        ),
        pytest.param(
            {"_meta": {"toolName": "run_shell_command"}, "rawInput": {"command": "ls"}},
            "Bash",
            {"command": "ls"},
            id="the own name of a tool that every agent has",
        ),
        pytest.param(
            {"kind": "other", "name": "x" * 61, "rawInput": {"city": "Rome"}},
            "Tool",
            {"city": "Rome"},
            id="a name that is too long",
        ),
        pytest.param({}, "Tool", {"title": ""}, id="nothing told"),
    ],
)
def test_name_and_input(told, name, given):
    made = call(**told)

    assert (made.name, made.input) == (name, given)


@pytest.mark.parametrize(
    ("told", "is_told"),
    [
        ({"status": "pending", "rawInput": {}}, False),
        ({"status": "pending", "rawInput": {"cwd": "/folder"}}, False),
        ({"status": "pending", "rawInput": {"command": "ls"}}, True),
        ({"status": "pending", "content": [DIFF]}, True),
        ({"status": "in_progress"}, True),
    ],
)
def test_a_call_may_begin_before_its_input_is_known(told, is_told):
    assert call(**told).has_input is is_told


def test_what_an_update_does_not_name_stays():
    made = call(kind="execute", title="ls", rawInput={"command": "ls"})

    made.update({"status": "completed", "title": None})

    assert (made.status, made.name, made.input) == ("completed", "Bash", {"command": "ls"})


@pytest.mark.parametrize(
    ("told", "text"),
    [
        ({"content": [{"type": "content", "content": {"type": "text", "text": "hi"}}]}, "hi"),
        ({"content": [{"type": "content", "content": {"type": "audio"}}]}, "[audio]"),
        ({"rawOutput": {"output": "hi"}}, "hi"),
        ({"rawOutput": "hi"}, "hi"),
        ({"content": [DIFF], "status": "completed"}, "The change was made."),
        ({"content": [DIFF], "status": "pending"}, ""),
        ({"content": [DIFF]}, ""),
        (
            {"content": [{"type": "content", "content": {"type": "text", "text": FENCED}}]},
            "one\n```\ntwo",
        ),
        ({"rawOutput": {"stdout": "hi"}}, "hi"),
        (
            {
                "rawInput": {"description": "List it"},
                "content": [{"type": "content", "content": {"type": "text", "text": "List it"}}],
                "rawOutput": "a b",
            },
            "a b",
        ),
        (
            {
                "content": [
                    {
                        "type": "content",
                        "content": {"type": "resource_link", "name": "n", "uri": "file:///n"},
                    },
                    {
                        "type": "content",
                        "content": {"type": "resource", "resource": {"uri": "m:", "text": "x"}},
                    },
                ]
            },
            "n (file:///n)\nm:\nx",
        ),
        ({}, ""),
    ],
)
def test_what_it_gave(told, text):
    assert call(**told).text == text


@pytest.mark.parametrize(
    ("told", "failure"),
    [
        ({"status": "completed"}, ""),
        ({"status": "failed"}, "Failed."),
        ({"status": "failed", "rawOutput": {"error": "no"}}, "no"),
        (
            {"kind": "execute", "rawOutput": {"output": "oops\n", "metadata": {"exit": 3}}},
            "Exit code 3\noops",
        ),
        ({"kind": "execute", "rawOutput": {"output": "", "metadata": {"exit": 0}}}, ""),
        ({"kind": "read", "rawOutput": {"metadata": {"exit": 3}}}, ""),
    ],
)
def test_why_it_failed(told, failure):
    assert call(**told).failure == failure


def test_output_that_comes_as_metadata_is_its_output():
    made = call(kind="read", content=[{"type": "terminal", "terminalId": "t"}])

    made.add_output({"_meta": {"terminal_output_delta": {"terminal_id": "t", "data": "one "}}})
    made.add_output({"_meta": {"terminal_output_delta": {"terminal_id": "t", "data": "two"}}})
    made.add_output({"_meta": {"terminal_exit": {"terminal_id": "t", "exit_code": 2}}})

    assert (made.text, made.failure) == ("one two", "Exit code 2\none two")


def test_a_picture_is_no_text():
    picture = {"type": "image", "mimeType": "image/png", "data": "iVBORw0KGgo="}

    made = call(content=[{"type": "content", "content": picture}])

    assert made.text == ""
    assert [each.media_type for each in made.pictures] == ["image/png"]


QWEN = {"toolName": "mcp__notes__add"}


@pytest.mark.parametrize(
    ("told", "name", "is_known"),
    [
        pytest.param({"name": "Add", "rawInput": {}}, "Add", True, id="its own name"),
        pytest.param(
            {"title": '{"id": 1}', "rawInput": {"id": 1}, "_meta": QWEN},
            "mcp__notes__add",
            True,
            id="named beside the protocol",
        ),
        pytest.param(
            {"title": '{"id": 1}', "rawInput": {"id": 1}}, "Tool", False, id="only a title"
        ),
        pytest.param({"kind": "delete", "rawInput": {"id": 1}}, "Delete", False, id="only a kind"),
        pytest.param(
            {"kind": "fetch", "name": "mcp__a__get", "rawInput": {"url": "https://a.example"}},
            "mcp__a__get",
            True,
            id="a server's tool of a kind that others have too",
        ),
        pytest.param(
            {"kind": "fetch", "name": "web_fetch", "rawInput": {"url": "https://a.example"}},
            "web_fetch",
            True,
            id="the usual tool of its kind",
        ),
        pytest.param(
            {"name": "x" * 61, "rawInput": {}}, "Tool", False, id="a name that is too long"
        ),
        pytest.param({"name": "Add", "title": "a"}, "Add", False, id="an input that is not told"),
        pytest.param(
            {"kind": "execute", "rawInput": {"command": "ls"}}, "Bash", True, id="a command"
        ),
        pytest.param(
            {"kind": "execute", "title": "ls"},
            "Bash",
            False,
            id="a command that only its title tells",
        ),
        pytest.param(
            {"kind": "edit", "content": [DIFF]}, "Edit", True, id="a change with its diff"
        ),
        pytest.param(
            {"kind": "edit", "locations": [{"path": "/folder/a"}]}, "Edit", False, id="a bare edit"
        ),
    ],
)
def test_what_identifies_a_call(told, name, is_known):
    made = call(**told)

    assert (made.name, made.is_known) == (name, is_known)
