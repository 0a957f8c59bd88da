"""Keeps the working tree at the begin and the end of each turn, as git trees of ours. Blocking.

They are in the sandbox's own folder, with an index of their own (ADR 37): the repository's index,
references, objects, stash and configuration are only read, and no hook runs.
"""

from __future__ import annotations

import json
import os
import shutil
import stat
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final

from mesh.git import own
from mesh.git.beside import Beside
from mesh.lib.errors import AppError
from mesh.lib.quoted_names import quote
from mesh.plain_files import read_plain, write_plain
from sandboxes.daemon.git import PLAIN, Git, view_of

FOLDER: Final = "checkpoints"  # in the sandbox's own folder
MOST_TURNS: Final = 200
MOST_BYTES: Final = 512 * 1024 * 1024  # of objects; above it the older half of the turns goes
FILE_LIMIT: Final = 32 * 1024 * 1024  # bytes of a changed file; a larger one is left out
TOGETHER: Final = 256 * 1024 * 1024  # bytes of the changed files of one checkpoint
_TURNS: Final = "turns.json"
_SEEN: Final = "seen.json"  # which state of the repository's index ours was made from
_LISTED: Final = 100  # files left out that a turn names


class NoCheckpoint(AppError):
    code = "no_checkpoint"
    text = "The files from before this turn were not kept."
    hint = "Compare with the last commit instead."
    status = 404


@dataclass(frozen=True, slots=True)
class Turn:
    """A turn's trees; ``end`` is empty while it runs. ``left_out``: files too large to keep."""

    thread: str
    run: str
    fence: int
    begin: str
    end: str = ""
    at: float = 0.0  # seconds since 1970, of the begin
    left_out: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Tree:
    name: str
    left_out: tuple[str, ...]


