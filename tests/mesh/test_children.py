"""Own and adopted child processes; in a process of its own, which adopts its orphans."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from mesh import children

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.skipif(not children.HAS_PROC, reason="needs /proc")

ORPHANS = """
import os, subprocess, sys
from mesh import children
assert children.adopt_orphans()
own = children.start(lambda: subprocess.Popen(["sleep", "600"]))
command = ["sh", "-c", "sleep 600 >/dev/null 2>&1 & echo $!"]
shell = children.start(lambda: subprocess.Popen(command, stdout=subprocess.PIPE))
orphan = int(shell.communicate()[0])
assert [pid for pid, _ in children.list_adopted()] == [orphan]
os.kill(orphan, 9)
own.kill()
while dict(children.list_adopted())[orphan] != "Z":
    pass
children.reap_adopted()
assert not children.list_adopted()
assert own.wait() == -9
print("done")
"""


def test_an_orphan_is_told_from_a_child_of_our_own_and_reaped():
    done = subprocess.run(
        [sys.executable, "-c", ORPHANS], cwd=ROOT, capture_output=True, text=True, check=False
    )

    assert (done.stdout, done.stderr) == ("done\n", "")


def test_who_does_not_adopt_has_adopted_nobody():
    with subprocess.Popen(["sleep", "600"]) as child:
        assert children.list_adopted() == []
        child.kill()


STARTERS = {f"subprocess.{name}" for name in ("Popen", "run", "call", "check_call", "check_output")}


def starts_outside(tree):
    """Return the lines on which a process is started, but not through ``children.start``."""
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
    noted = [call for call in calls if ast.unparse(call.func) == "children.start"]
    inside = {id(inner) for call in noted for inner in ast.walk(call)}
    starts = [call for call in calls if ast.unparse(call.func) in STARTERS]
    return [call.lineno for call in starts if id(call) not in inside]


@pytest.mark.parametrize("folder", ["sandboxes/daemon", "mesh/git"])
def test_a_sandbox_notes_every_child_that_it_starts(folder):
    """One that it didn't would be taken for an orphan, and ended."""
    found = {
        str(path): lines
        for path in (ROOT / folder).rglob("*.py")
        if (lines := starts_outside(ast.parse(path.read_text())))
    }

    assert found == {}
