"""A person's folder without a commit: asks how to work there, and starts a repository. Blocking.

Without a commit nothing could be told apart: the person's own files would count as the agent's.
"""

from __future__ import annotations

import getpass
import os
import re
import shutil
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from agents.harness.questions import START_REPOSITORY
from mesh.git import own
from mesh.git.calls import Outside
from mesh.git.own import Own
from mesh.git.view import View
from mesh.lib.errors import AppError
from sandboxes.daemon.checkout.choices import NO_HISTORY, Folder, about_history
from sandboxes.daemon.checkout.kept_choices import forget, load, needed
from sandboxes.daemon.git import Git, GitFailed, view_of
from sandboxes.daemon.notices import Notices

MOST_FILES: Final = 10_000  # of a first commit that Mesh makes
MOST_BYTES: Final = 1024**3
MOST_ENTRIES: Final = 200_000  # that are looked at, ignored ones included
ORPHANS_SINCE: Final = (2, 42)  # the version of git that makes a worktree without a commit
MESSAGE: Final = "Start the history"
STARTED: Final = "repository_started"
DRAFT: Final = "start"  # the repository beside the working folder, until it is complete
_LISTED: Final = ("ls-files", "-z", "--others", "--modified", "--deleted", "--exclude-standard")


class NoHistory(AppError):
    """The person chose that the agent works in a folder without history."""

    code = "no_history"
    text = "The agent works in your folder without history, so Mesh can't tell changes apart."
    hint = "Start a repository there, then begin a new chat."
    status = 409


def settle(folder: Path, main: Own | None, root: Path, git: Git, notices: Notices) -> Path | None:
    """Follow the person's choice for a folder without a commit.

    Returns the folder itself if the agent works there; ``None`` if it has a commit now. ``main``
    is its repository, if any.

    Raises:
        ChoiceNeeded: they have not chosen.
        GitFailed: the repository can't be started; they will be asked again.
    """
    kept = load(root).get(NO_HISTORY)
    choice = kept or needed(root, about_history(_look(folder, main, root, git)))
    if choice.id != START_REPOSITORY:
        own.save(root, None)
        return folder
    forget(root, NO_HISTORY)
    start(folder, main, root, git, notices)
    return None


def works_without(root: Path) -> bool:
    """Return whether the agents of the sandbox work in a folder without history."""
    return NO_HISTORY in load(root) and own.load(root) is None


def can_make_orphans(root: Path, git: Git) -> bool:
    """Return whether the installed git can make a worktree in a repository without a commit."""
    found = re.match(r"git version (\d+)\.(\d+)", git.ask(Outside(root), "--version") or "")
    return found is not None and (int(found[1]), int(found[2])) >= ORPHANS_SINCE


def start(folder: Path, main: Own | None, root: Path, git: Git, notices: Notices) -> None:
    """Make the first commit of what is in the folder, in a new repository unless it has one.

    Raises:
        GitFailed: it can't be made; the folder is as it was.
    """
    top = main.top if main is not None else folder.resolve()
    why_not = _too_large(top)
    if why_not:
        raise GitFailed(f"Mesh can't make the first commit for you: {why_not}.")
    if main is not None:
        count = _commit(view_of(main, root), git)
    else:
        # In a folder of ours, so that a failure leaves nothing behind in the person's.
        draft = _draft(top, root, git)
        try:
            count = _commit(view_of(draft, root), git)
            _move(draft.git_dir, top / ".git")
        finally:
            shutil.rmtree(root / DRAFT, ignore_errors=True)
    files = f"{count:,} file{'' if count == 1 else 's'}"
    notices.add(STARTED, f"{top} has a first commit now, “{MESSAGE}”, with {files}.")


