"""No file tool reaches what is git's, by any name that git takes for its own folder."""

from __future__ import annotations

import pytest

REFUSED = (403, "git_folder")
NAMES = [
    pytest.param(".git", id="its name"),
    pytest.param(".GIT", id="another case"),
    pytest.param("git~1", id="a short name"),
    pytest.param(".git.", id="a dot behind it"),
    pytest.param(".git ", id="a blank behind it"),
    pytest.param(".git::$INDEX_ALLOCATION", id="a stream"),
    pytest.param(".g\u200cit", id="a sign without width"),
    pytest.param("\ufeff.git", id="a mark of byte order"),
    pytest.param("sub/.git", id="of a repository inside"),
    pytest.param("sub/../.git", id="by the way up"),
    pytest.param("link", id="a link to it"),
    pytest.param(".git\\hooks", id="with the other slash"),
]
TOOLS = [
    ("read", {}),
    ("write", {"content": "[core]"}),
    ("edit", {"old_string": "a", "new_string": "b"}),
    ("unlink", {}),
    ("mkdir", {}),
    ("grep", {"pattern": "core"}),
    ("glob", {"pattern": "**"}),
    ("rename", {"to": "mine"}),
]


@pytest.fixture
def laid(repo):
    for folder in (repo / ".git", repo / "sub/.git"):
        folder.mkdir(parents=True)
        (folder / "config").write_text("[core]\n")
    (repo / "link").symlink_to(".git")
    return repo


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(("tool", "fields"), TOOLS)
async def test_no_tool_goes_into_it(call, laid, tool, fields, name):
    given = {"from" if tool == "rename" else "path": f"{name}/config", **fields}

    assert await call(tool, **given) == REFUSED
    assert (laid / ".git/config").read_text() == "[core]\n"


async def test_nothing_takes_its_name(call, laid):
    (laid / "made").mkdir()

    assert await call("rename", **{"from": "made", "to": "sub2/.git"}) == REFUSED
    assert await call("write", path="sub2/.git", content="gitdir: /tmp\n") == REFUSED
    assert await call("unlink", path=".git") == REFUSED


async def test_what_lies_in_it_is_not_listed(call, laid):
    assert (await call("glob", pattern="**"))["files"] == []
    assert (await call("grep", pattern="core"))["lines"] == []


@pytest.mark.parametrize("name", [".gitignore", ".github/x", "git", "a.git", ".git-x", "x~1"])
async def test_other_names_are_free(call, repo, name):
    assert (await call("write", path=name, content="x"))["ok"] is True
    assert (await call("read", path=name))["content"] == "1\tx"
