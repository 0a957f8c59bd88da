"""Reads the repository of a sandbox, and changes it at a person's request. Blocking."""

from __future__ import annotations

import json
import os
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path

from agents.harness.base import BadInput
from mesh import boot_files
from mesh.git import own
from mesh.git.own import ForeignGit
from mesh.git.view import View
from mesh.lib.git_status import Change, Status, StatusReader
from mesh.lib.quoted_names import quote, unquote
from sandboxes.daemon.checkout.history import NoHistory, works_without
from sandboxes.daemon.checkout.in_use import load_baseline
from sandboxes.daemon.checkout.remotes import base_remote
from sandboxes.daemon.files.tree import Tree
from sandboxes.daemon.git import Git, view_of
from sandboxes.daemon.repository import hooks, nested, publish, rebase
from sandboxes.daemon.repository.diff import read_diff
from sandboxes.daemon.repository.discard import Discard
from sandboxes.daemon.repository.errors import (
    ChangedBefore,
    SubmoduleUnpublished,
    TooManyChanges,
    UncommittedChanges,
)
from sandboxes.daemon.repository.state import STATUS, Facts
from sandboxes.daemon.repository.submodules import SubmoduleState, states
from sandboxes.daemon.setup import store
from sandboxes.daemon.working_folder import NotReady

MOST_LISTED = 10_000  # changed files
_SHARED = ("main", "master")


