"""Which git directory belongs to a sandbox; recorded beside its working folder. Blocking.

The checkout writes ``git.json`` before any agent runs, in a place where git does not look. Any
``.git`` that appears in the working folder later is ignored.
"""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from mesh.git.errors import GitFailed
from mesh.lib.errors import AppError
from mesh.plain_files import new_plain, read_plain, write_plain

RECORD: Final = "git.json"
_MOST: Final = 4096  # bytes of a file that names a folder
# Folders of a clone in which a link could make git write elsewhere.
_WALKED: Final = ("refs", "logs")


class ForeignGit(AppError):
    code = "foreign_git"
    text = "The folder's .git is not the one that Mesh made, so Mesh does not use it."
    hint = "Work with it in a terminal, or put the original back."
    status = 409


class NotReadable(GitFailed):
    """The person's folder is in a repository, but git can't work with it.

    Never treated as "no repository": the chat would then work in the person's own folder.
    """

    code = "repository_unreadable"
    text = "Git can't read the repository of this folder."
    hint = "Check it in a terminal with “git status” and “git fsck”, then send the message again."
    status = 409


class RepositoryMissing(NotReadable):
    code = "repository_missing"
    text = "The folder's .git points to a repository that is not there."
    hint = (
        "Connect the drive that it is on, or run “git worktree repair” in the repository;"
        " then send the message again."
    )


class InsideGitFolder(NotReadable):
    code = "inside_git_folder"
    text = "The folder is inside a repository's git directory."
    hint = "Choose the project's folder, the one that contains .git."


class NoGit(NotReadable):
    code = "git_missing"
    text = "Git is not installed on this machine, or not on the PATH, and the folder needs it."
    hint = "Install git on this machine, then send the message again."


@dataclass(frozen=True, slots=True)
class Own:
    """A work tree, its git directory, and the common one that it shares with other work trees.

    ``origin`` is the address that Mesh cloned it from; empty for a person's repository.
    """

    top: Path
    git_dir: Path
    common: Path
    origin: str = ""

    @property
    def is_bare(self) -> bool:
        """Whether the person's folder is the git directory itself."""
        return self.top == self.git_dir

    @property
    def main_top(self) -> Path:
        """The main work tree, as far as it is known: its git directory may be anywhere."""
        if self.git_dir == self.common:
            return self.top
        return self.common.parent if self.common.name == ".git" else self.common

    def is_worktree_in(self, root: Path) -> bool:
        """Return whether it is a worktree of a person's repository, in the sandbox's folder."""
        is_made_there = self.top == root / "repo"
        return is_made_there and self.git_dir.parent == self.common / "worktrees"

    def check(self) -> None:
        """Check that the git directory is still what it was.

        Raises:
            ForeignGit: it is gone, or has been replaced.
        """
        if self.origin:
            _check_clone(self.git_dir)
        elif not (_is_folder(self.git_dir) and _is_folder(self.common)):
            raise ForeignGit("The repository that the folder belongs to is gone.")
        elif self.git_dir != self.common:
            _check_worktree(self.git_dir, self.common)


def is_known(root: Path) -> bool:
    """Return whether it is recorded which git directory the sandbox in ``root`` has, if any."""
    return (root / RECORD).is_file()


def is_none(root: Path) -> bool:
    """Return whether it is recorded that the sandbox in ``root`` has no git directory.

    A record that can't be read says nothing.
    """
    try:
        return bool(json.loads(read_plain(root / RECORD)) == {})
    except (OSError, ValueError, RecursionError):
        return False


def load(root: Path) -> Own | None:
    """Return the git directory of the sandbox in ``root``; ``None`` when it has none."""
    try:
        given = json.loads(read_plain(root / RECORD))
        top, git_dir, common = (root / str(given[key]) for key in ("top", "gitDir", "commonDir"))
        return Own(top, git_dir, common, str(given.get("origin", "")))
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None


def save(root: Path, own: Own | None) -> None:
    """Record which git directory the sandbox in ``root`` has, or that it has none."""
    value: dict[str, Any] = {}
    if own is not None:
        named = {"top": own.top, "gitDir": own.git_dir, "commonDir": own.common}
        # Relative where possible: the sandbox's folder may be moved.
        value = {key: _seen_from(root, path) for key, path in named.items()}
        value |= {"origin": own.origin} if own.origin else {}
    draft = root / f".{RECORD}.new"
    write_plain(draft, json.dumps(value))
    draft.replace(root / RECORD)


def of_clone(repo: Path, origin: str) -> Own:
    """Return the git directories of a clone that Mesh made of ``origin``."""
    return Own(repo, repo / ".git", repo / ".git", origin)


