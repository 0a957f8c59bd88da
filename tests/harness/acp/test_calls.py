from __future__ import annotations

import pytest

from agents.harness.acp.calls import Call

DIFF = {"type": "diff", "path": "/folder/a", "oldText": "x\n", "newText": "y\n"}


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
            "Weather",
            {"city": "Rome"},
            id="another tool",
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
        ({"content": [{"type": "content", "content": {"type": "image"}}]}, "[image]"),
        ({"rawOutput": {"output": "hi"}}, "hi"),
        ({"rawOutput": "hi"}, "hi"),
        ({"content": [DIFF]}, "The change was made."),
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
