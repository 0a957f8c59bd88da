"""Fills the submodules of a new working folder. Blocking.

From the person's own copies where they have them, else from their servers, with the person's
sign-in. Each becomes a repository of its own inside the folder (``mesh.git.submodules``): nothing
is written into the person's repository or its configuration, as ``git submodule update`` would,
and no object is shared with it. Nothing that a submodule's own configuration names is started: it
is new, and has only what Mesh writes.
"""

from __future__ import annotations

import logging
import os
import re
import shutil
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from mesh.git import own, submodules
from mesh.git.calls import NO_REDIRECT, Outside
from mesh.git.fresh import Fresh
from mesh.git.own import Own
from mesh.git.submodules import Filled, Record
from mesh.git.view import View
from mesh.lib.errors import AppError
from mesh.lib.submodules import Submodule, read_gitmodules, resolve_url
from sandboxes.daemon.checkout.branches import setting_in, with_retries
from sandboxes.daemon.checkout.plain_walk import folder_of
from sandboxes.daemon.checkout.submodule_sources import (
    Address,
    Parent,
    address_of,
    git_dirs_of,
    has_commit,
    local_source,
)
from sandboxes.daemon.env import tool_env
from sandboxes.daemon.git import Git, GitFailed, redact, view_of
from sandboxes.daemon.notices import Notices

logger = logging.getLogger(__name__)

# Codes of the notices.
EMPTY, BEHIND, FETCHED = "submodule_empty", "submodule_behind", "submodules_fetched"
MOST: Final = 500
DEEPEST: Final = 10  # submodules of submodules
LIST_LIMIT: Final = 1024 * 1024  # bytes of .gitmodules
_PART: Final = "submodule"  # beside the working folder, while it is made
_STOPPED: Final = "it was stopped"
_MOVED: Final = re.compile(r"returned error: 30\d|moved|redirect", re.IGNORECASE)
_FETCH: Final = ("fetch", "--quiet", "--no-recurse-submodules")

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class _Level:
    """A repository with submodules: the working folder, or one of its submodules."""

    view: View
    parent: Parent
    prefix: str = ""
    depth: int = 0


@dataclass(frozen=True, slots=True)
class _Wanted:
    """A submodule to fill: where, and with which commit. ``path`` is below the working folder."""

    found: Submodule
    path: str
    commit: str


class SubmoduleFailed(GitFailed):
    code = "submodule_failed"
    text = "The submodule could not be filled."
    hint = "Check its address in .gitmodules, and your sign-in to its server."


