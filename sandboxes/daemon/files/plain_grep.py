"""A small search for machines without ripgrep, and for files whose encoding ripgrep can't read:
the same results, more slowly.

``python -m sandboxes.daemon.files.plain_grep WHAT WHERE``: WHAT is JSON, WHERE is ``.`` for all
files below the working folder, or those that WHAT names as ``only``, or ``-`` for stdin. Prints as
``rg --null`` does.
"""

from __future__ import annotations

import json
import os
import re
import sys
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any

from sandboxes.daemon.files.encodings import NotText, lines_of, read_text
from sandboxes.daemon.files.walking import matcher, walk

MOST_BYTES = 10 * 1024 * 1024


def main() -> int:
    """Search; return 0 for a match, 1 for none, 2 for an invalid pattern."""
    wanted = json.loads(sys.argv[1])
    try:
        fits = re.compile(wanted["pattern"], re.IGNORECASE if wanted["ignoreCase"] else 0).search
        takes = _taker(wanted["glob"])
    except (re.error, ValueError, RecursionError) as exc:
        print(f"invalid regex or glob: {exc}", file=sys.stderr)
        return 2
    found = False
    for name, data in _stdin() if sys.argv[2] == "-" else _files(takes, wanted["only"]):
        found = _tell(name, data, fits, wanted) or found
    return 0 if found else 1


def _taker(glob: str) -> Callable[[str], bool]:
    if not glob:
        return lambda path: True
    wants = not glob.startswith("!")
    glob = glob.removeprefix("!")
    fits = matcher(glob if "/" in glob else f"**/{glob}")
    return lambda path: fits(path) == wants


def _stdin() -> Iterator[tuple[str, bytes]]:
    yield "<stdin>", sys.stdin.buffer.read(MOST_BYTES)


def _files(takes: Callable[[str], bool], only: list[str]) -> Iterator[tuple[str, bytes]]:
    here = os.open(".", os.O_RDONLY | os.O_DIRECTORY)
    for path in only or walk(here):
        if not takes(path):
            continue
        try:
            file = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=here)
        except OSError:
            continue  # a link, gone, or not readable
        with os.fdopen(file, "rb") as stream:
            if os.fstat(stream.fileno()).st_size <= MOST_BYTES:
                yield path, stream.read(MOST_BYTES)


def _tell(name: str, data: bytes, fits: Callable[[str], object], wanted: dict[str, Any]) -> bool:
    """Print the matches of one file; return whether there are any."""
    try:
        lines = lines_of(read_text(data).shown)
    except NotText:
        return False
    hits = [number for number, line in enumerate(lines, start=1) if fits(line)]
    if not hits:
        return False
    if wanted["mode"] == "files":
        _print(name, end="\0")
    elif wanted["mode"] == "count":
        _print(f"{name}\0{len(hits)}")
    else:
        _show(name, lines, hits, wanted["context"], wanted["columns"])
    return True


def _show(name: str, lines: list[str], hits: list[int], context: int, columns: int) -> None:
    shown: deque[int] = deque(maxlen=1)
    marked = set(hits)
    for hit in hits:
        first = max(1, hit - context, shown[0] + 1 if shown else 1)
        if context and shown and first > shown[0] + 1:
            _print("--")
        for number in range(first, min(len(lines), hit + context) + 1):
            mark = ":" if number in marked else "-"
            _print(f"{name}\0{number}{mark}{lines[number - 1][:columns]}")
            shown.append(number)


def _print(text: str, end: str = "\n") -> None:
    sys.stdout.buffer.write((text + end).encode(errors="replace"))


if __name__ == "__main__":
    try:
        code = main()
        sys.stdout.flush()
    except BrokenPipeError:
        code = 0
    os._exit(code)  # the reader may have closed the pipe: don't flush
