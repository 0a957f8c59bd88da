"""Reads the repository of a sandbox, and changes it at a person's request. Blocking."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Sequence
from pathlib import Path

from agents.harness.base import BadInput
from mesh import boot_files
from mesh.git import own
from mesh.git.own import ForeignGit
from mesh.git.view import View
from mesh.lib.git_status import Change, parse_status
from mesh.lib.quoted_names import quote
from mesh.plain_files import new_plain
from sandboxes.daemon.checkout.remotes import base_remote
from sandboxes.daemon.files.errors import PathOutside
from sandboxes.daemon.files.tree import Tree, path_of
from sandboxes.daemon.git import PLAIN, Git, view_of
from sandboxes.daemon.repository import publish, rebase
from sandboxes.daemon.repository.state import STATUS, Facts
from sandboxes.daemon.repository.submodules import SubmoduleState, states
from sandboxes.daemon.setup import store
from sandboxes.daemon.working_folder import NotReady

DIFF_LIMIT = 1024 * 1024  # characters of a diff
NEW_FILES = 200  # whose contents are shown
_SHARED = ("main", "master")


class Repository:
    """The repository whose top is the top of ``tree``; ``root`` is the sandbox's own folder.

    Made anew for each request, so that its state is current.

    Raises:
        NotReady: the folder is not a repository that the checkout made, or not yet.
        ForeignGit: its git directory is not the one that Mesh made.
    """

    def __init__(self, tree: Tree, root: Path) -> None:
        self._tree = tree
        self._top = tree.top
        self._root = root
        self._discarded = root / "discarded"  # keeps a copy of discarded changes
        self._git = Git()
        self._view = _view(tree, root)

    def facts(self) -> Facts:
        """Return the state of the work.

        Raises:
            GitFailed: git can't read the repository.
        """
        found = parse_status(self._git.output(self._view, *STATUS))
        base = self._base()
        ahead = behind = 0
        if base and found.head:
            counts = self._git.ask(
                self._view, "rev-list", "--left-right", "--count", f"{base}...HEAD", "--"
            )
            behind, ahead = map(int, (counts or "0\t0").split())
        unpushed = 0
        if found.head:
            unpushed = int(
                self._git.ask(self._view, "rev-list", "--count", "HEAD", "--not", "--remotes") or 0
            )
        noted = boot_files.load(self._root)
        own = tuple(boot_files.without(found.changes, self._top, noted))
        return Facts(found, own, base, ahead, behind, unpushed)

    def submodules(self) -> list[SubmoduleState]:
        """Return the state of the work inside each submodule."""
        return states(self._git, self._view, self._root)

    def changed(self) -> frozenset[str]:
        """Return the paths of the files that somebody changed.

        Raises:
            GitFailed: see ``facts``.
        """
        return frozenset(change.path for change in self.facts().own)

    def note_started(self, before: frozenset[str]) -> None:
        """Record that the project's start made the changes that were not there ``before``.

        Raises:
            GitFailed, NotKept: as their texts say.
        """
        facts = self.facts()
        new = [change for change in facts.own if change.path not in before]
        noted = facts.by_start + new[: boot_files.MOST]
        marks = {change.path: boot_files.mark(self._top, change) for change in noted}
        store.save(self._root, boot_files.NAME, json.dumps(marks))

    def diff(self) -> dict[str, object]:
        """Return what somebody changed since the last commit, new files included."""
        facts = self.facts()
        against = ["HEAD"] if facts.status.head else ["--cached"]
        options = ["--no-color", *PLAIN, *against, "--", *_all_but(facts.by_start)]
        parts = [self._git.output(self._view, "diff", *options).decode(errors="replace")]
        size = len(parts[0])
        # A nested repository is listed, but its contents are not read.
        new = [change.path for change in facts.own if change.is_new and not change.is_folder]
        for path in new[:NEW_FILES]:
            if size > DIFF_LIMIT:
                break
            # Exit code 1 says that they differ, as intended.
            _, text = self._git.code(
                self._view, "diff", "--no-color", *PLAIN, "--no-index", "--", os.devnull, path
            )
            text = os.fsencode(text).decode(errors="replace")
            parts.append(text)
            size += len(text)
        whole = "\n".join(part.removesuffix("\n") for part in parts if part)
        return {
            "diff": whole[:DIFF_LIMIT],
            "truncated": len(whole) > DIFF_LIMIT or len(new) > NEW_FILES,
            "files": [{"path": quote(c.path), "status": c.status} for c in facts.own],
        }

    def discard(self, paths: Sequence[str]) -> dict[str, object]:
        """Restore files to the last commit, and remove new ones.

        The sandbox's own folder keeps what was discarded: a patch, and the new files.

        Raises:
            BadInput: ``paths`` is empty, or one of them has no changes.
        """
        if not paths:
            raise BadInput("paths must name at least one file.", detail="paths")
        changes = {change.path: change for change in self.facts().status.changes}
        chosen = [changes[path] for path in paths if path in changes]
        if len(chosen) != len(paths):
            raise BadInput("One of the paths has no changes.", detail="paths")
        kept = self._put_aside(chosen)
        return {"ok": True, "discarded": [quote(change.path) for change in chosen], "kept": kept}

    def rebase(self, base: str) -> dict[str, object]:
        """Rebase the branch's commits on origin's ``base``, completely or not at all.

        Raises:
            BadInput, NotReady, and what ``rebase.rebase`` raises.
        """
        facts = self.facts()
        rebase.rebase(self._git, self._view, facts, base, lambda: self._put_aside(facts.by_start))
        return {"ok": True, "previousHead": facts.status.head, **self.facts().meta()}

    def abort_rebase(self) -> dict[str, object]:
        """Abort a rebase that somebody started.

        Raises:
            NotReady, NotUnderWay: as their texts say.
        """
        self.facts()
        rebase.abort(self._git, self._view)
        return {"ok": True, **self.facts().meta()}

    def publish(self, message: str, *, replace: bool) -> dict[str, object]:
        """Push the branch, after a commit of everything that somebody changed.

        Raises:
            NotReady, and what ``publish.publish`` raises.
        """
        publish.publish(self._git, self._view, self.facts(), message, replace=replace)
        return {"ok": True, **self.facts().meta()}

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

    def _put_aside(self, changes: Sequence[Change]) -> str:
        """Undo changes; return the name of the folder that keeps a copy, if any."""
        if not changes:
            return ""
        place = self._discarded / str(time.time_ns())
        place.mkdir(parents=True, mode=0o700)
        self._restore([change.path for change in changes if not change.is_new], place)
        for change in changes:
            if change.is_new:
                self._move_away(change.path, place)
        return place.name

    def _restore(self, paths: list[str], place: Path) -> None:
        if not paths:
            return
        options = ["--binary", *PLAIN, "HEAD", "--", *_literal(paths)]
        with os.fdopen(new_plain(place / "changes.patch"), "wb") as file:
            self._git.save(self._view, "diff", *options, file=file)
        self._git.run(self._view, "reset", "--quiet", "HEAD", "--", *_literal(paths))
        known = set(self._git.names(self._view, "ls-tree", "-rz", "--name-only", "HEAD"))
        if old := [path for path in paths if path in known]:
            self._git.run(self._view, "checkout", "HEAD", "--", *_literal(old))
        for path in set(paths) - known:
            self._move_away(path, place)

    def _move_away(self, path: str, place: Path) -> None:
        target = place / "new" / path
        target.parent.mkdir(parents=True, exist_ok=True)
        with self._tree.at(str(self._top / path), follow=False) as spot:
            if not spot.name:
                raise PathOutside
            # From the open folder: another one may have its name by now.
            shutil.move(path_of(spot.folder) / spot.name, target)


def _view(tree: Tree, root: Path) -> View:
    made = own.load(root)
    # A person may work in a subfolder of a repository; such a repository is not ours.
    if made is None or made.top.resolve() != tree.top:
        if os.path.lexists(tree.top / ".git"):
            raise ForeignGit
        raise NotReady("The working folder is not a repository, or not yet.", notReady=True)
    return view_of(made, root)


def _all_but(changes: Sequence[Change]) -> list[str]:
    """Return the pathspecs for everything except these paths."""
    return [":/", *[f":(top,exclude,literal){change.path}" for change in changes]]


def _literal(paths: Sequence[str]) -> list[str]:
    """Return pathspecs that git takes literally."""
    return [f":(literal){path}" for path in paths]