class Filler:
    """Fills the submodules of the work tree ``made``, which is of the person's ``main`` if given.

    Safe to repeat: it goes on where it was stopped, and tries again what failed.
    """

    def __init__(self, main: Own | None, made: Own, git: Git, notices: Notices, say: Say) -> None:
        self._main, self._made, self._git = main, made, git
        self._notices, self._say = notices, say
        self._root = made.top.parent
        self._filled: dict[str, Filled] = {}
        self._is_complete = True
        self._fetched: list[str] = []

    def fill(self, *, is_other_commit: bool = False) -> None:
        """Fill them all, the submodules of submodules too.

        With ``is_other_commit``, the folder was moved to another branch: those that nobody has
        changed follow it. A failure ends nothing: the notices say which submodule is empty, or at
        another commit, and why.
        """
        record = submodules.load(self._root) or Record()
        if record.is_complete and not is_other_commit:
            return
        self._notices.forget(EMPTY)
        self._notices.forget(BEHIND)
        self._filled = {filled.path: filled for filled in record.filled}
        try:
            self._fill_all()
        except (AppError, OSError) as exc:
            self._is_complete = False
            logger.warning("filling submodules failed, trying again at the next start: %s", exc)
            self._notices.add(EMPTY, f"The submodules could not be filled: {exc}")
        finally:
            shutil.rmtree(self._root / _PART, ignore_errors=True)
            submodules.save(self._root, Record(tuple(self._filled.values()), self._is_complete))
        if self._fetched:
            names = ", ".join(self._fetched)
            self._notices.add(FETCHED, f"Fetched from their servers: the submodules {names}.")

    def _fill_all(self) -> None:
        view = view_of(self._made, self._root)
        if not self._modules_in(view):
            return
        waiting = deque([_Level(view, self._parent())])
        count = 0
        while waiting:
            level = waiting.popleft()
            for wanted in self._wanted_in(level):
                count += 1
                if self._git.is_stopped:
                    self._leave(wanted.path, _STOPPED)
                elif count > MOST or level.depth >= DEEPEST:
                    self._leave(wanted.path, "there are too many submodules")
                elif (inner := self._fill_one(wanted, level)) is not None:
                    waiting.append(inner)

    def _parent(self) -> Parent:
        if self._main is None:
            return Parent(self._made.origin, is_persons=False)
        # The person's branch may have a remote of its own; the new branch has none yet.
        return Parent.of_person(self._main, view_of(self._main, self._root), self._git)

    def _modules_in(self, view: View) -> dict[str, str]:
        return submodules.modules_in(os.fsencode(self._git.ask(view, *submodules.LISTED) or ""))

    def _wanted_in(self, level: _Level) -> list[_Wanted]:
        named = self._named_in(level.view)
        found: list[_Wanted] = []
        for inner, commit in self._modules_in(level.view).items():
            path = f"{level.prefix}{inner}"
            if inner not in named:
                self._leave(path, ".gitmodules names no address for it that git may use")
            elif named[inner].is_wanted:
                found.append(_Wanted(named[inner], path, commit))
        return found

    def _named_in(self, view: View) -> dict[str, Submodule]:
        size = self._git.ask(view, "cat-file", "-s", "HEAD:.gitmodules")
        if size is None:
            return {}
        if int(size) > LIST_LIMIT:
            raise SubmoduleFailed("The file .gitmodules is too large.")
        given = self._git.output(view, "cat-file", "blob", "HEAD:.gitmodules")
        asked = ("config", "--file", "-", "--no-includes", "--list", "-z")
        try:
            listing = self._git.output(Outside(self._root), *asked, given=given)
        except GitFailed as exc:
            raise SubmoduleFailed("The file .gitmodules can't be read.") from exc
        return {found.path: found for found in read_gitmodules(os.fsdecode(listing))}

    def _fill_one(self, wanted: _Wanted, level: _Level) -> _Level | None:
        """Fill a submodule unless it is; return the level of its own submodules."""
        if wanted.path not in self._filled:
            try:
                self._make(wanted, level.parent)
            except (AppError, OSError) as exc:
                self._leave(wanted.path, _STOPPED if self._git.is_stopped else str(exc))
                return None
        filled = self._filled[wanted.path]
        if not submodules.is_filled(self._made.top / wanted.path):
            return None  # somebody emptied it
        env = tool_env(os.environ, {})
        view = submodules.view_of(filled, self._made.top, self._root, env)
        if filled.commit != wanted.commit:
            self._follow(wanted, filled, view, level.parent)
        modules = tuple(folder / "modules" for folder in git_dirs_of(wanted.found, level.parent))
        checkout = level.parent.checkout / wanted.found.path if level.parent.checkout else None
        parent = replace(level.parent, url=filled.origin, modules=modules, checkout=checkout)
        return _Level(view, parent, f"{wanted.path}/", level.depth + 1)

    def _follow(self, wanted: _Wanted, filled: Filled, view: View, parent: Parent) -> None:
        """Check out the commit that the branch names now, unless somebody works in there."""
        git = self._git
        if git.ask(view, "rev-parse", "--verify", "-q", "HEAD") != filled.commit:
            return
        try:
            if not has_commit(git, view, wanted.commit):
                limits = address_of(wanted.found, parent).limits
                self._say(f"Fetching the submodule {wanted.path} from {redact(filled.origin)}")
                with_retries(git, view, *_FETCH, "origin", limits=limits)
            git.run(view, "checkout", "--quiet", "--detach", wanted.commit)
        except AppError as exc:
            text = f"The submodule {wanted.path} is at another commit than the branch names: {exc}"
            self._notices.add(BEHIND, redact(text))
        else:
            self._filled[wanted.path] = replace(filled, commit=wanted.commit)

    def _make(self, wanted: _Wanted, parent: Parent) -> None:
        part = self._root / _PART
        shutil.rmtree(part, ignore_errors=True)
        hashes = ("--object-format=sha256",) if len(wanted.commit) == 64 else ()
        self._git.run(Outside(self._root), "init", "--quiet", *hashes, "--", str(part))
        url = resolve_url(parent.url, wanted.found.url) or wanted.found.url
        self._configure(part, url)
        self._fetch_local(wanted, parent, part)
        if not self._has(part, wanted.commit):
            url = self._fetch(wanted, address_of(wanted.found, parent), part)
        self._git.run(Fresh(part), "checkout", "--quiet", "--detach", wanted.commit)
        self._move(part, wanted.path)
        self._filled[wanted.path] = Filled(wanted.path, wanted.commit, url)
        # After each, so that one that was filled is never taken for somebody else's.
        submodules.save(self._root, Record(tuple(self._filled.values())))

    def _configure(self, part: Path, url: str) -> None:
        settings = {
            "remote.origin.url": url,
            "remote.origin.fetch": "+refs/heads/*:refs/remotes/origin/*",
        }
        if self._main is None:
            settings |= dict([NO_REDIRECT.split("=")])
        made = own.of_clone(part, url)
        for key, value in settings.items():
            self._git.run(Outside(self._root), *setting_in(made, key, value))

    def _fetch_local(self, wanted: _Wanted, parent: Parent, part: Path) -> None:
        source = local_source(wanted.found, wanted.commit, parent, self._root, self._git)
        if source is None:
            return
        refs = ["+refs/remotes/origin/*:refs/remotes/origin/*", "^refs/remotes/origin/HEAD"]
        refs.append("+refs/tags/*:refs/tags/*")
        if self._git.ask(source, "cat-file", "-e", f"{wanted.commit}^{{commit}}") is not None:
            refs.append(wanted.commit)
        options = ("--no-tags", "--update-shallow", "--no-write-fetch-head")
        where = Fresh(part, protocols=("file",))
        try:
            self._git.run(where, *_FETCH, *options, "--", str(source.place), *refs)
        except GitFailed as exc:
            logger.info("submodule %s: can't be taken from this machine: %s", wanted.path, exc)

    def _fetch(self, wanted: _Wanted, address: Address, part: Path) -> str:
        """Fetch a submodule from its server; return the address that worked."""
        shown = redact(address.url)
        logger.info("submodule %s: fetching it from %s", wanted.path, shown)
        self._say(f"Fetching the submodule {wanted.path} from {shown}")
        depth = ("--depth=1",) if wanted.found.is_shallow else ()
        where = Fresh(part, protocols=address.protocols)
        try:
            if not depth:
                with_retries(self._git, where, *_FETCH, "origin", limits=address.limits)
            if not self._has(part, wanted.commit):
                # Not on any branch, or only that one commit is wanted.
                last = (*_FETCH, *depth, "--", "origin", wanted.commit)
                with_retries(self._git, where, *last, limits=address.limits)
        except GitFailed as exc:
            if address.url.endswith(".git") or not _MOVED.search(str(exc)):
                raise
            # Some servers redirect an address without “.git” to the one with it.
            longer = replace(address, url=f"{address.url.rstrip('/')}.git")
            self._configure(part, longer.url)
            return self._fetch(wanted, longer, part)
        self._fetched.append(f"{wanted.path} ({shown})")
        return address.url

    def _has(self, part: Path, commit: str) -> bool:
        return self._git.ask(Fresh(part), "cat-file", "-e", f"{commit}^{{commit}}") is not None

    def _move(self, part: Path, path: str) -> None:
        """Put a complete submodule into its place, if that is an empty folder."""
        with folder_of(self._made.top, path) as (folder, name):
            try:
                os.rename(part, name, dst_dir_fd=folder)
            except OSError as exc:
                raise SubmoduleFailed("there are files in its folder") from exc

    def _leave(self, path: str, why: str) -> None:
        self._is_complete = False
        logger.warning("submodule %s: left empty, trying again at the next start: %s", path, why)
        self._notices.add(EMPTY, f"The submodule {path} is empty: {redact(why)}")