def _look(folder: Path, main: Own | None, root: Path, git: Git) -> Folder:
    """Return what a person must know about the folder to choose."""
    top = main.top if main is not None else folder.resolve()
    shown = str(main.top) if main is not None else ""
    if why_not := _too_large(top):
        return Folder(str(folder), shown, obstacle=why_not)
    try:
        view = view_of(main if main is not None else _draft(top, root, git), root)
        gone = set(git.names(view, "ls-files", "-z", "--deleted"))
        listed = set(git.names(view, *_LISTED, "--cached")) - gone
    except GitFailed as exc:
        return Folder(str(folder), shown, obstacle=str(exc).rstrip("."))
    finally:
        shutil.rmtree(root / DRAFT, ignore_errors=True)
    names = _files_in(listed)
    if len(names) > MOST_FILES:
        return Folder(str(folder), shown, obstacle=f"it has more than {MOST_FILES:,} files")
    if sum(_size(top / name) for name in names) > MOST_BYTES:
        return Folder(str(folder), shown, obstacle="its files take more than 1 GB")
    return Folder(str(folder), shown, len(names), nested=len(listed) - len(names))


def _too_large(top: Path) -> str:
    """Return why the folder should not become a repository at all; empty if it may."""
    home = Path.home().resolve()
    if home.is_relative_to(top):
        return "it is your home folder" if home == top else "your home folder is in it"
    waiting, entries = [os.fspath(top)], 0
    while waiting:
        try:
            with os.scandir(waiting.pop()) as found:
                listed = list(found)
        except OSError:
            continue
        entries += len(listed)
        if entries > MOST_ENTRIES:
            return f"it has more than {MOST_ENTRIES:,} files"
        waiting += [each.path for each in listed if each.is_dir(follow_symlinks=False)]
    return ""


def _draft(top: Path, root: Path, git: Git) -> Own:
    """Return a new repository for the files in ``top``, which is not there yet."""
    shutil.rmtree(root / DRAFT, ignore_errors=True)
    git.run(Outside(root), "init", "--quiet", "--", str(root / DRAFT))
    git_dir = root / DRAFT / ".git"
    return Own(top, git_dir, git_dir)


def _listed(view: View, git: Git) -> list[str]:
    """Return the files that the first commit would contain, besides those in the index."""
    return _files_in(dict.fromkeys(git.names(view, *_LISTED)))


def _files_in(listed: Iterable[str]) -> list[str]:
    """Return the files of a listing, in which a nested repository is a folder."""
    return [name for name in listed if not name.endswith("/")]


def _commit(view: View, git: Git) -> int:
    """Commit everything; return the number of files."""
    names = _listed(view, git)
    if len(names) > MOST_FILES:
        raise GitFailed(f"The folder has more than {MOST_FILES:,} files.")
    given = b"".join(os.fsencode(f"{name}\0") for name in names)
    git.run(view, "update-index", "--add", "--remove", "-z", "--stdin", given=given)
    tree = git.words(view, "write-tree")
    # Plumbing: no hook runs, and no signature asks somebody for a password.
    commit = git.words(view, *_identity(view, git), "commit-tree", tree, "-m", MESSAGE)
    git.run(view, "update-ref", "-m", f"commit (initial): {MESSAGE}", "HEAD", commit, "")
    return len(git.names(view, "ls-files", "-z"))


def _identity(view: View, git: Git) -> tuple[str, ...]:
    """Return the settings that name the author, where the person's git has none."""
    if git.ask(view, "var", "GIT_COMMITTER_IDENT") is not None:
        return ()
    try:
        name = getpass.getuser()
    except (KeyError, OSError):
        name = "mesh"
    return ("-c", f"user.name={name}", "-c", f"user.email={name}@localhost")


def _move(git_dir: Path, target: Path) -> None:
    """Move a complete repository into the person's folder; it appears there whole."""
    if os.path.lexists(target) and not _is_empty_folder(target):
        raise GitFailed(f"{target} appeared meanwhile.")
    try:
        git_dir.rename(target)
        return
    except OSError:
        pass  # another file system
    part = Path(tempfile.mkdtemp(prefix=".git-", dir=target.parent))
    try:
        shutil.copytree(git_dir, part, symlinks=True, dirs_exist_ok=True)
        part.rename(target)
    except OSError as exc:
        shutil.rmtree(part, ignore_errors=True)
        raise GitFailed(f"{target} could not be made: {exc.strerror}.") from exc


def _is_empty_folder(path: Path) -> bool:
    """Return whether it is a folder that git ignores as a repository; a rename replaces it."""
    return path.is_dir() and not path.is_symlink() and not any(path.iterdir())


def _size(path: Path) -> int:
    try:
        return path.lstat().st_size
    except OSError:
        return 0
