"""Looks at the repository of a sandbox, and does with it what a person asked for. Blocking."""

from __future__ import annotations

import json
import os
import re
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
from sandboxes.daemon.files.errors import PathOutside
from sandboxes.daemon.files.tree import Tree, path_of
from sandboxes.daemon.git import PLAIN, Git, view_of
from sandboxes.daemon.repository import rebase
from sandboxes.daemon.repository.errors import (
    DefaultBranch,
    Diverged,
    MessageNeeded,
    NothingToPublish,
)
from sandboxes.daemon.repository.state import Facts
from sandboxes.daemon.setup import store
from sandboxes.daemon.sources import track
from sandboxes.daemon.working_folder import NotReady

DIFF_LIMIT = 1024 * 1024  # characters of a diff
NEW_FILES = 200  # of which the contents are shown
_STATUS = (
    *("status", "--porcelain=v2", "--branch", "-z"),
    *("--untracked-files=all", "--ignore-submodules=dirty"),
)
_BASES = ("origin/main", "origin/master", "main", "master")
_OF_ALL = ("main", "master")  # branches that are never published, whatever the server's default


class Repository:
    """The repository whose top is the top of ``tree``; ``root`` is the sandbox's own folder.

    Made for one request, so that it is seen as it is now.

    Raises:
        NotReady: the folder is no repository that the checkout has made, or not yet.
        ForeignGit: its git directory is not the one that was made.
    """

    def __init__(self, tree: Tree, root: Path) -> None:
        self._tree = tree
        self._top = tree.top
        self._root = root
        self._spoils = root / "discarded"  # where what is discarded is kept
        self._git = Git()
        self._view = _view(tree, root)

    def facts(self) -> Facts:
        """Return where the work stands.

        Raises:
            NotReady: the folder is no repository, or not yet.
        """
        status = self._git.ask(self._view, *_STATUS)
        if status is None:
            raise NotReady("The working folder is no repository, or not yet.", notReady=True)
        found = parse_status(status)
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

    def changed(self) -> frozenset[str]:
        """Return the paths of what somebody has changed.

        Raises:
            NotReady: see ``facts``.
        """
        return frozenset(change.path for change in self.facts().own)

    def note_started(self, before: frozenset[str]) -> None:
        """Note what is changed, and was not ``before``, as done by the project's start.

        Raises:
            NotReady, NotKept: as they say.
        """
        facts = self.facts()
        new = [change for change in facts.own if change.path not in before]
        noted = facts.by_start + new[: boot_files.MOST]
        marks = {change.path: boot_files.mark(self._top, change) for change in noted}
        store.save(self._root, boot_files.NAME, json.dumps(marks))

    def diff(self) -> dict[str, object]:
        """Return what somebody has changed since the last commit, new files included."""
        facts = self.facts()
        against = ["HEAD"] if facts.status.head else ["--cached"]
        options = ["--no-color", *PLAIN, *against, "--", *_all_but(facts.by_start)]
        parts = [self._git.run(self._view, "diff", *options)]
        size = len(parts[0])
        # A repository that somebody has made in the folder is named, not looked into.
        new = [change.path for change in facts.own if change.is_new and not change.is_folder]
        for path in new[:NEW_FILES]:
            if size > DIFF_LIMIT:
                break
            # It ends with 1 because they differ: that is what is asked for.
            _, text = self._git.code(
                self._view, "diff", "--no-color", *PLAIN, "--no-index", "--", os.devnull, path
            )
            parts.append(text)
            size += len(text)
        whole = "\n".join(part for part in parts if part)
        return {
            "diff": whole[:DIFF_LIMIT],
            "truncated": len(whole) > DIFF_LIMIT or len(new) > NEW_FILES,
            "files": [{"path": c.path, "status": c.status} for c in facts.own],
        }

    def discard(self, paths: Sequence[str]) -> dict[str, object]:
        """Bring files back to the last commit, and take new ones away.

        What is taken back stays in the sandbox's own folder: a patch, and the new files.

        Raises:
            BadInput: no path is given, or one of them has no changes.
        """
        if not paths:
            raise BadInput("paths must name at least one file.", detail="paths")
        changes = {change.path: change for change in self.facts().status.changes}
        chosen = [changes[path] for path in paths if path in changes]
        if len(chosen) != len(paths):
            raise BadInput("One of the paths has no changes.", detail="paths")
        kept = self._put_aside(chosen)
        return {"ok": True, "discarded": [change.path for change in chosen], "kept": kept}

    def rebase(self, base: str) -> dict[str, object]:
        """Put the branch's commits on top of origin's ``base``, wholly or not at all.

        Raises:
            BadInput, NotReady, and what ``rebase.rebase`` raises.
        """
        facts = self.facts()
        rebase.rebase(self._git, self._view, facts, base, lambda: self._put_aside(facts.by_start))
        return {"ok": True, "previousHead": facts.status.head, **self.facts().meta()}

    def abort_rebase(self) -> dict[str, object]:
        """End a rebase that somebody has begun.

        Raises:
            NotReady, NotUnderWay: as they say.
        """
        self.facts()
        rebase.abort(self._git, self._view)
        return {"ok": True, **self.facts().meta()}

    def publish(self, message: str, *, replace: bool) -> dict[str, object]:
        """Push the branch, after a commit of all that somebody has changed.

        Only ever by a person's wish. The project's own hooks for pushing are left out: they
        would run where nobody sees what they say.

        Raises:
            MessageNeeded, DefaultBranch, NothingToPublish: as they say.
            Diverged: what is published would be lost, and ``replace`` was not given.
            GitFailed: with git's own last words.
        """
        facts = self.facts()
        branch = facts.status.branch
        if not branch or self._git.ask(self._view, "remote", "get-url", "origin") is None:
            raise NothingToPublish
        if branch in (*_OF_ALL, facts.base.removeprefix("origin/"), self._default()):
            raise DefaultBranch
        published = f"refs/remotes/origin/{branch}"
        is_known = self._git.ask(self._view, "rev-parse", "-q", "--verify", published) is not None
        is_ahead = not is_known or (
            self._git.ask(self._view, "merge-base", "--is-ancestor", published, "HEAD") is not None
        )
        if not is_ahead and not replace:
            raise Diverged
        if facts.is_dirty:
            if not message.strip():
                raise MessageNeeded
            self._stage(facts.by_start)
            self._git.run(self._view, "commit", "--quiet", f"--message={message}")
        target = f"refs/heads/{branch}:refs/heads/{branch}"
        # Replaced is only what this branch once was itself: never what somebody else has added.
        force = [] if is_ahead else ["--force-with-lease", "--force-if-includes"]
        self._git.run(self._view, "push", "--no-verify", *force, "origin", target)
        track(branch, self._view, self._git)
        return {"ok": True, **self.facts().meta()}

    def _stage(self, left_out: Sequence[Change]) -> None:
        """Take all that somebody has changed into the index, path by path.

        ``git add --all`` would ask for the status of each repository inside of this one, which
        reads their configuration.
        """
        names = {change.path for change in left_out}
        changes = parse_status(self._git.exact(self._view, *_STATUS)).changes
        chosen = [c.path for c in changes if not c.is_folder and _shown(c.path) not in names]
        text = "".join(f"{path}\0" for path in chosen)
        self._git.give(self._view, "update-index", "--add", "--remove", "-z", "--stdin", text=text)

    def _default(self) -> str:
        """Return the server's default branch, as it says now; empty if it doesn't."""
        said = self._git.ask(self._view, "ls-remote", "--symref", "origin", "HEAD") or ""
        found = re.match(r"ref: refs/heads/(\S+)\tHEAD", said)
        return found[1] if found else ""

    def _base(self) -> str:
        """Return the branch that others build on, as the remote names it."""
        head = self._git.ask(
            self._view, "symbolic-ref", "-q", "--short", "refs/remotes/origin/HEAD"
        )
        for name in [head, *_BASES]:
            if name and self._git.ask(self._view, "rev-parse", "-q", "--verify", name, "--"):
                return name
        return ""

    def _put_aside(self, changes: Sequence[Change]) -> str:
        """Take changes back; return the name of the folder where they are kept, if any."""
        if not changes:
            return ""
        place = self._spoils / str(time.time_ns())
        place.mkdir(parents=True, mode=0o700)
        self._take_back([change.path for change in changes if not change.is_new], place)
        for change in changes:
            if change.is_new:
                self._take_away(change.path, place)
        return place.name

    def _take_back(self, paths: list[str], place: Path) -> None:
        if not paths:
            return
        options = ["--binary", *PLAIN, "HEAD", "--", *_literal(paths)]
        patch = self._git.run(self._view, "diff", *options)
        (place / "changes.patch").write_text(f"{patch}\n", encoding="utf-8")
        self._git.run(self._view, "reset", "--quiet", "HEAD", "--", *_literal(paths))
        known = set(self._git.run(self._view, "ls-tree", "-rz", "--name-only", "HEAD").split("\0"))
        if old := [path for path in paths if path in known]:
            self._git.run(self._view, "checkout", "HEAD", "--", *_literal(old))
        for path in set(paths) - known:
            self._take_away(path, place)

    def _take_away(self, path: str, place: Path) -> None:
        target = place / "new" / path
        target.parent.mkdir(parents=True, exist_ok=True)
        with self._tree.at(str(self._top / path), follow=False) as spot:
            if not spot.name:
                raise PathOutside
            # From the folder that was looked at: another may have its name by now.
            shutil.move(path_of(spot.folder) / spot.name, target)


def _view(tree: Tree, root: Path) -> View:
    made = own.load(root)
    # A person may work in a part of a repository; then it is not ours to look after.
    if made is None or made.top.resolve() != tree.top:
        if os.path.lexists(tree.top / ".git"):
            raise ForeignGit
        raise NotReady("The working folder is no repository, or not yet.", notReady=True)
    return view_of(made, root)


def _shown(path: str) -> str:
    """Return a path as it is told, where it is no UTF-8."""
    return path.encode(errors="surrogateescape").decode(errors="replace")


def _all_but(changes: Sequence[Change]) -> list[str]:
    """Return what makes git leave these paths out."""
    return [":/", *[f":(top,exclude,literal){change.path}" for change in changes]]


def _literal(paths: Sequence[str]) -> list[str]:
    """Return paths that git takes as they are, whatever signs are in them."""
    return [f":(literal){path}" for path in paths]
