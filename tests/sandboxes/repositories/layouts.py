"""Where the repository is: beside its files, elsewhere, inside another one, or nowhere."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from tests.sandboxes.repositories.kind import Kind
from tests.sandboxes.repositories.making import (
    FILES,
    cloned,
    commit,
    git,
    local,
    server,
    share,
    shared,
    write,
)


def _subfolder(folder: Path) -> Path:
    return shared(folder) / "src"


def _linked_worktree(folder: Path) -> Path:
    project = shared(folder)
    git(project, "worktree", "add", "-q", "-b", "topic", folder / "topic")
    return folder / "topic"


def _hub(folder: Path, name: str = ".git") -> Path:
    """A bare repository in a folder, and its checkouts beside it."""
    cloned(folder).rename(folder / "unused")
    hub = folder / "hub"
    hub.mkdir()
    git(folder, "clone", "-q", "--bare", folder / "server.git", hub / name)
    git(hub / name, "config", "remote.origin.fetch", "+refs/heads/*:refs/remotes/origin/*")
    git(hub / name, "fetch", "-q", "origin")
    if name != ".git":
        (hub / ".git").write_text(f"gitdir: ./{name}\n")
    git(hub / name, "worktree", "add", "-q", hub / "main", "main")
    return hub


def _bare(folder: Path) -> Path:
    shared(folder).rename(folder / "unused")
    git(folder, "clone", "-q", "--bare", folder / "server.git", folder / "project.git")
    return folder / "project.git"


def _with_submodules(folder: Path) -> Path:
    library = folder / "library"
    git(folder, "init", "-q", "-b", "main", library)
    commit(library, {"lib.py": b"LIB = 1\n"}, "library")
    git(folder, "clone", "-q", "--bare", library, folder / "library.git")
    project = shared(folder)
    allowed = ("-c", "protocol.file.allow=always")
    git(project, *allowed, "submodule", "add", "-q", folder / "library.git", "lib")
    commit(project, {}, "with a library")
    git(project, "push", "-q")
    return project


def _submodule(folder: Path) -> Path:
    return _with_submodules(folder) / "lib"


def _nested(folder: Path) -> Path:
    project = shared(folder)
    inner = project / "vendor" / "inner"
    inner.parent.mkdir()
    git(project, "init", "-q", "-b", "main", inner)
    commit(inner, {"inner.txt": b"inner\n"})
    return project


def _no_repository(folder: Path) -> Path:
    write(folder / "project", FILES)
    return folder / "project"


def _unborn(folder: Path) -> Path:
    git(folder, "init", "-q", "-b", "main", folder / "project")
    write(folder / "project", FILES)
    return folder / "project"


def _separate(folder: Path) -> Path:
    (folder / "kept").mkdir()
    project = local(folder, f"--separate-git-dir={folder / 'kept' / 'project.git'}")
    share(project, server(folder))
    return project


def _git_by_a_link(folder: Path) -> Path:
    project = shared(folder)
    (project / ".git").rename(folder / "kept.git")
    (project / ".git").symlink_to(Path("..") / "kept.git")
    return project


def _odd_folder(folder: Path) -> Path:
    project = shared(folder)
    odd = folder / "Ada's  projects – ünï" / "the 'one' [a]"
    odd.parent.mkdir()
    project.rename(odd)
    return odd


def _by_a_link(folder: Path) -> Path:
    shared(folder)
    (folder / "link").symlink_to(folder / "project")
    return folder / "link"


def _alternates(folder: Path) -> Path:
    cloned(folder, name="first")
    git(folder, "clone", "-q", "--shared", folder / "first", folder / "project")
    project = folder / "project"
    git(project, "remote", "set-url", "origin", folder / "server.git")
    return project


def _away(folder: Path) -> Path:
    """A worktree on a drive that is not there now; it has an index and a detached commit."""
    project = shared(folder)
    git(project, "worktree", "add", "-q", "--detach", folder / "drive" / "other")
    commit(folder / "drive" / "other", {"away.txt": b"only here\n"}, "away")
    write(folder / "drive" / "other", {"staged.txt": b"staged\n"})
    git(folder / "drive" / "other", "add", "staged.txt")
    (folder / "drive").rename(folder / "unplugged")
    return project


def _broken_config(folder: Path) -> Path:
    project = shared(folder)
    with (project / ".git/config").open("a") as file:
        file.write("[core\n")
    return project


def _newer_format(folder: Path) -> Path:
    project = shared(folder)
    git(project, "config", "core.repositoryFormatVersion", "1")
    git(project, "config", "extensions.notYetKnown", "true")
    return project


def _other_owner(folder: Path) -> Path:
    project = shared(folder)
    for where, _, files in os.walk(project):
        for path in [where, *(os.path.join(where, name) for name in files)]:
            os.chown(path, 65534, 65534, follow_symlinks=False)
    return project


def _read_only(folder: Path) -> Path:
    project = shared(folder)
    for where, folders, _ in os.walk(project):
        for name in (where, *(os.path.join(where, name) for name in folders)):
            os.chmod(name, 0o555)
    return project


def _folder_gone_below(folder: Path) -> Path:
    """The chosen subfolder is in no commit."""
    project = shared(folder)
    write(project, {"build/out.txt": b"ignored\n"})
    return project / "build"


def _no_worktree_entries(folder: Path) -> Path:
    project = shared(folder)
    shutil.rmtree(project / ".git/info", ignore_errors=True)
    shutil.rmtree(project / ".git/hooks", ignore_errors=True)
    shutil.rmtree(project / ".git/logs", ignore_errors=True)
    return project


def _local(folder: Path) -> Path:
    return local(folder)


def _empty_server(folder: Path) -> Path:
    project = local(folder)
    git(project, "remote", "add", "origin", server(folder))
    return project


def _fork(folder: Path) -> Path:
    project = shared(folder, remote="upstream")
    share(project, server(folder, name="fork"))
    return project


KINDS = {
    "plain": Kind(make=shared, says="a repository with a server", remote="origin"),
    "no remote": Kind(make=_local, says="a repository that is nowhere else"),
    "empty server": Kind(
        make=_empty_server,
        says="a server that nothing was pushed to",
        remote="origin",
        rebase_refused="unknown_base",
    ),
    "subfolder": Kind(make=_subfolder, says="a folder inside a repository", remote="origin"),
    "ignored subfolder": Kind(
        make=_folder_gone_below, says="a folder that no commit has", remote="origin"
    ),
    "linked worktree": Kind(
        make=_linked_worktree, says="a worktree of the person's", remote="origin"
    ),
    "checkout of a hub": Kind(
        make=lambda folder: _hub(folder) / "main",
        says="a checkout beside a bare .git",
        remote="origin",
    ),
    "hub": Kind(make=_hub, says="a folder with a bare .git", remote="origin"),
    "hub by a file": Kind(
        make=lambda folder: _hub(folder, ".bare"),
        says="a folder whose .git names a bare repository",
        remote="origin",
    ),
    "bare": Kind(make=_bare, says="a repository without a checkout", remote="origin"),
    "separate git directory": Kind(
        make=_separate, says="a .git that is kept elsewhere", remote="origin"
    ),
    "git directory by a link": Kind(
        make=_git_by_a_link, says="a .git that is a link to a folder", remote="origin"
    ),
    "submodule": Kind(
        make=_submodule, says="a submodule of a project", remote="origin", server="library.git"
    ),
    "with submodules": Kind(
        make=_with_submodules, says="submodules", remote="origin", brings=("lib/lib.py",)
    ),
    "nested repository": Kind(
        make=_nested, says="another repository inside that no commit names", remote="origin"
    ),
    "fork": Kind(
        make=_fork,
        says="two remotes, one of them a fork",
        remote="origin",
        server="fork.git",
    ),
    "other remote": Kind(
        make=lambda folder: shared(folder, remote="hub"),
        says="a remote that is not called origin",
        remote="hub",
    ),
    "alternates": Kind(
        make=_alternates, says="objects borrowed from another repository", remote="origin"
    ),
    "odd folder": Kind(
        make=_odd_folder, says="a path with spaces, quotes and accents", remote="origin"
    ),
    "folder by a link": Kind(make=_by_a_link, says="a folder named by a link", remote="origin"),
    "sparse git directory": Kind(
        make=_no_worktree_entries, says="a .git without info, hooks and logs", remote="origin"
    ),
    "worktree away": Kind(
        make=_away, says="another worktree on a drive that is away", remote="origin"
    ),
    "no repository": Kind(
        make=_no_repository, says="no repository", refused="choice_needed", is_asked=True
    ),
    "unborn": Kind(
        make=_unborn,
        says="no commit yet",
        refused="choice_needed",
        is_asked=True,
        until=(2, 42),
    ),
    "broken configuration": Kind(
        make=_broken_config,
        says="a configuration that git can't read",
        refused="git_config_unreadable",
    ),
    "newer format": Kind(
        make=_newer_format,
        says="a format that this git doesn't know",
        refused="git_too_old",
    ),
    "other owner": Kind(
        make=_other_owner,
        says="files of another user",
        refused="git_foreign_owner",
        as_root=True,
    ),
    "read-only": Kind(
        make=_read_only,
        says="a folder that can't be written",
        refused="git_read_only",
    ),
}
