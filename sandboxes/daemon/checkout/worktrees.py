"""Makes the working folder of a person's folder: a worktree of its repository. Blocking.

A worktree has two parts, its folder and its entry in the repository, and either may be gone: people
delete folders by hand, and their own git may prune entries. What is left is kept, and the rest is
made again.
"""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from mesh.git import own, submodules
from mesh.git.errors import FilterFailed
from mesh.git.look import NoRepository, Unborn, look
from mesh.git.own import ForeignGit, NotReadable, Own
from mesh.git.view import View
from sandboxes.daemon import lfs
from sandboxes.daemon.checkout import entries, history, in_use, start_point
from sandboxes.daemon.checkout.branches import NEW, check_branch, has_git, knows, start_of
from sandboxes.daemon.checkout.included_files import copy_included
from sandboxes.daemon.checkout.separation import separate_programs
from sandboxes.daemon.env import tool_env
from sandboxes.daemon.git import Git, GitFailed, view_of
from sandboxes.daemon.notices import REMADE, Notices
from sandboxes.daemon.spec import Spec

_LOST: Final = (
    "The working folder was gone. It was made again on the branch “{branch}”, from its last"
    " commit; changes that were not committed went with the folder."
)
_REFILLED: Final = (
    "The working folder was gone. It was made again as it was last committed or staged; other"
    " changes went with the folder."
)
_UNLISTED: Final = (
    "The repository no longer listed the working folder as a worktree. It was added again, on the"
    " branch “{branch}”. Its files are as they were, but nothing is staged."
)


class FolderMissing(GitFailed):
    code = "folder_missing"
    text = "The folder does not exist on this machine."
    hint = "Put it back, or connect the drive that it is on; then send the message again."
    status = 409


class NothingToStartFrom(NotReadable):
    code = "nothing_to_start_from"
    text = "The repository's HEAD names a branch that has no commit."
    hint = (
        "Name a branch that exists, or set HEAD: git symbolic-ref HEAD refs/heads/<branch>."
        " Then send the message again."
    )


def from_folder(spec: Spec, folder: Path, repo: Path, git: Git, notices: Notices) -> Path:
    """Return the person's ``folder``, or the worktree that is made of its repository.

    Raises:
        ChoiceNeeded, GitFailed, ForeignGit: see ``sources.prepare``.
        NotReadable: the folder is in a repository that git can't work with.
    """
    _check_is_there(folder)
    root = repo.parent
    if own.is_none(root):
        return folder  # it was in no repository; one that an agent made since does not count
    if (chosen := in_use.chosen_folder(root)) is not None:
        return chosen
    found = look(folder, root, tool_env(os.environ, {}))
    branch = spec.branch or f"mesh/{spec.handle}"
    is_orphan = isinstance(found, Unborn) and not _has_branch(branch, found.own, root, git)
    if isinstance(found, Unborn) and is_orphan and found.is_bare:
        raise NothingToStartFrom(f"The branch “{found.branch}” has no commit to start from.")
    if isinstance(found, NoRepository) or (is_orphan and not history.can_make_orphans(root, git)):
        # There is nothing to branch from.
        main = None if isinstance(found, NoRepository) else found.own
        if (place := history.settle(folder, main, root, git, notices)) is not None:
            return place
        found = look(folder, root, tool_env(os.environ, {}))
        if isinstance(found, NoRepository):
            raise ForeignGit
    target = in_use.target_of(branch, found.own, repo, spec, git, notices)
    if target.folder is not None:
        return target.folder
    is_first = own.load(root) is None
    start = target.start or ("" if spec.branch else NEW)
    made, is_new = _Worktree(target.branch, start, found.own, repo, git, notices).ensure()
    separate_programs(found.own, made, git, notices)
    if is_new:
        submodules.forget(root)
        copy_included(folder, found.own, made, git, notices)
    if is_first:
        start_point.tell(found.own, made, root, git, notices)
    inside = repo / folder.resolve().relative_to(found.own.top)
    # The branch may lack the subfolder that the person chose.
    return inside if inside.is_dir() else repo


def _check_is_there(folder: Path) -> None:
    try:
        mode = folder.stat().st_mode
    except (FileNotFoundError, NotADirectoryError) as exc:
        raise FolderMissing(f"The folder {folder} does not exist on this machine.") from exc
    except OSError as exc:
        raise FolderMissing(f"The folder {folder} can't be read: {exc.strerror}.") from exc
    if not stat.S_ISDIR(mode):
        raise FolderMissing(f"{folder} is not a folder.")


def _has_branch(branch: str, main: Own, root: Path, git: Git) -> bool:
    return knows(git, view_of(main, root), f"refs/heads/{branch}")


