"""Paths inside one folder, resolved so that none leads out of it.

Each part of a path is opened relative to the folder before it, and never through a link: links are
read and resolved here. So the checked file is the opened one, even if names are swapped meanwhile.
"""

from __future__ import annotations

import os
import stat
import sys
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from mesh.lib.git_names import is_in_git
from sandboxes.daemon.files.errors import (
    BadPath,
    GitFolder,
    IsADirectory,
    NotAFile,
    PathOutside,
    translated,
)

MOST_PARTS = 100  # each holds a file descriptor while a path is walked
MOST_LINKS = 40  # as many as Linux follows
if sys.platform == "darwin":
    from fcntl import F_GETPATH, fcntl

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


@dataclass(frozen=True, slots=True)
class Spot:
    """The target of a path: an open folder and a name in it; without a name the folder itself."""

    folder: int
    name: str
    path: str  # relative to the top, with slashes; empty for the top

    def open(self, flags: int = os.O_RDONLY, mode: int = 0o666) -> int:
        """Open the target unless it is a link; a pipe does not block."""
        flags |= os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        return os.open(self.name or ".", flags, mode, dir_fd=self.folder)

    def facts(self) -> os.stat_result:
        """Return the target's stat; for a link, its own."""
        return os.stat(self.name or ".", dir_fd=self.folder, follow_symlinks=False)


class Tree:
    """The folder ``top``; relative paths start at ``base``, which is ``top`` or below."""

    def __init__(self, top: Path, base: Path | None = None) -> None:
        self.top = top.resolve()
        self._as_given = top
        self.base = (base or top).resolve()
        inside = self.base.relative_to(self.top)
        self._base = tuple(inside.parts)

    @contextmanager
    def at(self, path: str, *, follow: bool = True, make_parents: bool = False) -> Iterator[Spot]:
        """Yield the target of ``path``; it need not exist, but its folder must.

        ``follow`` says whether a link at the very end is followed.

        Raises:
            PathOutside: it leads out of ``top``, directly or through a link.
            GitFolder: it leads into git's folder, by any name that git accepts for it.
            BadPath, NoSuchFile, NotADirectory, NotPermitted: as their texts say.
        """
        with translated(), _Walk(self.top) as walk:
            parts = self._parts(path)
            name = self._go(walk, parts, follow=follow, make_parents=make_parents)
            yield Spot(walk.folder, name, "/".join([*walk.names, name] if name else walk.names))

    @contextmanager
    def open_folder(self, path: str) -> Iterator[tuple[int, str]]:
        """Yield a descriptor of the folder at ``path``, and its path relative to the top.

        Raises:
            NotADirectory: it is no folder; also everything that ``at`` raises.
        """
        with self.at(path) as spot:
            folder = spot.open(os.O_RDONLY | os.O_DIRECTORY)
            try:
                yield folder, spot.path
            finally:
                os.close(folder)

    @contextmanager
    def open_file(self, path: str) -> Iterator[tuple[int, str]]:
        """Yield a descriptor for reading the file at ``path``, and its path relative to the top.

        Raises:
            IsADirectory, NotAFile: it is no file; also everything that ``at`` raises.
        """
        with self.at(path) as spot:
            file = spot.open()
            try:
                check_file(os.fstat(file))
                yield file, spot.path
            finally:
                os.close(file)

    def _parts(self, path: str) -> list[str]:
        if "\x00" in path:
            raise BadPath
        try:
            os.fsencode(path)
        except UnicodeEncodeError as exc:
            raise BadPath from exc
        if path.startswith("/"):
            return self._inside(path)
        return [*self._base, *_split(path)]

    def _inside(self, path: str) -> list[str]:
        """Return the parts of an absolute path relative to the top."""
        for top in (self.top, self._as_given):
            if Path(path).is_relative_to(top):
                return _split(str(Path(path).relative_to(top)))
        raise PathOutside

    def _go(self, walk: _Walk, parts: list[str], *, follow: bool, make_parents: bool) -> str:
        """Walk to the folder of the last part, and return that part."""
        ahead = deque(parts)
        links = 0
        while ahead:
            name = ahead.popleft()
            if is_in_git(name):
                raise GitFolder
            if name == "..":
                walk.up()
                continue
            target = _link(walk.folder, name) if ahead or follow else None
            if target is not None:
                links += 1
                if links > MOST_LINKS:
                    raise BadPath("The path's links form a loop.")
                if target.startswith("/"):
                    walk.back_to_the_top()
                    ahead.extendleft(reversed(self._inside(target)))
                else:
                    ahead.extendleft(reversed(_split(target)))
            elif ahead:
                walk.down(name, make=make_parents)
            else:
                return name
        return ""


class _Walk:
    """The open folders from the top to the current one."""

    def __init__(self, top: Path) -> None:
        self._folders = [os.open(top, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)]
        self.names: list[str] = []

    def __enter__(self) -> _Walk:
        return self

    def __exit__(self, *_: object) -> None:
        for folder in self._folders:
            os.close(folder)

    @property
    def folder(self) -> int:
        return self._folders[-1]

    def down(self, name: str, *, make: bool) -> None:
        if len(self._folders) > MOST_PARTS:
            raise BadPath("The path has too many parts.")
        if make:
            try:
                os.mkdir(name, dir_fd=self.folder)
            except FileExistsError:
                pass  # it is opened below, if it is a folder
        self._folders.append(os.open(name, _FOLDER, dir_fd=self.folder))
        self.names.append(name)

    def up(self) -> None:
        if not self.names:
            raise PathOutside
        os.close(self._folders.pop())
        self.names.pop()

    def back_to_the_top(self) -> None:
        while self.names:
            self.up()


def path_of(folder: int) -> Path:
    """Return a path to the open folder itself, even if its name has changed."""
    if sys.platform == "darwin":
        return Path(os.fsdecode(fcntl(folder, F_GETPATH, bytes(1024)).rstrip(b"\0")))
    return Path(f"/proc/self/fd/{folder}")


def check_file(facts: os.stat_result) -> None:
    """Raise unless the stat is of a regular file."""
    if stat.S_ISDIR(facts.st_mode):
        raise IsADirectory
    if not stat.S_ISREG(facts.st_mode):
        raise NotAFile


def _split(path: str) -> list[str]:
    return [part for part in path.split("/") if part not in ("", ".")]


def _link(folder: int, name: str) -> str | None:
    try:
        return os.readlink(name, dir_fd=folder)
    except OSError:
        return None  # no link, or nothing at all: opening it will tell
