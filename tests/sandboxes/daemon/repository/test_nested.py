"""Repositories that an agent made inside the folder: shown, asked about, and never looked into."""

from __future__ import annotations

import pytest

from mesh.lib.errors import AppError
from tests.sandboxes.daemon.projects import address_of, git, repository
from tests.sandboxes.daemon.repository.publishing import BRANCH, place_of
from tests.sandboxes.daemon.repository.traps import program_at

pytestmark = pytest.mark.programs


def make_inner(place, *, commits=True):
    place.write("inner/file", "x\n")
    place.write("inner/deep/er.txt", "y\n")
    git(place.repo / "inner", "init", "-q")
    if commits:
        git(place.repo / "inner", "add", ".")
        git(place.repo / "inner", "commit", "-qm", "inner")


def published(server):
    return git(server, "ls-tree", "-r", "--name-only", BRANCH).split()


async def test_it_is_shown_with_its_files(sandbox, repo):
    (repo / "inner").mkdir()
    git(repo / "inner", "init", "-q")
    (repo / "inner/file").write_text("x\n")

    for path in ("status", "diff"):
        files = (await sandbox.get(f"/git/{path}")).json()["files"]
        assert files == [{"path": "inner/", "status": "??", "nested": True, "files": 1}]
    reply = await sandbox.post("/git/publish", {"message": "work"})
    assert (reply.status_code, reply.json()["error"]["code"]) == (409, "nested_repository")


@pytest.mark.parametrize("commits", [True, False])
def test_the_person_is_asked(place, server, commits):
    make_inner(place, commits=commits)
    place.write("new.txt", "work\n")
    before = place.state()

    with pytest.raises(AppError) as caught:
        place.publish()

    assert caught.value.code == "nested_repository"
    assert caught.value.extra["repositories"] == [{"path": "inner/", "files": 2}]
    assert place.state() == before
    assert git(server, "branch", "--list", BRANCH) == ""


def test_its_files_are_included_as_plain_files(place, server):
    make_inner(place)
    place.write("inner/.gitignore", "*.log\n!keep.log\n")
    place.write("inner/a.log", "noise\n")
    place.write("inner/keep.log", "kept\n")
    program, mark = program_at(place.root)
    git(place.repo / "inner", "config", "core.fsmonitor", program)

    done = place.publish(nested="include")

    inner = ["inner/.gitignore", "inner/deep/er.txt", "inner/file", "inner/keep.log"]
    assert published(server) == ["a.txt", "b.txt", *inner]
    assert (done["nestedLeft"], done["workingTreeDirty"]) == ([], False)
    assert not mark.exists()


def test_it_is_left_where_it_is(place, server):
    make_inner(place)
    place.write("new.txt", "work\n")

    done = place.publish(nested="leave")

    assert published(server) == ["a.txt", "b.txt", "new.txt"]
    assert done["nestedLeft"] == ["inner/"]
    assert (place.repo / "inner/.git").is_dir()


@pytest.mark.parametrize("is_committed", [True, False])
@pytest.mark.parametrize("choice", ["include", "leave"])
def test_a_link_that_an_agent_has_added_is_no_work(place, server, choice, is_committed):
    make_inner(place)
    git(place.repo, "-c", "advice.addEmbeddedRepo=false", "add", "inner")
    if is_committed:
        git(place.repo, "commit", "-qm", "with a link")
    with pytest.raises(AppError, match="repositories of their own"):
        place.publish()

    place.publish(nested=choice)

    files = ["inner/deep/er.txt", "inner/file"] if choice == "include" else []
    assert published(server) == ["a.txt", "b.txt", *files]


def test_an_empty_one_does_not_matter(place, server):
    (place.repo / "inner").mkdir()
    git(place.repo / "inner", "init", "-q")
    place.write("new.txt", "work\n")

    assert place.publish()["nestedLeft"] == []
    assert published(server) == ["a.txt", "b.txt", "new.txt"]


def test_a_submodule_is_none(place, server, tmp_path):
    repository(tmp_path / "part", {"part.txt": "x\n"})
    url = address_of(tmp_path / "part")
    git(place.repo, "submodule", "--quiet", "add", url, "part")

    place.publish()

    assert published(server) == [".gitmodules", "a.txt", "b.txt", "part"]


def test_a_link_that_leads_out_of_it_is_not_followed(place, server, tmp_path):
    make_inner(place)
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret/key").write_text("secret\n")
    (place.repo / "inner/out").symlink_to(tmp_path / "secret")

    place.publish(nested="include")

    assert git(server, "show", f"{BRANCH}:inner/out") == str(tmp_path / "secret")


def test_without_any_commit_leaving_it_publishes_nothing(tmp_path, home, server):
    """Pushing no commit would delete the branch on the server."""
    git(server, "branch", BRANCH)
    git(tmp_path, "clone", "-q", address_of(server), "clone")
    place = place_of(tmp_path / "clone", tmp_path / "sandbox")
    git(place.repo, "checkout", "-q", "--orphan", "another")
    git(place.repo, "branch", "-q", "-D", BRANCH)
    git(place.repo, "symbolic-ref", "HEAD", f"refs/heads/{BRANCH}")
    git(place.repo, "rm", "-rfq", ".")
    make_inner(place)

    with pytest.raises(AppError):
        place.publish(nested="leave", replaces=True)

    assert git(server, "branch", "--list", BRANCH)