@dataclass(frozen=True, slots=True)
class _Worktree:
    """The worktree ``repo`` of the repository ``main``, on ``branch``.

    ``start`` is what a new branch starts from. Empty: the remote's branch of that name, as a
    person chose it.
    """

    branch: str
    start: str
    main: Own
    repo: Path
    git: Git
    notices: Notices

    @property
    def root(self) -> Path:
        return self.repo.parent

    def ensure(self) -> tuple[Own, bool]:
        """Make the worktree, or what is gone of it, and record its git directory.

        Return it, and whether its files were just made.

        Raises:
            GitFailed, ForeignGit: as for ``from_folder``; nothing is changed.
        """
        known = own.load(self.root)
        was_there = known is not None and known.is_worktree_in(self.root)
        entry = self._entry(known if was_there else None)
        is_new = False
        if entry is None and was_there and self._has_files:
            entry = self._register()
            self._tell(_UNLISTED)
        elif entry is None:
            entry, is_new = self._add(), True
            if was_there:
                self._tell(_LOST)
        elif not self._has_files and not has_git(self.repo):
            self._fill(entry)
            is_new = True
            own.save(self.root, entry)
            self._tell(_REFILLED)
        else:
            if not has_git(self.repo):
                own.point_to(entry)
            if entry != known:
                own.save(self.root, entry)
        return entry, is_new

    def _tell(self, what: str) -> None:
        self.notices.renew(REMADE, what.format(branch=self.branch))

    def _entry(self, known: Own | None) -> Own | None:
        """Return the repository's entry of the worktree, if it has one.

        ``known`` is the worktree that is recorded; none if it was never completed.
        """
        if self.repo.is_symlink():
            raise ForeignGit("The working folder was replaced by a link.")
        entry = own.entry_of(self.repo, self.main)
        if entry is None and known is not None and known.common == self.main.common:
            entry = entries.left_behind(known, self.root)
        if entry is not None and known is None and entries.is_unfinished(entry):
            # Git was interrupted while it made the worktree: no agent has worked in it.
            shutil.rmtree(self.repo, ignore_errors=True)
            entries.remove(entry)
            return None
        if entry is None and (self.repo / ".git").is_dir():
            raise ForeignGit
        return entry

    @property
    def _has_files(self) -> bool:
        return self.repo.is_dir() and any(entry.name != ".git" for entry in self.repo.iterdir())

    def _add(self) -> Own:
        """Make the worktree: of the branch, or of a new one."""
        check_branch(self.branch, self.root, self.git)
        if not self._has_files:
            (self.repo / ".git").unlink(missing_ok=True)  # names an entry that is gone
        try:
            return self._add_with()
        except FilterFailed as exc:
            lfs.note_not_fetched(exc, self.notices)
            return self._add_with(*lfs.POINTERS)

    def _add_with(self, *settings: str) -> Own:
        with self._added(self.repo, settings=settings) as made:
            own.point_to(made)  # git recorded its path as seen in our view
            own.save(self.root, made)
            return made

    @contextmanager
    def _added(self, place: Path, *options: str, settings: tuple[str, ...] = ()) -> Iterator[Own]:
        """Add a worktree in ``place``, and yield it; a failure until the end undoes everything."""
        entries.check_not_busy(self.branch, self.main)
        entries.release(self.branch, self.main, self.root)
        view, ref = view_of(self.main, self.root), f"refs/heads/{self.branch}"
        is_old = knows(self.git, view, ref)
        start = [self.branch if is_old else self._start(view)]
        new = [] if is_old else ["--no-track", "-b", self.branch]
        if start == [NEW] and not knows(self.git, view, NEW):
            # There is no commit yet; git refuses --no-checkout here, where nothing is checked out.
            start, new, options = [], ["--orphan", "-b", self.branch], ()
        folder = self.main.common / "worktrees"
        has_folder = folder.is_dir()
        try:
            folder.mkdir(exist_ok=True)  # else git would make it in our view only
            view = view_of(self.main, self.root)
            self.git.run(
                view, *settings, "worktree", "add", *options, *new, "--", str(place), *start
            )
            yield _found(place, self.main)
        except (GitFailed, ForeignGit, OSError):
            if (entry := own.entry_of(place, self.main)) is not None:
                entries.remove(entry)
                shutil.rmtree(place, ignore_errors=True)
            if not is_old and (head := self.git.ask(view, "rev-parse", "-q", "--verify", ref)):
                self.git.ask(view, "update-ref", "-d", ref, head)
            if not has_folder:
                with suppress(OSError):
                    folder.rmdir()
            raise

    def _start(self, view: View) -> str:
        """Return what a new branch starts from; the servers are asked only for a chosen one."""
        return self.start or start_of(self.branch, view, self.git, self.notices)

    def _fill(self, entry: Own) -> None:
        """Make the folder again, as its index says: with what was staged, but not committed."""
        part = self._part()
        try:
            there = replace(entry, top=part)
            view = view_of(there, self.root)
            (entry.git_dir / "index.lock").unlink(missing_ok=True)  # of a command that was killed
            if not (entry.git_dir / "index").exists() and knows(self.git, view, NEW):
                self.git.run(view, "read-tree", NEW)
            files = ("checkout-index", "--all", "--force", "--index", "--quiet")
            try:
                self.git.run(view, *files)
            except FilterFailed as exc:
                lfs.note_not_fetched(exc, self.notices)
                self.git.run(view, *lfs.POINTERS, *files)
            own.point_to(there)
            if self.repo.is_dir():
                self.repo.rmdir()
            part.rename(self.repo)
        except BaseException:
            shutil.rmtree(part, ignore_errors=True)
            raise

    def _register(self) -> Own:
        """Add an entry for a folder that has lost its own. Its files are not touched."""
        part = self._part()
        try:
            with self._added(part, "--no-checkout") as made:
                view = view_of(made, self.root)
                if knows(self.git, view, NEW):
                    self.git.run(view, "read-tree", NEW)
                entry = replace(made, top=self.repo)
                own.list_at(entry)
                own.point_to(entry)
                own.save(self.root, entry)
        finally:
            shutil.rmtree(part, ignore_errors=True)
        # Only makes later calls faster.
        self.git.ask(view_of(entry, self.root), "update-index", "-q", "--refresh")
        return entry

    def _part(self) -> Path:
        """Return a new empty folder beside the working folder."""
        part = self.root / entries.PART
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir()
        return part


def _found(repo: Path, main: Own) -> Own:
    entry = own.entry_of(repo, main)
    if entry is None:
        raise ForeignGit
    return entry
