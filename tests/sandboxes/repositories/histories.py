"""How much of the history is there, how it is stored, and what the person is in the middle of."""

from __future__ import annotations

from pathlib import Path

from tests.sandboxes.repositories.kind import Kind
from tests.sandboxes.repositories.making import cloned, commit, git, local, server, shared, write

MANY = 2000  # references


def _detached(folder: Path) -> Path:
    project = cloned(folder)
    git(project, "checkout", "-q", "--detach", "HEAD~1")
    return project


def _tag_only(folder: Path) -> Path:
    """A checkout of a tag, as a build server makes it: there is no branch."""
    project = cloned(folder)
    git(project, "tag", "v1")
    git(project, "checkout", "-q", "v1")
    git(project, "branch", "-q", "-D", "main")
    git(project, "remote", "set-head", "origin", "--delete")
    return project


def _shallow(folder: Path) -> Path:
    return cloned(folder, "--depth=1", "--no-single-branch")


def _single_branch(folder: Path) -> Path:
    return cloned(folder, "--single-branch")


def _partial(folder: Path) -> Path:
    project = cloned(folder)
    project.rename(folder / "whole")
    git(folder / "server.git", "config", "uploadpack.allowFilter", "true")
    git(folder / "server.git", "config", "uploadpack.allowAnySHA1InWant", "true")
    git(folder, "clone", "-q", "--filter=blob:none", f"file://{folder}/server.git", project)
    return project


def _sparse(folder: Path) -> Path:
    files = {f"part{n}/file.txt": b"text\n" for n in range(3)}
    project = shared(folder, files=files)
    git(project, "sparse-checkout", "set", "part1")
    return project


def _reftable(folder: Path) -> Path:
    return shared(folder, "--ref-format=reftable")


def _sha256(folder: Path) -> Path:
    return shared(folder, "--object-format=sha256")


def _empty_commit(folder: Path) -> Path:
    git(folder, "init", "-q", "-b", "main", folder / "project")
    git(folder / "project", "commit", "-q", "--allow-empty", "-m", "nothing yet")
    return folder / "project"


def _many_refs(folder: Path) -> Path:
    project = shared(folder)
    names = [f"refs/heads/topic/{n}" for n in range(MANY)] + [
        f"refs/tags/v{n}" for n in range(MANY)
    ]
    lines = "".join(f"create {name} HEAD\n" for name in names)
    git(project, "update-ref", "--stdin", given=lines.encode())
    git(project, "pack-refs", "--all")
    return project


def _packed(folder: Path) -> Path:
    """Everything as ``git gc`` and ``git maintenance`` leave it."""
    project = cloned(folder)
    git(project, "gc", "-q")
    git(project, "commit-graph", "write", "--reachable")
    git(project, "multi-pack-index", "write")
    return project


def _two_sides(folder: Path) -> Path:
    """A project whose branches main and side change one line differently."""
    project = shared(folder)
    git(project, "checkout", "-q", "-b", "side")
    commit(project, {"src/app.py": b"print('side')\n"}, "side")
    git(project, "checkout", "-q", "main")
    commit(project, {"src/app.py": b"print('main')\n"}, "main")
    return project


def _stopped(project: Path, *args: str) -> Path:
    """Run a command of git that stops at a conflict."""
    try:
        git(project, *args)
    except AssertionError:
        return project
    raise AssertionError("there was no conflict")


def _merging(folder: Path) -> Path:
    return _stopped(_two_sides(folder), "merge", "-q", "side")


def _rebasing(folder: Path) -> Path:
    return _stopped(_two_sides(folder), "rebase", "-q", "side")


def _picking(folder: Path) -> Path:
    return _stopped(_two_sides(folder), "cherry-pick", "side")


def _bisecting(folder: Path) -> Path:
    project = cloned(folder)
    git(project, "bisect", "start", "HEAD", "HEAD~2")
    return project


def _stash(folder: Path) -> Path:
    project = shared(folder)
    write(project, {"src/app.py": b"print('stashed')\n", "new.txt": b"stashed too\n"})
    git(project, "stash", "push", "-q", "--include-untracked")
    return project


def _edited(folder: Path) -> Path:
    """Staged, unstaged, new and deleted files, and files that were promised not to change."""
    files = {f"{name}.txt": b"one\n" for name in ("staged", "both", "gone", "assumed", "skipped")}
    project = shared(folder, files=files)
    write(project, {"staged.txt": b"two\n", "both.txt": b"two\n", "added.txt": b"added\n"})
    git(project, "add", "--all")
    write(project, {"both.txt": b"three\n", "new.txt": b"new\n", "build/out": b"ignored\n"})
    (project / "gone.txt").unlink()
    git(project, "update-index", "--assume-unchanged", "assumed.txt")
    git(project, "update-index", "--skip-worktree", "skipped.txt")
    write(project, {"assumed.txt": b"mine\n", "skipped.txt": b"mine\n"})
    git(project, "add", "--intent-to-add", "new.txt")
    return project


