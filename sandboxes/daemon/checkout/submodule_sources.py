"""Where the objects of a submodule may come from: this machine, or which servers. Blocking.

``.gitmodules`` is content of the repository, so its addresses are checked as those of clones are
(``clones.clone_limits``), and more strictly: no server of ours has seen them, so they may lead
only to the repository's own server, or to one that is public.
"""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from mesh.git.calls import NO_REDIRECT, protocols_for
from mesh.git.fresh import source_of
from mesh.git.own import Own
from mesh.git.submodules import place_in
from mesh.git.view import View
from mesh.lib.errors import AppError
from mesh.lib.repositories import read_clone_url
from mesh.lib.submodules import Submodule, is_relative, resolve_url
from sandboxes.daemon.checkout.clones import clone_limits
from sandboxes.daemon.env import tool_env
from sandboxes.daemon.git import Git, GitFailed

_SOURCE: Final = "source"


@dataclass(frozen=True, slots=True)
class Parent:
    """The repository that names submodules. ``url`` is its own address; empty without a server.

    ``modules`` are the folders in which the person's repository may keep the submodules' git
    directories, ``checkout`` is the person's own working folder of it.
    """

    url: str
    is_persons: bool
    modules: tuple[Path, ...] = ()
    checkout: Path | None = None

    @classmethod
    def of_person(cls, main: Own, view: View, git: Git) -> Parent:
        """Return the person's repository ``main``; relative addresses start at its own remote."""
        modules = dict.fromkeys((main.git_dir / "modules", main.common / "modules"))
        return cls(_remote_url(view, git) or str(main.top), True, tuple(modules), main.top)


@dataclass(frozen=True, slots=True)
class Address:
    """An address to fetch from, with the protocols and git's options that limit it to that."""

    url: str
    protocols: tuple[str, ...]
    limits: tuple[str, ...]


def address_of(submodule: Submodule, parent: Parent) -> Address:
    """Return the submodule's address.

    Raises:
        GitFailed: it is none, or Mesh may not fetch from it.
    """
    url = resolve_url(parent.url, submodule.url)
    if url is None:
        raise GitFailed(f"Its address {submodule.url} leads to no repository.")
    if parent.is_persons and _is_on_same_server(submodule.url, url, parent.url):
        return Address(url, protocols_for(parent.url), ("-c", NO_REDIRECT))
    is_public_only = _server_of(url) != _server_of(parent.url)
    limits = clone_limits(url, is_public_only=is_public_only)
    return Address(url, ("https", "ssh"), limits)


def _is_on_same_server(given: str, url: str, parent: str) -> bool:
    """Return whether the person's own repository comes from there, too.

    Of a folder on this machine, only a relative address of a folder beside it says so: any other
    would be a folder of the repository's choice.
    """
    if parent.startswith(("/", "file://")):
        beside = parent.rstrip("/").rpartition("/")[0]
        return is_relative(given) and url.startswith(f"{beside}/")
    return _server_of(url) == _server_of(parent) != ""


def _server_of(url: str) -> str:
    """Return the scheme, host and port of an address; empty for one of another form."""
    scheme, mark, rest = url.partition("://")
    if mark and scheme in ("http", "git"):
        return f"{scheme}://{rest.partition('/')[0].rpartition('@')[2].lower()}"
    parts = read_clone_url(url)
    return f"{parts.scheme}://{parts.host}:{parts.port}" if parts else ""


def local_source(
    submodule: Submodule, commit: str, parent: Parent, root: Path, git: Git
) -> View | None:
    """Return the person's own copy of a submodule, if it has the commit or at least its history.

    ``root`` is the sandbox's own folder.
    """
    found: list[View] = []
    for git_dir in git_dirs_of(submodule, parent):
        place = place_in(root, submodule.path) / _SOURCE
        place.mkdir(exist_ok=True)
        try:
            view = source_of(git_dir, place, tool_env(os.environ, {}))
        except (AppError, OSError):
            continue  # not usable: the next one, or the server
        if has_commit(git, view, commit):
            return view
        found.append(view)
    return found[0] if found else None


def git_dirs_of(submodule: Submodule, parent: Parent) -> list[Path]:
    """Return the git directories that the person's repository has for a submodule."""
    places = [(folder, submodule.name) for folder in parent.modules]
    if parent.checkout is not None:
        places.append((parent.checkout, f"{submodule.path}/.git"))
    return [top / path for top, path in places if _is_plain(top, path)]


def _is_plain(top: Path, path: str) -> bool:
    """Return whether ``path`` is a folder, with no link on the way to it."""
    folder = top
    for part in path.split("/"):
        folder /= part
        try:
            if not stat.S_ISDIR(folder.lstat().st_mode):
                return False
        except OSError:
            return False
    return (folder / "objects").is_dir()


def has_commit(git: Git, where: View, commit: str) -> bool:
    return git.ask(where, "cat-file", "-e", f"{commit}^{{commit}}") is not None


def _remote_url(view: View, git: Git) -> str:
    """Return the address of the remote that git would resolve relative addresses with."""
    head = git.ask(view, "symbolic-ref", "--short", "-q", "HEAD") or ""
    remotes = (git.ask(view, "remote") or "").split("\n")
    chosen = view.judged.value(f"branch.{head}.remote")
    if chosen not in remotes:
        chosen = remotes[0] if len(remotes) == 1 else "origin"
    return view.judged.value(f"remote.{chosen}.url")