class TurnCheckpoints:
    """The checkpoints of one sandbox, whose own folder is ``root``. One caller at a time."""

    def __init__(self, root: Path) -> None:
        self._root, self._folder = root, root / FOLDER
        self._git = Git()

    def begin(self, thread: str, run: str, fence: int) -> None:
        """Keep the working tree as it is before a turn. Without a repository nothing is kept.

        Raises:
            AppError, OSError: it can't be kept.
        """
        beside = self._beside()
        if beside is None:
            return
        tree = self._keep(beside)
        turn = Turn(thread, run, fence, tree.name, at=time.time(), left_out=tree.left_out)
        others = [each for each in self.turns() if (each.run, each.fence) != (run, fence)]
        self._save([*others, turn])

    def end(self, run: str, fence: int) -> None:
        """Keep the working tree as it is after a turn whose begin was kept.

        Raises:
            AppError, OSError: see ``begin``.
        """
        turns = self.turns()
        at = next((n for n, each in enumerate(turns) if (each.run, each.fence) == (run, fence)), -1)
        beside = self._beside()
        if at < 0 or beside is None:
            return
        tree = self._keep(beside)
        left_out = tuple(dict.fromkeys((*turns[at].left_out, *tree.left_out)))[:_LISTED]
        turns[at] = replace(turns[at], end=tree.name, left_out=left_out)
        self._save(self._bounded(beside, turns))

    def stop(self) -> None:
        """End a checkpoint that is being made; from another OS thread."""
        self._git.stop()

    def resume(self) -> None:
        """Make checkpoints again after ``stop``."""
        self._git.begin()

    def turns(self) -> list[Turn]:
        """Return the kept turns, the oldest first."""
        try:
            listed = json.loads(read_plain(self._folder / _TURNS))
            return [Turn(**{**each, "left_out": tuple(each["left_out"])}) for each in listed]
        except (OSError, ValueError, TypeError, KeyError):
            return []

    def last(self, thread: str) -> Turn:
        """Return the thread's last turn.

        Raises:
            NoCheckpoint: none of it is kept.
        """
        for turn in reversed(self.turns()):
            if turn.thread == thread:
                return turn
        raise NoCheckpoint

    def diff(self, turn: Turn, *, limit: int) -> dict[str, Any]:
        """Return what the turn changed, up to now if it has not ended: ``files`` with their
        ``path``, ``status``, ``added`` and ``removed`` lines (null for no text), and ``diff``, of
        which at most ``limit`` bytes are shown.

        Raises:
            NoCheckpoint: there is no repository any more, or the objects are gone.
            GitFailed: git can't compare.
        """
        beside = self._beside()
        if beside is None:
            raise NoCheckpoint
        end = turn.end or self._keep(beside).name
        for tree in (turn.begin, end):
            if self._git.ask(beside, "cat-file", "-e", f"{tree}^{{tree}}") is None:
                raise NoCheckpoint
        ends = ("-r", *PLAIN, turn.begin, end, "--")
        counted = self._git.output(beside, "diff-tree", "-z", "--numstat", *ends)
        stated = self._git.output(beside, "diff-tree", "-z", "--name-status", *ends)
        shown = bytearray()

        def take(piece: bytes) -> bool:
            shown.extend(piece[: limit + 1 - len(shown)])
            return len(shown) <= limit

        self._git.stream(beside, "diff-tree", "-p", *ends, take=take)
        is_cut = len(shown) > limit
        return {
            "diff": bytes(shown[:limit]).decode(errors="replace"),
            "truncated": is_cut,
            "files": list(_files(counted, stated)),
            "notKept": [quote(path) for path in turn.left_out],
        }

    # How it is done

    def _beside(self) -> Beside | None:
        made = own.load(self._root)
        if made is None:
            return None
        view = view_of(made, self._root)
        if view.is_bare and made.git_dir == made.common:
            return None
        (self._folder / "objects").mkdir(mode=0o700, parents=True, exist_ok=True)
        return Beside(view, self._folder)

    def _keep(self, beside: Beside) -> Tree:
        """Return the working tree as it is now."""
        self._seed(beside)
        changed = ("ls-files", "-z", "-d", "-m", "-o", "--exclude-standard", "--full-name")
        names = dict.fromkeys(self._git.names(beside, *changed))
        wanted, gone, left_out = _chosen(beside.view.own.top, names)
        if gone:
            self._remove(beside, gone)
        given = b"".join(os.fsencode(name) + b"\0" for name in wanted)
        update = ("update-index", "-q", "--add", "--remove", "--replace", "-z", "--stdin")
        if wanted:
            self._git.run(beside, *update, given=given)
        return Tree(self._git.words(beside, "write-tree"), left_out)

    def _seed(self, beside: Beside) -> None:
        """Take the repository's index over when it has changed: it knows which files are as they
        were, so that they need not be read. Else ours is kept, which knows of the others, too."""
        theirs = beside.view.own.git_dir / "index"
        seen = _state_of(theirs)
        kept = self._folder / _SEEN
        try:
            if beside.index.exists() and json.loads(read_plain(kept)) == seen:
                return
        except (OSError, ValueError):
            pass
        for stale in (kept, beside.index, beside.index.with_name("index.lock")):
            stale.unlink(missing_ok=True)
        if seen:
            # With its time: git reads again what was written in the same moment as the index.
            shutil.copy2(theirs, beside.index, follow_symlinks=False)
            self._drop_unmerged(beside)
        write_plain(kept, json.dumps(seen), 0o600)

    def _drop_unmerged(self, beside: Beside) -> None:
        """Take paths in conflict out of our index: they are then new files, as they lie there."""
        listed = self._git.output(beside, "ls-files", "-z", "-u")
        paths = dict.fromkeys(each.split(b"\t", 1)[1] for each in listed.split(b"\0") if each)
        if paths:
            self._remove(beside, [os.fsdecode(path) for path in paths])

    def _remove(self, beside: Beside, names: Sequence[str]) -> None:
        given = b"".join(os.fsencode(name) + b"\0" for name in names)
        self._git.run(beside, "update-index", "--force-remove", "-z", "--stdin", given=given)

    def _bounded(self, beside: Beside, turns: list[Turn]) -> list[Turn]:
        """Return the turns that stay: if the objects take too much room, the newer half, whose
        objects become one pack; those of the others are removed."""
        turns = turns[-MOST_TURNS:]
        if _size_of(beside.objects) <= MOST_BYTES:
            return turns
        turns = turns[len(turns) // 2 :]
        trees = [tree for turn in turns for tree in (turn.begin, turn.end) if tree]
        options = ("--objects", "--no-object-names", "--missing=allow-any")
        needed = self._git.output(beside, "rev-list", *options, *dict.fromkeys(trees), "--")
        fresh = self._folder / "objects.new"
        shutil.rmtree(fresh, ignore_errors=True)
        (fresh / "pack").mkdir(mode=0o700, parents=True)
        pack = ("pack-objects", "-q", "--local", "--missing=allow-any", str(fresh / "pack/pack"))
        self._git.run(beside, *pack, given=needed)
        shutil.rmtree(beside.objects)
        fresh.rename(beside.objects)
        return turns

    def _save(self, turns: Sequence[Turn]) -> None:
        file = self._folder / _TURNS
        draft = file.with_name(f".{file.name}")
        draft.unlink(missing_ok=True)
        write_plain(draft, json.dumps([asdict(turn) for turn in turns]), 0o600)
        draft.replace(file)


def _chosen(top: Path, names: Iterable[str]) -> tuple[list[str], list[str], tuple[str, ...]]:
    """Return the paths that are kept, those in whose place a folder is now, or a link in the
    place of a folder above, and those that are too large.

    Nested repositories, pipes, sockets and what may not be read are in none of them.
    """
    wanted, gone, left_out, together = [], [], [], 0
    real = os.path.realpath(top)
    for name in names:
        if name.endswith("/"):
            continue  # a nested repository: its contents are not read
        path = top / name
        above = os.path.dirname(name)
        if above and os.path.realpath(path.parent) != os.path.join(real, above):
            gone.append(name)
            continue
        try:
            facts = path.lstat()
        except OSError:
            wanted.append(name)  # it is gone, which git sees itself
            continue
        if stat.S_ISREG(facts.st_mode):
            if not os.access(path, os.R_OK):
                continue
            if facts.st_size > FILE_LIMIT or together + facts.st_size > TOGETHER:
                left_out.append(name)
                continue
            together += facts.st_size
        elif stat.S_ISDIR(facts.st_mode):
            if not os.path.lexists(path / ".git"):  # else it is a submodule
                gone.append(name)
                continue
        elif not stat.S_ISLNK(facts.st_mode):
            continue
        wanted.append(name)
    return wanted, gone, tuple(left_out[:_LISTED])


def _state_of(file: Path) -> list[int]:
    """Return what tells one state of a file from another; empty if there is none."""
    try:
        facts = file.lstat()
    except OSError:
        return []
    if not stat.S_ISREG(facts.st_mode):
        return []
    return [facts.st_ino, facts.st_size, facts.st_mtime_ns]


def _size_of(folder: Path) -> int:
    """Return the bytes of the files below ``folder``."""
    total = 0
    for place, _, names in os.walk(folder):
        for name in names:
            try:
                total += os.lstat(os.path.join(place, name)).st_size
            except OSError:
                pass  # it is gone
    return total


def _files(counted: bytes, stated: bytes) -> Iterator[dict[str, Any]]:
    words = stated.split(b"\0")[:-1]
    states = {words[at + 1]: words[at].decode() for at in range(0, len(words), 2)}
    for line in counted.split(b"\0")[:-1]:
        added, removed, path = line.split(b"\t", 2)
        yield {
            "path": quote(os.fsdecode(path)),
            "status": states.get(path, "M"),
            "added": None if added == b"-" else int(added),
            "removed": None if removed == b"-" else int(removed),
        }
