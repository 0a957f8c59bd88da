"""Every call of git is put together in one package, and has nothing of its surroundings in it."""

from __future__ import annotations

import ast
import os
import shutil
from pathlib import Path

import pytest

from mesh.git.calls import GitMissing, Outside, build, protocols_for, version_call

CODE = Path(__file__).parents[3]
READING = ("get", "_object")  # a key of that name
STARTING = ("run", "call", "check_call", "check_output", "Popen", "system", "getoutput")
OURS = ("mesh", "links", "agents", "sandboxes", "threads")


def programs_named_in(source):
    """Return the texts that stand first in a list or a tuple, or alone in a call."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.List | ast.Tuple):
            first = node.elts[:1]
        elif isinstance(node, ast.Call):
            first = node.args[:1]
        else:
            continue
        for each in first:
            if isinstance(each, ast.Starred) and isinstance(each.value, ast.Tuple | ast.List):
                each = next(iter(each.value.elts), each)
            if isinstance(each, ast.Constant) and isinstance(each.value, str):
                yield getattr(node, "func", None), each.value


def starts_git(path):
    for function, text in programs_named_in(path.read_text(encoding="utf-8")):
        name = getattr(function, "attr", getattr(function, "id", ""))
        if text == "git" and name not in READING:
            return True
        if text.startswith("git ") and name in STARTING:
            return True
    return False


def test_no_other_module_starts_git():
    found = {
        str(path.relative_to(CODE))
        for folder in OURS
        for path in (CODE / folder).rglob("*.py")
        if starts_git(path)
    }

    # The developer's commands ask for the system's own git, in no repository; the doctor only looks
    # whether there is one.
    assert found == {"mesh/git/calls.py", "mesh/develop.py", "links/daemon/doctor/service.py"}


@pytest.mark.parametrize(
    "source",
    ['run(["git", "status"])', 'run(("git", *args))', 'exec(*("git", "x"))', 'system("git log")'],
)
def test_a_start_of_git_is_found(source, tmp_path):
    file = tmp_path / "x.py"
    file.write_text(source)

    assert starts_git(file)


def test_what_surrounds_us_says_nothing_to_git():
    parent = dict.fromkeys(
        ("GIT_DIR", "GIT_EXTERNAL_DIFF", "GIT_CONFIG_COUNT", "GIT_PROXY_COMMAND", "GIT_EXEC_PATH"),
        "evil",
    )
    given = parent | {"PATH": os.environ["PATH"], "GIT_SSH_COMMAND": "ssh -i mine", "HOME": "/h"}

    env = build(["status"], cwd=Path("/"), parent=given).env

    assert "evil" not in env.values()
    assert (env["GIT_SSH_COMMAND"], env["HOME"]) == ("ssh -i mine", "/h")


def test_git_is_not_taken_from_the_folder_that_it_works_in(tmp_path, monkeypatch):
    (tmp_path / "git").write_text("#!/bin/sh\n")
    (tmp_path / "git").chmod(0o755)
    monkeypatch.chdir(tmp_path)

    call = build(["status"], cwd=tmp_path, parent={"PATH": f".::{os.environ['PATH']}"})

    assert os.path.isabs(call.argv[0])
    assert Path(call.argv[0]).parent != tmp_path
    with pytest.raises(GitMissing):
        build(["status"], cwd=tmp_path, parent={"PATH": "."})


@pytest.mark.parametrize(
    ("address", "protocols"),
    [
        ("https://mesh.example/a", ("https", "ssh")),
        ("git@mesh.example:a", ("https", "ssh")),
        ("http://mesh.example/a", ("https", "ssh", "http")),
        ("file:///srv/a", ("https", "ssh", "file")),
        ("/srv/a", ("https", "ssh", "file")),
    ],
)
def test_by_which_protocols_a_repository_is_reached(address, protocols):
    assert protocols_for(address) == protocols


def test_only_what_needs_others_may_reach_them():
    parent = {"PATH": os.environ["PATH"]}

    assert Outside(Path("/")).call(("clone", "x"), parent).env["GIT_ALLOW_PROTOCOL"] == "https:ssh"
    assert version_call(parent).env["GIT_ALLOW_PROTOCOL"] == "none"


@pytest.mark.parametrize(
    ("folder", "is_found"),
    [
        pytest.param("{bin}", True, id="on the PATH"),
        pytest.param("/nowhere", False, id="not there"),
        pytest.param("bin", False, id="in the folder that git works in"),
    ],
)
def test_git_calls_git_lfs_only_where_it_is(tmp_path, monkeypatch, folder, is_found):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/git-lfs").write_text("")
    (tmp_path / "bin/git-lfs").chmod(0o755)
    (tmp_path / "only").mkdir()
    (tmp_path / "only/git").symlink_to(shutil.which("git"))
    path = os.pathsep.join([folder.format(bin=tmp_path / "bin"), str(tmp_path / "only")])

    call = build(["status"], cwd=tmp_path, parent={"PATH": path})

    assert ("filter.lfs.required=false" not in call.argv) == is_found
