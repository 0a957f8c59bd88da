"""Finds files by name and by content. Blocking: for a worker thread.

Contents are searched by ``rg`` if it is installed, else by a small program of our own: a process
in both cases, because an expression may take forever. ``rg`` reads UTF-8, and UTF-16 with a mark:
texts in other encodings are searched by our program.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import threading
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Any, Literal

from mesh import children, launch
from mesh.lib.quoted_names import quote, quote_in_line
from mesh.processes import signal_group
from sandboxes.daemon.env import tool_env
from sandboxes.daemon.files.errors import (
    BadPattern,
    GrepFailed,
    NotADirectory,
    SearchTooLong,
)
from sandboxes.daemon.files.odd_files import is_odd, is_odd_name
from sandboxes.daemon.files.tree import Tree, path_of
from sandboxes.daemon.files.walking import EXCLUDED, matcher, walk

GLOB_LIMIT, GLOB_MOST = 1000, 10_000
GREP_LIMIT, GREP_MOST = 250, 2000  # lines of an answer
WALK_LIMIT = 500_000  # files looked at by one glob
SECONDS = 30.0
COLUMNS = 500  # shown of one line
MOST_ODD = 16 * 1024  # bytes of names of files in other encodings: they are an argument
STDIN = "<stdin>"
NOT_UTF8 = ("--text", "--invert-match", "--regexp", r"^[^\x00]*$")

Mode = Literal["files", "count", "content"]
_Form = Callable[[bytes, str], Any]  # of a record, and the shown name of what is searched


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
    lines, more = _search(tree, search, path, _line)
    return {"mode": search.mode, "lines": lines, "truncated": more}


def matches(tree: Tree, search: Search, *, path: str = "") -> dict[str, Any]:
    """Return the lines that ``grep`` finds in mode ``content`` without context, as objects.

    Raises:
        As ``grep``.
    """
    assert search.mode == "content"
    assert not search.context
    found, more = _search(tree, search, path, _match)
    return {"matches": found, "truncated": more}


def _search(tree: Tree, search: Search, path: str, form: _Form) -> tuple[list[Any], bool]:
    """Return the results in that form, and whether there are more."""
    with _scope(tree, path) as scope:
        if not shutil.which("rg"):
            lines = _run(_own(search), scope, search, form=form)
        else:
            odd, found = _in_odd_files(scope, search, form)
            lines = _run(_rg(search), scope, search, without=odd, form=form)
            lines += found
    return lines[: search.limit], len(lines) > search.limit


@dataclass(frozen=True, slots=True)
class _Scope:
    """The folder to start in, a file to search instead, and that file's shown name."""

    cwd: Path
    file: int | None
    label: str


def _run(
    argv: list[str],
    scope: _Scope,
    search: Search,
    *,
    form: _Form,
    without: Collection[str] = (),
) -> list[Any]:
    """Return the lines of a search's result, at most one more than its limit."""
    lines: list[Any] = []
    where = "." if scope.file is None else "-"
    with _started([*argv, where], scope.cwd, scope.file) as process:
        assert process.stdout is not None
        for record in _records(process.stdout, search.mode):
            if _name(record) not in without:
                lines.append(form(record, scope.label))
            if len(lines) > search.limit:
                signal_group(process.pid, signal.SIGTERM)
                return lines
        _judge(process, lines)
    return lines


def _in_odd_files(scope: _Scope, search: Search, form: _Form) -> tuple[set[str], list[Any]]:
    """Return the files whose encoding ``rg`` doesn't read, and the lines of the result in them;
    none if our program does not take the expression."""
    odd = _odd_files(scope, search)
    if not odd:
        return set(), []
    try:
        return odd, _run(_own(search, only=sorted(odd)), scope, search, form=form)
    except (BadPattern, SearchTooLong):
        return set(), []


def _odd_files(scope: _Scope, search: Search) -> set[str]:
    if scope.file is not None:
        return {STDIN} if is_odd(scope.file) else set()
    # Files with a line that is not UTF-8, or has a NUL; most of them are pictures and programs.
    argv = [*_rg(replace(search, mode="files", ignore_case=False), *NOT_UTF8), "."]
    odd: set[str] = set()
    size = 0
    with _started(argv, scope.cwd, None) as process:
        assert process.stdout is not None
        for record in _records(process.stdout, "files"):
            name = _name(record)
            if not is_odd_name(scope.cwd, name):
                continue
            odd.add(name)
            size += len(record)
            if size > MOST_ODD:
                signal_group(process.pid, signal.SIGTERM)
                break
    return odd


@contextmanager
def _scope(tree: Tree, path: str) -> Iterator[_Scope]:
    try:
        with tree.open_folder(path) as (folder, _):
            yield _Scope(path_of(folder), None, path.rstrip("/"))
    except NotADirectory:
        with tree.open_file(path) as (file, _):
            yield _Scope(tree.top, file, path)


def _rg(search: Search, *more: str) -> list[str]:
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
        *(more or ("--regexp", search.pattern)),
        "--",
    ]


def _own(search: Search, *, only: Sequence[str] = ()) -> list[str]:
    request = {
        "pattern": search.pattern,
        "mode": search.mode,
        "glob": search.glob,
        "ignoreCase": search.ignore_case,
        "context": search.context,
        "columns": COLUMNS,
        "only": list(only),
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
        yield from _lines_of(stdout)
        return
    rest = b""
    while chunk := stdout.read1(65536) if hasattr(stdout, "read1") else stdout.read():
        *whole, rest = (rest + chunk).split(b"\0")
        yield from whole


def _lines_of(stdout: IO[bytes]) -> Iterator[bytes]:
    """Yield the lines, each with the whole of its file's name, which may contain line feeds."""
    begun = b""
    for line in stdout:
        if b"\0" in line or (not begun and line == b"--\n"):
            yield begun + line
            begun = b""
        else:
            begun += line


def _name(record: bytes) -> str:
    """Return the file's name of a record, relative to the folder of the search."""
    return os.fsdecode(record.partition(b"\0")[0]).removeprefix("./")


def _line(record: bytes, label: str) -> str:
    """Return the record as ``path:number:text``."""
    file, mark, rest = record.rstrip(b"\r\n").partition(b"\0")
    name, what = os.fsdecode(file), rest.decode(errors="replace")
    if name == "--" and not mark:
        return name
    if name == STDIN:
        name = label
    else:
        name = name.removeprefix("./")
        name = f"{label}/{name}" if label not in ("", ".") else name
    shown = quote_in_line(name)
    return f"{shown}:{what}" if mark else shown


def _match(record: bytes, label: str) -> dict[str, Any]:
    """Return the file's name, the line's number and its text."""
    file, _, rest = record.rstrip(b"\r\n").partition(b"\0")
    number, _, text = rest.partition(b":")
    name = os.fsdecode(file).removeprefix("./")
    return {
        "path": quote(label if name == STDIN else f"{label}/{name}" if label else name),
        "line": int(number) if number.isdigit() else 1,
        "text": text.decode(errors="replace"),
    }


def _judge(process: subprocess.Popen[bytes], lines: list[Any]) -> None:
    """Raise if the search failed and found nothing; partial results are kept."""
    assert process.stderr is not None
    said = process.stderr.read(4000).decode(errors="replace").strip()
    if process.wait() in (0, 1) or lines:
        return
    if "regex" in said or "glob" in said:
        raise BadPattern(f"The pattern is invalid: {said.splitlines()[-1]}")
    raise GrepFailed(f"The search failed: {said[-300:]}" if said else "")
