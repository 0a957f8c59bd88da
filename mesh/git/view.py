"""A repository as our calls see it: its history and files, with our own configuration.

Git takes everything that work trees share, including configuration and hooks, from
``GIT_COMMON_DIR``. Ours is a folder beside the working folder, where no agent's own sandbox lets
it write: links to the repository's references and objects, and a configuration made of the
repository's harmless settings. So a setting can't change between our check and git's use of it.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import shutil
import stat
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from mesh.git import quick
from mesh.git.calls import (
    NO_REDIRECT,
    OF_NETWORK,
    PROTOCOLS,
    Call,
    Outside,
    build,
    command_of,
    protocols_for,
)
from mesh.git.own import ForeignGit, NotReadable, Own
from mesh.lib.git_config import Judged, Pair, judge, parse, text_of
from mesh.plain_files import read_plain, write_plain

FOLDER: Final = "git"  # beside the working folder
CONFIG_LIMIT: Final = 1024 * 1024
NAMED: Final = 5  # settings that a sentence lists
_FOLDERS: Final = ("refs", "objects", "logs", "worktrees", "reftable", "lfs")
_FILES: Final = ("packed-refs", "shallow")  # git may create them later
# Commands that store contents: a file whose filter is missing must not be stored unfiltered.
_STORING: Final = frozenset({"add", "update-index", "stash"})
_WORKTREE_CONFIG: Final = ("extensions.worktreeconfig", "true")
# Settings without which a command may fail that works in the person's terminal.
_MISSED: Final = (
    *("core.sshcommand", "core.gitproxy", "credential.", "http.", "remote.", "url."),
    *("filter.", "lfs."),
)
# The same bytes have the same settings, and each view of a repository reads them: to make a new
# chat's folder takes ten. By digest, so that large files are not kept.
_MOST_PARSED: Final = 16
_PARSED: Final[dict[bytes, tuple[Pair, ...]]] = {}
_LEFT_OUT: Final = (
    "Mesh ignores these settings of the repository's own configuration: {names}."
    " Set them for all your repositories instead: git config --global."
)


class ConfigUnreadable(ForeignGit):
    code = "git_config_unreadable"
    text = "The repository's own configuration can't be read."
    hint = "Check it with: git config --local --list"


@dataclass(frozen=True, slots=True)
class View:
    """What a call may use of a repository. ``judged`` is its filtered configuration.

    A bare one has no main work tree; it may have others.
    """

    own: Own
    place: Path
    judged: Judged = field(default_factory=Judged)
    is_bare: bool = False

    @classmethod
    def open(cls, own: Own, root: Path, parent: Mapping[str, str]) -> View:
        """Set up the sandbox's view of its repository in ``root``. Safe to repeat. Blocking.

        Raises:
            ForeignGit: the git directory was replaced, or its configuration is unreadable.
            GitMissing: git is not installed.
        """
        own.check()
        judged = judge(_settings_of(own, root, parent), origin=own.origin)
        place = root / FOLDER
        place.mkdir(mode=0o700, exist_ok=True)
        (place / "info").mkdir(exist_ok=True)
        # Git would wait for ever for a pipe in its place.
        ignored = own.common / "info/exclude"
        _link(ignored, place / "info/exclude", is_wanted=ignored.is_file())
        for name in (*_FOLDERS, *_FILES):
            is_wanted = name in _FILES or (own.common / name).is_dir()
            _link(own.common / name, place / name, is_wanted=is_wanted)
        # Each work tree of a repository must know what the main one has checked out.
        is_bare = _is_bare(own, judged, root, parent)
        has_main = not own.origin and not is_bare
        _link(own.common / "HEAD", place / "HEAD", is_wanted=has_main)
        _write(place / "config", text_of(judged.kept))
        return cls(own, place, judged, is_bare)

    def call(self, args: tuple[str, ...], parent: Mapping[str, str]) -> Call:
        """Return the call of a command in the repository."""
        command = command_of(args)
        strict = _numbered(self.judged.filters) if command in _STORING else {}
        may_ask = command in OF_NETWORK or self.judged.is_partial
        # A clone is fetched from its own address, and from no redirect's.
        settings = ("-c", NO_REDIRECT) if self.own.origin else ()
        return build(
            (*settings, *args),
            cwd=self.own.top,
            parent=parent,
            protocols=self._protocols(args) if may_ask else (),
            places={
                **strict,
                "GIT_DIR": str(self.own.git_dir),
                "GIT_COMMON_DIR": str(self.place),
                "GIT_WORK_TREE": str(self.own.top),
                "GIT_NO_LAZY_FETCH": "0" if self.judged.is_partial else "1",
            },
        )

    def explain(self, said: str) -> str:
        """Return git's message for a person, with the settings that were left out."""
        said = said.replace(str(self.place), str(self.own.common.parent))
        missed = [key for key in self.judged.left_out if key.startswith(_MISSED)]
        if not missed:
            return said
        names = ", ".join(missed[:NAMED]) + (", …" if len(missed) > NAMED else "")
        return f"{said} {_LEFT_OUT.format(names=names)}"

    def _protocols(self, args: Sequence[str]) -> tuple[str, ...]:
        """Return the protocols of the remote that a command names; else those of origin.

        It may name a remote by the address that is pushed to.
        """
        value = self.judged.value
        remote = next((arg for arg in args if value(f"remote.{arg}.url")), "origin")
        address = value(f"remote.{remote}.url")
        if command_of(tuple(args)) == "push":
            address = value(f"remote.{remote}.pushurl") or address
        address = next((arg for arg in args if arg in self.judged.addresses), address)
        # A person's repository may come from another folder, but not from one that agents write.
        inside = Path(address.removeprefix("file://")).is_relative_to(self.place.parent)
        is_given = bool(self.own.origin) or not inside
        return protocols_for(address) if address and is_given else PROTOCOLS