class Repository:
    """The repository whose top is the top of ``tree``; ``root`` is the sandbox's own folder.

    Made anew for each request, so that its state is current.

    Raises:
        NotReady: the folder is not a repository that the checkout made, or not yet.
        NoHistory: the person chose to work in a folder without one.
        ForeignGit: its git directory is not the one that Mesh made.
    """

    def __init__(self, tree: Tree, root: Path) -> None:
        self._tree = tree
        self._top = tree.top
        self._root = root
        self._discarded = root / "discarded"  # keeps a copy of discarded changes
        self._git = Git()
        self._view = _view(tree, root)
        self._baseline = load_baseline(root)
        self._noted = boot_files.load(root) | self._baseline

    @property
    def top(self) -> Path:
        """The top folder of the work tree."""
        return self._top

    def files(self, facts: Facts) -> dict[str, object]:
        """Return the list of changed files; a nested repository says how many files it has."""
        listed = [nested.entry(self._top, change) for change in facts.own]
        return {"files": listed, "filesLeftOut": facts.unlisted}

    def facts(self) -> Facts:
        """Return the state of the work.

        Raises:
            GitFailed: git can't read the repository.
        """
        reader, listed = StatusReader(), _Listed(self._top, self._noted)
        self._git.stream(self._view, *STATUS, take=lambda piece: listed.add(reader.feed(piece)))
        found = Status(reader.branch, reader.head)
        base = self._base()
        ahead = behind = 0
        if base and found.head:
            counts = self._git.ask(
                self._view, "rev-list", "--left-right", "--count", f"{base}...HEAD", "--"
            )
            behind, ahead = map(int, (counts or "0\t0").split())
        unpushed = 0
        if found.head:
            unknown = ("rev-list", "--count", "HEAD", "--not", "--remotes", "--")
            unpushed = int(self._git.ask(self._view, *unknown) or 0)
        mine, by_start = tuple(listed.own), tuple(listed.by_start)
        return Facts(found, mine, by_start, listed.unlisted, base, ahead, behind, unpushed)

    def submodules(self) -> list[SubmoduleState]:
        """Return the state of the work inside each submodule."""
        return states(self._git, self._view, self._root)

    def ignored_of(self, paths: Collection[str]) -> frozenset[str]:
        """Return those of the paths, below the top, that git ignores and nobody added.

        Raises:
            GitFailed: git can't read the repository.
        """
        found = bytearray()

        def take(piece: bytes) -> bool:
            found.extend(piece)
            return True

        self._git.stream(
            self._view,
            *("check-ignore", "-z", "--stdin"),
            given=b"".join(os.fsencode(path) + b"\0" for path in paths),
            take=take,
            succeeds=(0, 1),  # 1: it ignores none of them
        )
        return frozenset(os.fsdecode(name) for name in bytes(found).split(b"\0")[:-1])

    def ignored(self) -> list[str]:
        """Return what git ignores, below the top: files, and folders with a slash at the end.

        Raises:
            GitFailed: git can't read the repository.
        """
        others = ("ls-files", "-z", "--others", "--ignored", "--exclude-standard", "--directory")
        return self._git.names(self._view, *others)

    def changed(self) -> frozenset[str]:
        """Return the paths of the files that somebody changed.

        Raises:
            TooManyChanges: there are more than ``MOST_LISTED``.
            GitFailed: see ``facts``.
        """
        facts = self.facts()
        if facts.unlisted:
            raise TooManyChanges
        return frozenset(change.path for change in facts.own)

    def note_started(self, before: frozenset[str]) -> None:
        """Record that the project's start made the changes that were not there ``before``.

        Raises:
            TooManyChanges, GitFailed, NotKept: as their texts say.
        """
        facts = self.facts()
        if facts.unlisted:
            raise TooManyChanges
        new = [change for change in facts.own if change.path not in before]
        noted = [*facts.by_start, *new[: boot_files.MOST]]
        marks = {change.path: boot_files.mark(self._top, change) for change in noted}
        store.save(self._root, boot_files.NAME, json.dumps(marks))

    def diff(self) -> dict[str, object]:
        """Return what somebody changed since the last commit, new files included.

        Raises:
            GitFailed: git can't read the repository.
        """
        facts = self.facts()
        return {**read_diff(self._git, self._view, facts), **self.files(facts)}

    def discard(self, paths: Sequence[str]) -> dict[str, object]:
        """Restore files to the last commit, and remove new ones: all of them, or none.

        ``paths`` are in the form in which ``diff`` lists them. The sandbox's own folder keeps
        everything that was discarded; see ``discard``.

        Raises:
            BadInput: ``paths`` is empty, or one of them can't be a name, or has no changes.
            ChangedBefore: one of them had changes of the person's before the agent came.
            UnderWay, InTheWay, CopyNotKept: as their texts say.
            GitFailed: git can't restore the files.
        """
        if not paths:
            raise BadInput("paths must name at least one file.", detail="paths")
        try:
            wanted = frozenset(map(unquote, paths))
        except ValueError as exc:
            raise BadInput("One of the paths can't be a name.", detail="paths") from exc
        if theirs := next((path for path in wanted if path in self._baseline), ""):
            raise ChangedBefore(f"“{quote(theirs)}” was changed before the agent came.")
        reader = StatusReader()
        chosen: list[Change] = []

        def take(piece: bytes) -> bool:
            chosen.extend(change for change in reader.feed(piece) if change.path in wanted)
            return True

        self._git.stream(self._view, *STATUS, take=take)
        if {change.path for change in chosen} != wanted:
            raise BadInput("One of the paths has no changes.", detail="paths")
        kept = self._put_aside(chosen, has_commit=bool(reader.head))
        return {"ok": True, "discarded": list(paths), "kept": kept}

    def rebase(self, base: str) -> dict[str, object]:
        """Rebase the branch's commits on origin's ``base``, completely or not at all.

        Raises:
            BadInput, NotReady, and what ``rebase.rebase`` raises.
        """
        facts = self.facts()
        if any(change.path in self._baseline for change in facts.by_start):
            raise UncommittedChanges
        rebase.rebase(
            self._git,
            self._view,
            facts,
            base,
            lambda: self._put_aside(facts.by_start, has_commit=True),
        )
        return {"ok": True, "previousHead": facts.status.head, **self.facts().meta()}

    def abort_rebase(self) -> dict[str, object]:
        """Abort a rebase that somebody started.

        Raises:
            NotReady, NotUnderWay: as their texts say.
        """
        self.facts()
        rebase.abort(self._git, self._view)
        return {"ok": True, **self.facts().meta()}

    def publish(self, options: publish.Options, run: hooks.Run) -> dict[str, object]:
        """Push the branch, after a commit of everything that somebody changed.

        Raises:
            ChangedBefore: the person had staged something before the agent came.
            SubmoduleUnpublished: a submodule has commits that its server lacks.
            NotReady, and what ``publish.publish`` raises.
        """
        facts = self.facts()
        every = (*facts.own, *facts.by_start)
        before = [change for change in every if change.path in self._baseline]
        if staged := [change.path for change in before if change.status[0] not in ".?"]:
            raise ChangedBefore(f"“{quote(staged[0])}” was staged before the agent came.")
        if behind := [quote(state.path) for state in self.submodules() if state.unpushed]:
            raise SubmoduleUnpublished(submodules=behind)
        done = publish.publish(self._git, self._view, facts, options, run)
        return {"ok": True, **done, **self.facts().meta()}

    def _base(self) -> str:
        """Return the shared branch that this work is compared with, such as origin/main."""
        remote = base_remote(self._git, self._view)
        names = list(_SHARED)
        if remote:
            ref = f"refs/remotes/{remote}/HEAD"
            head = self._git.ask(self._view, "symbolic-ref", "-q", "--short", ref)
            names = [head or "", *(f"{remote}/{name}" for name in _SHARED), *names]
        for name in names:
            if name and self._git.ask(self._view, "rev-parse", "-q", "--verify", name, "--"):
                return name
        return ""

    def _put_aside(self, changes: Sequence[Change], *, has_commit: bool) -> str:
        """Undo changes; return the name of the folder that keeps them, if any."""
        discard = Discard(self._git, self._view, self._tree, self._discarded)
        return discard.run(changes, has_commit=has_commit)


class _Listed:
    """The changes of a status: those of the project's start, and so many of somebody's."""

    def __init__(self, top: Path, noted: Mapping[str, str]) -> None:
        self.own: list[Change] = []
        self.by_start: list[Change] = []
        self.unlisted = 0
        self._top, self._noted = top, noted

    def add(self, changes: Iterable[Change]) -> bool:
        """Add changes. There may be any number."""
        for change in changes:
            if boot_files.is_noted(change, self._top, self._noted):
                self.by_start.append(change)
            elif len(self.own) < MOST_LISTED:
                self.own.append(change)
            else:
                self.unlisted += 1
        return True


def _view(tree: Tree, root: Path) -> View:
    made = own.load(root)
    if made is None and works_without(root):
        raise NoHistory
    # A person may work in a subfolder of a repository; such a repository is not ours.
    if made is None or made.top.resolve() != tree.top:
        if os.path.lexists(tree.top / ".git"):
            raise ForeignGit
        raise NotReady("The working folder is not a repository, or not yet.", notReady=True)
    return view_of(made, root)
