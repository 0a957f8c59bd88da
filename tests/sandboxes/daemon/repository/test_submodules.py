"""What the status says of work inside submodules. With real git."""

from __future__ import annotations

import shutil

import pytest

from mesh.git import submodules
from sandboxes.daemon.checkout.checkout import Job, run_job
from sandboxes.daemon.files.tree import Tree
from sandboxes.daemon.git import Git
from sandboxes.daemon.notices import Notices
from sandboxes.daemon.repository.errors import SubmoduleUnpublished
from sandboxes.daemon.repository.publish import Options
from sandboxes.daemon.repository.repository import Repository
from sandboxes.daemon.spec import parse_spec
from tests.sandboxes.daemon.projects import address_of, git, repository

pytestmark = pytest.mark.programs


@pytest.fixture
def root(tmp_path):
    """The folder of a sandbox with a clone that has a submodule ``lib``."""
    url = repository(tmp_path / "lib", {"a.txt": "one\n"})
    repository(tmp_path / "app", {"app.txt": "app\n"})
    git(tmp_path / "app", "-c", "protocol.file.allow=always", "submodule", "add", "-q", url, "lib")
    git(tmp_path / "app", "commit", "-qm", "with a submodule")
    (tmp_path / "root").mkdir()
    named = {"cloneUrl": address_of(tmp_path / "app"), "branch": "feature"}
    spec = parse_spec({"handle": "h-0123456789abcdef", "repo": named})
    run_job(Job(spec), tmp_path / "root/repo", Git(), Notices(tmp_path / "root"))
    return tmp_path / "root"


def states(root):
    found = Repository(Tree(root / "repo"), root).submodules()
    return [state.as_json() for state in found]


def test_a_submodule_without_work(root):
    head = git(root / "repo/lib", "rev-parse", "HEAD")

    assert states(root) == [
        {"path": "lib", "known": True, "headSha": head, "files": [], "unpushed": 0}
    ]


def test_changes_and_commits_inside_a_submodule(root):
    lib = root / "repo/lib"
    git(lib, "commit", "-q", "--allow-empty", "-m", "work")
    (lib / "a.txt").write_text("two\n")
    (lib / "new.txt").write_text("new\n")
    [state] = states(root)

    assert state["files"] == [
        {"path": "a.txt", "status": ".M"},
        {"path": "new.txt", "status": "??"},
    ]
    assert state["unpushed"] == 1


def test_an_empty_submodule_has_no_work(root):
    shutil.rmtree(root / "repo/lib")
    (root / "repo/lib").mkdir()
    [state] = states(root)

    assert (state["known"], state["headSha"], state["files"]) == (True, "", [])


@pytest.mark.parametrize(
    "do",
    [
        pytest.param(lambda root: submodules.forget(root), id="filled by somebody else"),
        pytest.param(
            lambda root: (
                shutil.move(root / "repo/lib", root / "moved"),
                (root / "repo/lib").symlink_to(root / "moved"),
            ),
            id="replaced by a link",
        ),
        pytest.param(
            lambda root: (root / "repo/lib/.git/commondir").write_text("../..\n"),
            id="taken from another repository",
        ),
    ],
)
def test_one_that_is_not_ours_is_not_looked_into(root, tmp_path, do):
    git(root / "repo/lib", "config", "core.fsmonitor", f"touch {tmp_path / 'ran'}; false")
    do(root)
    [state] = states(root)

    assert (state["known"], state["files"]) == (False, [])
    assert not (tmp_path / "ran").exists()


def test_nothing_that_a_submodule_s_configuration_names_is_run(root, tmp_path):
    git(root / "repo/lib", "config", "core.fsmonitor", f"touch {tmp_path / 'ran'}; false")
    [state] = states(root)

    assert state["known"]
    assert not (tmp_path / "ran").exists()


def test_a_project_without_submodules_has_none(tmp_path):
    url = repository(tmp_path / "app", {"app.txt": "app\n"})
    (tmp_path / "root").mkdir()
    spec = parse_spec({"handle": "h-0123456789abcdef", "repo": {"cloneUrl": url}})
    run_job(Job(spec), tmp_path / "root/repo", Git(), Notices(tmp_path / "root"))

    assert states(tmp_path / "root") == []


def test_a_commit_that_only_this_machine_has_is_not_published(root):
    git(root / "repo/lib", "commit", "-q", "--allow-empty", "-m", "work")
    repo = Repository(Tree(root / "repo"), root)
    before = git(root / "repo", "rev-parse", "HEAD")

    with pytest.raises(SubmoduleUnpublished) as caught:
        repo.publish(Options("work"), lambda call: pytest.fail(f"{call.name} is no hook"))

    assert caught.value.extra["submodules"] == ["lib"]
    assert git(root / "repo", "rev-parse", "HEAD") == before