def _numbered(filters: Sequence[str]) -> dict[str, str]:
    """Return the variables that make git refuse files which one of these filters should change."""
    variables = {"GIT_CONFIG_COUNT": str(len(filters))}
    for number, name in enumerate(filters):
        variables[f"GIT_CONFIG_KEY_{number}"] = f"filter.{name}.required"
        variables[f"GIT_CONFIG_VALUE_{number}"] = "true"
    return variables


def _settings_of(own: Own, root: Path, parent: Mapping[str, str]) -> list[tuple[str, str]]:
    files = [own.common / "config"]
    pairs = _listed(files[0], root, parent)
    if _WORKTREE_CONFIG in pairs:
        pairs += _listed(own.git_dir / "config.worktree", root, parent)
    return pairs


def _is_bare(own: Own, judged: Judged, root: Path, parent: Mapping[str, str]) -> bool:
    main = own.common / "config.worktree"  # the main work tree's own, which may say so instead
    pairs = judged.kept
    if _WORKTREE_CONFIG[0] in judged.left_out and own.git_dir != own.common and main.exists():
        pairs = (*pairs, *_listed(main, root, parent))
    return Judged(pairs).value("core.bare") == "true"


def _listed(file: Path, root: Path, parent: Mapping[str, str]) -> list[tuple[str, str]]:
    """Return the settings in one file, which git reads as data: it follows no include."""
    # Of a file it follows none by itself, but of its input it does.
    data = _read(file)
    digest = hashlib.sha256(data).digest()
    if digest in _PARSED:
        return list(_PARSED[digest])
    call = Outside(root).call(("config", "--file", "-", "--no-includes", "--list", "-z"), parent)
    try:
        code, said, why = quick.exchange(call, data)
    except NotReadable as exc:
        raise ConfigUnreadable from exc
    if code != 0:
        reason = why.decode(errors="replace").strip().replace("standard input", str(file))
        raise ConfigUnreadable(f"Git can't read the repository's configuration: {reason}")
    while len(_PARSED) >= _MOST_PARSED:
        _PARSED.pop(next(iter(_PARSED)), None)
    _PARSED[digest] = parse(os.fsdecode(said))
    return list(_PARSED[digest])


def _read(file: Path) -> bytes:
    try:
        handle = os.open(file, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        return b""
    except OSError as exc:
        raise ConfigUnreadable from exc
    with os.fdopen(handle, "rb") as stream:
        facts = os.fstat(handle)
        if not stat.S_ISREG(facts.st_mode) or facts.st_size > CONFIG_LIMIT:
            raise ConfigUnreadable
        return stream.read(CONFIG_LIMIT)


def _link(target: Path, link: Path, *, is_wanted: bool) -> None:
    """Make ``link`` lead to ``target``, or go. Others may do the same at the same time."""
    try:
        if is_wanted and os.readlink(link) == str(target):
            return
    except OSError:
        pass  # none yet, or no link: replaced
    if not is_wanted:
        link.unlink(missing_ok=True)
        return
    if link.is_dir() and not link.is_symlink():
        shutil.rmtree(link)  # git's own, from when there was none to lead to
    draft = link.with_name(f".{link.name}.{secrets.token_hex(4)}")
    draft.symlink_to(target)
    draft.replace(link)


def _write(file: Path, text: str) -> None:
    try:
        if read_plain(file) == text:
            return
    except OSError:
        pass
    draft = file.with_name(f".{file.name}.{secrets.token_hex(4)}")
    write_plain(draft, text, 0o666)
    draft.replace(file)
