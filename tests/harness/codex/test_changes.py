from __future__ import annotations

import pytest

from agents.harness.codex.changes import as_input


def change(kind, diff, path="/folder/a.txt", **more):
    return {"path": path, "kind": {"type": kind} | more, "diff": diff}


@pytest.mark.parametrize(
    ("given", "diff"),
    [
        pytest.param(
            change("add", "one\ntwo\n"),
            "--- /dev/null\n+++ b/a.txt\n@@ -0,0 +1,2 @@\n+one\n+two\n",
            id="a new file",
        ),
        pytest.param(
            change("delete", "one\n"),
            "--- a/a.txt\n+++ /dev/null\n@@ -1,1 +0,0 @@\n-one\n",
            id="a file that goes",
        ),
        pytest.param(
            change("update", "@@ -1 +1 @@\n-a\n+b"),
            "--- a/a.txt\n+++ b/a.txt\n@@ -1 +1 @@\n-a\n+b\n",
            id="a change",
        ),
        pytest.param(
            change("update", "", move_path="/folder/b.txt"),
            "--- a/a.txt\n+++ b/b.txt\n",
            id="a move",
        ),
        pytest.param(change("add", ""), "--- /dev/null\n+++ b/a.txt\n", id="an empty file"),
    ],
)
def test_each_change_is_a_unified_diff(given, diff):
    assert as_input([given], "/folder") == {"file_path": "a.txt", "diff": diff}


def test_several_changes_are_one_diff():
    given = as_input([change("add", "x\n"), change("add", "y\n", path="/else/b")], "/folder")

    assert given["file_path"] == "a.txt, /else/b"
    assert given["diff"].count("+++") == 2
