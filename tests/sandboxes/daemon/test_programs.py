from __future__ import annotations

import sys
from pathlib import Path

import pytest

from sandboxes.daemon.programs import ProgramMissing, find_program


def make_program(folder, name="claude"):
    folder.mkdir(parents=True)
    program = folder / name
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    return str(program)


def test_the_path_comes_first(tmp_path):
    on_path = make_program(tmp_path / "bin")
    make_program(tmp_path / ".local/bin")

    env = {"PATH": str(tmp_path / "bin"), "HOME": str(tmp_path)}
    assert find_program("claude", env) == [on_path]


@pytest.mark.parametrize(
    ("name", "folder"),
    [
        ("claude", ".local/bin"),
        ("claude", ".claude/local"),
        ("codex", ".local/bin"),
        ("gemini", ".local/bin"),
        ("opencode", ".opencode/bin"),
    ],
)
def test_then_the_usual_folders(tmp_path, name, folder):
    program = make_program(tmp_path / folder, name)

    assert find_program(name, {"PATH": "/nowhere", "HOME": str(tmp_path)}) == [program]


def test_a_missing_program_is_named(tmp_path):
    with pytest.raises(ProgramMissing, match="goose"):
        find_program("goose", {"PATH": str(tmp_path)})


def test_the_demo_agent_is_a_file_of_ours():
    python, *_, program = find_program("mesh-demo-agent", {})

    assert python == sys.executable
    assert Path(program).name == "demo_agent.py"
    assert Path(program).is_file()
