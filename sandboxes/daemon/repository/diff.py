"""Shows what somebody changed since the last commit, in bounded memory. Blocking."""

from __future__ import annotations

import codecs
import os
import re
import time
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

from mesh.git.view import View
from mesh.lib.git_status import Change
from mesh.lib.quoted_names import quote
from sandboxes.daemon.files.encodings import NotText, read_text
from sandboxes.daemon.git import PLAIN, Git, GitFailed
from sandboxes.daemon.repository.state import Facts
from sandboxes.daemon.repository.wide_texts import DIFFERS, WideTexts

LIMIT = 1024 * 1024  # bytes that are shown
NEW_FILES = 200  # whose contents are shown
COUNT_WITHIN = 5.0  # seconds for counting what is left out
_HEADER = b"diff --git "


def read_diff(git: Git, view: View, facts: Facts) -> dict[str, Any]:
    """Return the diff as text for people, and how much of it is left out.

    ``leftOut`` counts files that are not shown in full, and bytes: of the diff, and of new files
    that are not shown at all. If counting takes too long, ``isExact`` is false and both numbers
    are the least that it can be. Each file is shown in the characters of its encoding, also one in
    UTF-16 or UTF-32, so the text is not for ``git apply``.

    Raises:
        GitFailed: git can't read the repository.
    """
    shown = _Shown(LIMIT)
    against = "HEAD" if facts.status.head else _empty_tree(git, view)
    options = (*PLAIN, against, "--", *_all_but(facts.by_start))
    git.stream(view, "diff", *options, take=shown.take)
    # A nested repository is listed, but its contents are not read.
    new = [change.path for change in facts.own if change.is_new and not change.is_folder]
    for number, path in enumerate(new):
        if shown.is_full or number >= NEW_FILES or not _show_new(git, view, path, shown):
            shown.leave_out(view.own.top / path)
    result = shown.with_lines(WideTexts(git, view)).result()
    if facts.unlisted:  # files of which not even the names are known
        result["truncated"], result["leftOut"]["isExact"] = True, False
    return result


def _show_new(git: Git, view: View, path: str, shown: _Shown) -> bool:
    """Show a new file; return whether git could read it."""
    file = view.own.top / path
    if file.is_symlink():
        shown.take(_new_link(path, os.readlink(file)))
        return True
    name = "./-" if path == "-" else path  # “-” alone would be the standard input
    command = ("diff", *PLAIN, "--no-index", "--", os.devnull, name)
    before = shown.files
    try:
        # Exit code 1 says that they differ, as intended.
        git.stream(view, *command, take=shown.take, succeeds=(0, 1))
    except GitFailed:
        pass  # it is gone, or may not be read
    return shown.files > before


def _new_link(path: str, target: str) -> bytes:
    """Return the diff of a new symbolic link: git would follow one that leads to a folder."""
    name = quote(path)
    lines = [f"diff --git a/{name} b/{name}", "new file mode 120000", "--- /dev/null"]
    added = [f"+{line}" for line in target.split("\n")]
    lines += [f"+++ b/{name}", f"@@ -0,0 +1,{len(added)} @@", *added]
    return os.fsencode("\n".join([*lines, "\\ No newline at end of file", ""]))


class _Shown:
    """The beginning of a diff, and the size of the rest."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self.files = 0  # headers so far
        self._kept = bytearray()  # and the next few bytes, which may be a header
        self._size = 0  # of the whole diff
        self._end = b"\n"  # of the last piece: a header may begin in one and end in the next
        self._unread_files = self._unread_bytes = 0
        self._is_exact = True
        self._deadline = 0.0

    @property
    def is_full(self) -> bool:
        return self._size > self._limit

    def take(self, piece: bytes) -> bool:
        """Add a piece of git's output; return whether the next one is wanted."""
        self._kept += piece[: max(0, self._limit + len(_HEADER) - len(self._kept))]
        self._size += len(piece)
        seen = self._end + piece
        self.files += seen.count(b"\n" + _HEADER)
        self._end = seen[-len(_HEADER) :]
        if not self.is_full:
            return True
        self._deadline = self._deadline or time.monotonic() + COUNT_WITHIN
        self._is_exact = self._is_exact and time.monotonic() < self._deadline
        return self._is_exact

    def leave_out(self, file: Path) -> None:
        """Count a new file that is not shown."""
        self._unread_files += 1
        try:
            self._unread_bytes += file.lstat().st_size
        except OSError:
            pass  # it is gone

    def with_lines(self, texts: WideTexts) -> _Shown:
        """Return the same with the lines of texts that git takes for binary files."""
        if DIFFERS not in self._kept:
            return self
        with_lines = _Shown(self._limit)
        for part in _parts(bytes(self._kept)):
            with_lines.take(part if with_lines.is_full else texts.compared(part))
        # What was not kept can't be read, and is left out as it was.
        with_lines.files = self.files
        with_lines._size += self._size - len(self._kept)
        with_lines._unread_files, with_lines._unread_bytes = self._unread_files, self._unread_bytes
        with_lines._is_exact = with_lines._is_exact and self._is_exact
        return with_lines

    def result(self) -> dict[str, Any]:
        # Without the first bytes of a character that the limit cuts.
        kept = bytes(self._kept[: self._limit])
        decoder = codecs.getincrementaldecoder("utf-8")("replace")
        text = decoder.decode(kept, final=not self.is_full)
        pending, _ = decoder.getstate()
        if "\ufffd" in text:
            text = _in_characters(kept.removesuffix(pending))
        begun = (b"\n" + self._kept).count(b"\n" + _HEADER)
        # The last one that begins before the limit is cut, or the next one begins just there.
        whole = max(0, begun - 1) if self.is_full else self.files
        files = self.files - whole + self._unread_files
        rest = max(0, self._size - self._limit) + len(pending) + self._unread_bytes
        return {
            "diff": text,
            "truncated": files > 0,
            "leftOut": {"files": files, "bytes": rest, "isExact": self._is_exact},
        }


def _in_characters(diff: bytes) -> str:
    """Return the text of a diff, in which each file may be in an encoding of its own."""
    return "".join(map(_file_text, _parts(diff)))


def _parts(diff: bytes) -> list[bytes]:
    """Return the parts of a diff that are about one file each."""
    starts = [0, *(found.start() + 1 for found in re.finditer(b"\n" + _HEADER, diff)), len(diff)]
    return [diff[start:end] for start, end in pairwise(starts)]


def _file_text(part: bytes) -> str:
    # The names in the header are of another encoding than the lines.
    at = part.find(b"\n@@ ") + 1
    try:
        lines = read_text(part[at:]).shown
    except NotText:
        lines = part[at:].decode(errors="replace")
    return part[:at].decode(errors="replace") + lines


def _empty_tree(git: Git, view: View) -> str:
    """Return the name of the tree without files, which every repository has."""
    return git.words(view, "hash-object", "-t", "tree", "--stdin")


def _all_but(changes: Sequence[Change]) -> list[str]:
    """Return the pathspecs for everything except these paths."""
    return [":/", *[f":(top,exclude,literal){change.path}" for change in changes]]