def find(folder: Path) -> Own | None:
    """Return the repository that a person's ``folder`` lies in; ``None`` when it is in none.

    Of a bare repository, ``top`` is its own folder. It starts no program, so that no configuration
    is read. Like git, it stops where another file system begins.

    Raises:
        InsideGitFolder: the folder is a repository's .git, or in a git directory.
        RepositoryMissing: the file .git names a git directory that is not there.
        NotReadable: there is a .git that can't be read as a repository's.
    """
    start = folder.resolve()
    device = start.stat().st_dev
    for top in (start, *start.parents):
        if top.stat().st_dev != device:
            return None
        if _is_git_dir(top):
            return _bare(top, start)
        found = _found_at(top)
        if found is not None:
            return found
    return None


def _bare(top: Path, start: Path) -> Own:
    is_inner = any(_is_git_dir(parent) for parent in top.parents)
    if top != start or top.name == ".git" or is_inner:
        raise InsideGitFolder(f"{start} is inside the git directory of a repository.")
    return Own(top, top, _common_of(top))


def _found_at(top: Path) -> Own | None:
    """Return the repository whose work tree is ``top``; ``None`` where there is no ``.git``."""
    entry = top / ".git"
    try:
        entry.lstat()
        mode = entry.stat().st_mode
    except (FileNotFoundError, NotADirectoryError) as exc:
        if not os.path.lexists(entry):
            return None
        raise RepositoryMissing(f"{entry} is a link to a folder that is not there.") from exc
    except OSError as exc:
        raise NotReadable(f"{entry} can't be read: {exc.strerror}.") from exc
    if stat.S_ISDIR(mode):
        if not _is_git_dir(entry):
            if _is_empty(entry):
                return None  # ignored by git too; some programs leave one behind
            raise NotReadable(f"{entry} is not a complete git directory.")
        git_dir = entry.resolve()  # a person may keep it elsewhere, and have a link to it
        return Own(top, git_dir, _common_of(git_dir))
    named = _named_in(entry.resolve(), top, mark="gitdir: ")
    if named is None:
        raise NotReadable(f"{entry} does not name a git directory.")
    if not _is_git_dir(named):
        raise RepositoryMissing(f"{entry} names {named}, where there is no repository.")
    return Own(top, named, _common_of(named))


def place_of(folder: Path) -> Path | None:
    """Return the nearest folder, from ``folder`` upwards, with a ``.git`` that is not empty."""
    start = folder.resolve()
    tops = (top for top in (start, *start.parents) if os.path.lexists(top / ".git"))
    return next((top for top in tops if not _is_empty(top / ".git")), None)


def is_mine(found: Own) -> bool:
    """Return whether a repository belongs to this user, as git checks it.

    What can't be examined counts as somebody else's.
    """
    parts = {found.git_dir, *((found.top, found.top / ".git") if not found.is_bare else ())}
    try:
        return {part.stat().st_uid for part in parts} == {os.geteuid()}
    except OSError:
        return False


def of_worktree(repo: Path, main: Own) -> Own | None:
    """Return the git directories of the worktree ``repo`` of a person's repository.

    The repository itself must list it: the file ``.git`` in the folder proves nothing.
    """
    name = _named_in(repo / ".git", repo, mark="gitdir: ")
    if name is None:
        return None
    entry = _entry(main, name.name)
    return Own(repo, entry.git_dir, main.common) if entry and entry.top == repo.resolve() else None


def entry_of(repo: Path, main: Own) -> Own | None:
    """Return the worktree that the person's repository lists for ``repo``.

    The folder itself may be gone, or lack its file ``.git``.
    """
    top = repo.parent.resolve() / repo.name
    found = next((entry for entry in entries(main) if entry.top == top), None)
    return Own(repo, found.git_dir, main.common) if found else None


def entries(main: Own) -> Iterator[Own]:
    """Yield every worktree that a person's repository lists, except for its main one."""
    folder = main.common / "worktrees"
    try:
        names = sorted(os.listdir(folder)) if _is_folder(folder) else []
    except OSError:
        names = []
    for name in names:
        if entry := _entry(main, name):
            yield entry


def _entry(main: Own, name: str) -> Own | None:
    git_dir = main.common / "worktrees" / name
    is_there = _is_folder(git_dir.parent) and _is_folder(git_dir)
    back = _named_in(git_dir / "gitdir", git_dir) if is_there else None
    if back is None or back.name != ".git" or not os.path.lexists(git_dir / "HEAD"):
        return None
    # The folder may be gone, but what is above it may be a link.
    return Own(back.parent.parent.resolve() / back.parent.name, git_dir, main.common)


def is_listed(own: Own) -> bool:
    """Return whether the person's repository lists the worktree ``own`` at its path.

    If it doesn't, the entry is gone, or is another worktree's by now.
    """
    entry = entry_named(own)
    return entry is not None and entry.top == own.top.parent.resolve() / own.top.name


