from __future__ import annotations

import pytest

from mesh.lib.git_names import is_git_name, is_in_git


@pytest.mark.parametrize(
    "name",
    [".git", ".GIT", ".Git", "git~1", "GIT~2", ".git.", ".git ", ".git. .", ".git:x", ".g\u200dit"],
)
def test_names_that_git_takes_for_its_folder(name):
    assert is_git_name(name)
    assert is_in_git(f"a/{name}/config")
    assert is_in_git(f"a\\{name}\\config")


@pytest.mark.parametrize("name", ["", "git", ".gitignore", ".github", "a.git", ".git-x", "..git"])
def test_names_that_it_does_not(name):
    assert not is_git_name(name)
    assert not is_in_git(f"a/{name}")
