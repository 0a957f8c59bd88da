"""Finds files by name and by content. Blocking: for a worker thread.

Contents are searched by ``rg`` if it is installed, else by a small program of our own: a process
in both cases, because an expression may take forever.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Literal

from mesh import children, launch
from mesh.lib.quoted_names import quote
from mesh.processes import signal_group
from sandboxes.daemon.env import tool_env
from sandboxes.daemon.files.errors import (
    BadPattern,
    GrepFailed,
    NotADirectory,
    SearchTooLong,
)
from sandboxes.daemon.files.tree import Tree, path_of
from sandboxes.daemon.files.walking import EXCLUDED, matcher, walk

GLOB_LIMIT, GLOB_MOST = 1000, 10_000
GREP_LIMIT, GREP_MOST = 250, 2000  # lines of an answer
WALK_LIMIT = 500_000  # files looked at by one glob
SECONDS = 30.0
COLUMNS = 500  # shown of one line

Mode = Literal["files", "count", "content"]


@dataclass(frozen=True, slots=True)
class Search:
    """A search: the expression, the files to search, and the form of the result."""

    pattern: str
    mode: str = "files"
    glob: str = ""
    ignore_case: bool = False
    context: int = 0
    limit: int = GREP_LIMIT


def glob(tree: Tree, pattern: str, *, path: str = "", limit: int = GLOB_LIMIT) -> dict[str, Any]:
    """Return the matching files below ``path``, relative to it.

    Raises:
        BadPattern: the pattern is invalid; also everything that ``Tree.open_folder`` raises.
    """
    try:
        fits = matcher(pattern)
    except ValueError as exc:
        raise BadPattern(f"The pattern is invalid: {exc}.") from exc
    found: list[str] = []
    looked_at = 0
    with tree.open_folder(path) as (folder, _):
        for name in walk(folder):
            looked_at += 1
            if fits(name):
                if len(found) == limit:
                    return {"files": found, "truncated": True}
                found.append(quote(name))
            if looked_at == WALK_LIMIT:
                return {"files": found, "truncated": True}
    return {"files": found, "truncated": False}


def grep(tree: Tree, search: Search, *, path: str = "") -> dict[str, Any]:
    """Return the lines of the result, and whether there are more.

    Raises:
        BadPattern: the expression is invalid.
        GrepFailed, SearchTooLong: as their texts say; also everything that ``Tree.at`` raises.
    """
    argv = _rg(search) if shutil.which("rg") else _own(search)
    lines: list[str] = []
    with _scope(tree, path) as (cwd, file, label), _started([*argv, _where(file)], cwd, file) as p:
        assert p.stdout is not None
        for record in _records(p.stdout, search.mode):
            if (line := _line(record, label)) is None:
                continue
            if len(lines) == search.limit:
                signal_group(p.pid, signal.SIGTERM)
                return {"mode": search.mode, "lines": lines, "truncated": True}
            lines.append(line)
        _judge(p, lines)
    return {"mode": search.mode, "lines": lines, "truncated": False}


@contextmanager
def _scope(tree: Tree, path: str) -> Iterator[tuple[Path, int | None, str]]:
    """Yield the folder to start in, a file to search instead, and that file's shown name."""
    try:
        with tree.open_folder(path) as (folder, _):
            yield path_of(folder), None, path.rstrip("/")
    except NotADirectory:
        with tree.open_file(path) as (file, _):
            yield tree.top, file, path


def _where(file: int | None) -> str:
    return "." if file is None else "-"


def _rg(search: Search) -> list[str]:
    modes = {
        "files": ["--files-with-matches"],
        "count": ["--count"],
        "content": ["--line-number", f"--context={search.context}"],
    }
    only = [f"--glob={search.glob}"] if search.glob else []
    return [
        *("rg", "--no-config", "--no-messages", "--color=never", "--no-heading", "--null"),
        *("--with-filename", "--sort=path", "--hidden", "--max-filesize=10M"),
        *(f"--max-columns={COLUMNS}", "--max-columns-preview"),
        *(["--ignore-case"] if search.ignore_case else []),
        *modes[search.mode],
        *only,
        *(f"--glob=!**/{name}/**" for name in sorted(EXCLUDED)),
        *(f"--iglob=!**/{name}" for name in (".git", "git~[0-9]")),
        *("--regexp", search.pattern, "--"),
    ]


def _own(search: Search) -> list[str]:
    request = {
        "pattern": search.pattern,
        "mode": search.mode,
        "glob": search.glob,
        "ignoreCase": search.ignore_case,
        "context": search.context,
        "columns": COLUMNS,
    }
    return launch.command("sandboxes.daemon.files.plain_grep", json.dumps(request))


@contextmanager
def _started(argv: list[str], cwd: Path, file: int | None) -> Iterator[subprocess.Popen[bytes]]:
    process = children.start(
        lambda: subprocess.Popen(
            argv,
            cwd=cwd,
            env=tool_env(os.environ, {}),
            stdin=subprocess.DEVNULL if file is None else file,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
    )
    late = threading.Event()

    def stop() -> None:
        late.set()
        signal_group(process.pid, signal.SIGKILL)

    timer = threading.Timer(SECONDS, stop)
    timer.daemon = True
    timer.start()
    try:
        with process:
            yield process
    except GrepFailed as exc:
        if late.is_set():
            raise SearchTooLong from exc
        raise
    finally:
        timer.cancel()


def _records(stdout: IO[bytes], mode: str) -> Iterator[bytes]:
    """Yield a record for each file or line; ``name NUL text`` for a line."""
    if mode != "files":
        yield from stdout
        return
    rest = b""
    while chunk := stdout.read1(65536) if hasattr(stdout, "read1") else stdout.read():
        *whole, rest = (rest + chunk).split(b"\0")
        yield from whole


def _line(record: bytes, label: str) -> str | None:
    """Return the record as ``path:number:text``; ``None`` if it is not one of ours."""
    file, mark, rest = record.rstrip(b"\r\n").partition(b"\0")
    name, what = os.fsdecode(file), rest.decode(errors="replace")
    if not mark and "\n" in name:
        return None
    if name == "--" and not mark:
        return name
    if name == "<stdin>":
        name = label
    else:
        name = name.removeprefix("./")
        name = f"{label}/{name}" if label not in ("", ".") else name
    return f"{quote(name)}:{what}" if mark else quote(name)


def _judge(process: subprocess.Popen[bytes], lines: list[str]) -> None:
    """Raise if the search failed and found nothing; partial results are kept."""
    assert process.stderr is not None
    said = process.stderr.read(4000).decode(errors="replace").strip()
    if process.wait() in (0, 1) or lines:
        return
    if "regex" in said or "glob" in said:
        raise BadPattern(f"The pattern is invalid: {said.splitlines()[-1]}")
    raise GrepFailed(f"The search failed: {said[-300:]}" if said else "")