def _branch_named_mesh(folder: Path) -> Path:
    project = shared(folder)
    git(project, "branch", "mesh")
    return project


def _checked_out(folder: Path) -> Path:
    project = shared(folder)
    git(project, "worktree", "add", "-q", "-b", "work", folder / "other")
    return project


def _theirs(folder: Path) -> Path:
    """The wanted branch is on the server alone, and the person's clone doesn't know it yet."""
    project = cloned(folder)
    other = folder / "elsewhere"
    git(other, "checkout", "-q", "-b", "work", "HEAD~1")
    commit(other, {"theirs.txt": b"theirs\n"}, "theirs")
    git(other, "push", "-q", "origin", "work")
    return project


def _behind(folder: Path) -> Path:
    project = cloned(folder)
    commit(folder / "elsewhere", {"newer.txt": b"newer\n"}, "newer")
    git(folder / "elsewhere", "push", "-q", "origin", "main")
    git(project, "fetch", "-q")
    return project


def _replaced(folder: Path) -> Path:
    project = cloned(folder)
    git(project, "replace", "--graft", "HEAD~1")
    return project


def _notes(folder: Path) -> Path:
    project = shared(folder)
    git(project, "notes", "add", "-m", "reviewed")
    git(project, "tag", "-a", "v1", "-m", "the first")
    return project


def _server_gone(folder: Path) -> Path:
    project = shared(folder)
    (folder / "server.git").rename(folder / "moved.git")
    return project


def _mirror(folder: Path) -> Path:
    """A server's references under their own names, with no remote-tracking ones."""
    project = cloned(folder)
    git(project, "config", "remote.origin.fetch", "+refs/heads/*:refs/remotes/theirs/*")
    return project


def _unrelated(folder: Path) -> Path:
    project = local(folder)
    git(project, "checkout", "-q", "--orphan", "pages")
    commit(project, {"index.html": b"<p>pages</p>\n"}, "pages")
    git(project, "remote", "add", "origin", server(folder))
    git(project, "push", "-q", "origin", "main", "pages")
    return project


KINDS = {
    "detached HEAD": Kind(make=_detached, says="no branch checked out", remote="origin"),
    "tag only": Kind(make=_tag_only, says="a tag checked out, and no branch", remote="origin"),
    "shallow": Kind(make=_shallow, says="a clone of the newest commit", remote="origin"),
    "single branch": Kind(make=_single_branch, says="a clone of one branch", remote="origin"),
    "partial clone": Kind(make=_partial, says="a clone without contents", remote="origin"),
    "sparse checkout": Kind(make=_sparse, says="only some folders checked out", remote="origin"),
    "reftable": Kind(make=_reftable, says="references in a table", remote="origin", since=(2, 45)),
    "sha256": Kind(make=_sha256, says="objects named by SHA-256", remote="origin"),
    "empty commit": Kind(make=_empty_commit, says="a commit without files"),
    "many references": Kind(make=_many_refs, says="4,000 packed references", remote="origin"),
    "packed": Kind(make=_packed, says="packed objects with all of git's indexes", remote="origin"),
    "merging": Kind(make=_merging, says="a merge with conflicts", remote="origin"),
    "rebasing": Kind(make=_rebasing, says="a rebase with conflicts", remote="origin"),
    "picking": Kind(make=_picking, says="a cherry-pick with conflicts", remote="origin"),
    "bisecting": Kind(make=_bisecting, says="a search for a fault", remote="origin"),
    "stash": Kind(make=_stash, says="stashed work", remote="origin"),
    "edited": Kind(make=_edited, says="work that is not committed", remote="origin"),
    "branch named mesh": Kind(
        make=_branch_named_mesh,
        says="a branch named mesh",
        branch="",
        named="mesh-main-0123456789abcdef",
        remote="origin",
    ),
    "branch checked out": Kind(
        make=_checked_out,
        says="the wanted branch is in another worktree",
        refused="choice_needed",
        is_asked=True,
    ),
    "branch of the server": Kind(
        make=_theirs,
        says="the wanted branch is only on the server",
        remote="origin",
        starts_from_server=True,
        publish_refused="diverged",  # its published commits were rebased
        is_whole=False,
    ),
    "behind": Kind(make=_behind, says="a branch that is behind its upstream", remote="origin"),
    "replaced commits": Kind(make=_replaced, says="grafted history", remote="origin"),
    "notes and tags": Kind(make=_notes, says="notes and annotated tags", remote="origin"),
    "server gone": Kind(
        make=_server_gone,
        says="a server that is not there any more",
        remote="origin",
        rebase_refused="git_repository_not_found",
        publish_refused="git_repository_not_found",
    ),
    "other refspec": Kind(make=_mirror, says="a fetch into other references", remote="origin"),
    "unrelated branch": Kind(make=_unrelated, says="a branch of its own history", remote="origin"),
}
