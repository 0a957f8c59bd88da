"""What the parts of ``make test`` leave out, and where they keep what is compiled."""

from __future__ import annotations

import subprocess

import pytest

from mesh import develop


@pytest.mark.parametrize("folder", develop.SLOW)
def test_a_folder_that_is_not_read_has_no_quick_test(folder):
    top = develop.ROOT / "tests" / folder
    conftest = (top / "conftest.py").read_text()

    assert "item.add_marker(pytest.mark." in conftest or all(
        "\npytestmark = " in path.read_text() for path in top.glob("test_*.py")
    )


@pytest.mark.parametrize(
    ("suite", "forbidden", "written"),
    [
        pytest.param("quick", "1", True, id="not beside the sources"),
        pytest.param("quick", "", False, id="beside the sources, as always"),
        pytest.param("programs", "1", False, id="the environment of programs is theirs"),
    ],
)
def test_what_is_compiled_is_kept(suite, forbidden, written, monkeypatch):
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", forbidden)
    monkeypatch.delenv("PYTHONPYCACHEPREFIX", raising=False)

    environ = develop._compiling_once(suite)

    prefix = str(develop.ROOT / "build" / "pycache")
    forced = {"PYTHONDONTWRITEBYTECODE": "", "PYTHONPYCACHEPREFIX": prefix}
    assert environ == (forced if written else {})


def test_a_git_from_a_wheel_finds_its_scripts_wherever_it_is(tmp_path):
    place = tmp_path / "a git"
    (place / "bin").mkdir(parents=True)
    (place / "libexec/git-core").mkdir(parents=True)
    (place / "bin/git").write_text('#!/bin/sh\necho "$GIT_EXEC_PATH" "$GIT_TEMPLATE_DIR" "$@"\n')
    (place / "bin/git").chmod(0o755)

    develop.complete_git(place)

    said = subprocess.run([place / "path/git", "x y"], capture_output=True, text=True, check=True)
    assert said.stdout == (f"{place}/libexec/git-core {place}/share/git-core/templates x y\n")