def entry_named(own: Own) -> Own | None:
    """Return the entry that has the name of a worktree's, whatever its path is."""
    return _entry(own, own.git_dir.name) if own.git_dir.parent == own.common / "worktrees" else None


def follow_worktree(root: Path, before: Path) -> None:
    """Update the worktree's path in the person's repository after ``before`` became ``root``."""
    own = load(root)
    if own is None or not own.is_worktree_in(root):
        return
    if is_listed(replace(own, top=before / "repo")):
        list_at(own)


def list_at(own: Own) -> None:
    """Make the person's repository list the worktree at its path."""
    _write_path(own.git_dir / "gitdir", "", own.top / ".git")


def point_to(own: Own) -> None:
    """Make the file ``.git`` of a new worktree name its git directory."""
    _write_path(own.top / ".git", "gitdir: ", own.git_dir)


def _write_path(file: Path, mark: str, path: Path) -> None:
    """Write a file that names a path, whose name may not be UTF-8."""
    with os.fdopen(new_plain(file, 0o666), "wb") as stream:
        stream.write(os.fsencode(f"{mark}{path}\n"))


def _check_clone(git_dir: Path) -> None:
    """Raise unless it is a complete git directory without links that lead elsewhere."""
    if not _is_folder(git_dir) or os.path.lexists(git_dir / "commondir"):
        raise ForeignGit
    if os.path.lexists(git_dir / "objects/info/alternates"):
        raise ForeignGit("The clone takes its objects from another repository.")
    for entry in _entries(git_dir):
        if entry.is_symlink():
            raise ForeignGit(f"In the clone's .git, {entry.name} is a link that leads elsewhere.")


def _check_worktree(git_dir: Path, common: Path) -> None:
    """Raise if git would follow a link in a worktree's own part of a repository.

    Git makes none there, but an agent may. Elsewhere in the repository a person may have links.
    """
    written = [git_dir / "logs", *_in_folder(git_dir), *_in_folder(git_dir / "logs")]
    head = _named_in(git_dir / "HEAD", common / "logs", mark="ref: ")
    if head is not None and head.is_relative_to(common / "logs/refs"):
        above = [path for path in head.parents if path.is_relative_to(common / "logs/refs/heads")]
        written += [head, *above]
    for path in written:
        if path.is_symlink() and not _is_reference(path):
            raise ForeignGit(f"In the worktree's git directory, {path.name} is a link.")


def _is_reference(path: Path) -> bool:
    """Return whether it is HEAD as core.preferSymlinkRefs has it: replaced, never followed."""
    return path.name == "HEAD" and _leads_to(path, "refs/heads/") and path.parent.name != "logs"


def _leads_to(link: Path, start: str) -> bool:
    try:
        return os.readlink(link).startswith(start)
    except OSError:
        return False


def _in_folder(folder: Path) -> list[Path]:
    try:
        return list(folder.iterdir())
    except OSError:
        return []


def _entries(git_dir: Path) -> Iterator[os.DirEntry[str]]:
    waiting = [git_dir, git_dir / "objects"]
    walked = {os.fspath(git_dir / name) for name in _WALKED}
    while waiting:
        try:
            with os.scandir(waiting.pop()) as found:
                entries = list(found)
        except OSError:
            continue
        for entry in entries:
            yield entry
            if entry.is_dir(follow_symlinks=False) and (
                entry.path in walked or entry.path.startswith(tuple(f"{w}/" for w in walked))
            ):
                waiting.append(Path(entry.path))


def _is_empty(folder: Path) -> bool:
    try:
        return not os.listdir(folder)
    except OSError:
        return False


def _is_git_dir(folder: Path) -> bool:
    """Return whether git would take ``folder`` for a git directory, as far as its files say."""
    common = _common_of(folder)
    parts = (common / "objects", common / "refs")
    return os.path.lexists(folder / "HEAD") and all(os.path.isdir(part) for part in parts)


def _common_of(git_dir: Path) -> Path:
    return _named_in(git_dir / "commondir", git_dir) or git_dir


def _named_in(file: Path, base: Path, *, mark: str = "") -> Path | None:
    """Return the folder that a small file names, as seen from ``base``."""
    try:
        handle = os.open(file, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return None
    with os.fdopen(handle, "rb") as stream:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            return None
        text = os.fsdecode(stream.read(_MOST)).strip()
    if not text.startswith(mark) or "\0" in text:
        return None
    return Path(os.path.normpath(base / text.removeprefix(mark)))


def _is_folder(path: Path) -> bool:
    try:
        return stat.S_ISDIR(path.lstat().st_mode)
    except OSError:
        return False


def _seen_from(root: Path, path: Path) -> str:
    return str(path.relative_to(root) if path.is_relative_to(root) else path)
