"""Shows the changes of texts that git takes for binary files: UTF-16 and UTF-32. Blocking.

Git calls every file binary that has a NUL among its first bytes, and says only that it differs.
Here both states of such a file are read, and git compares them in UTF-8.
"""

from __future__ import annotations

import hashlib
import os
import re
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from mesh.git.view import View
from mesh.lib.quoted_names import printed
from sandboxes.daemon.files.encodings import NotText, Text, read_text
from sandboxes.daemon.git import PLAIN, Git, GitFailed

SIZE: Final = 1024 * 1024  # bytes; larger files are not compared
MOST: Final = 100  # files of one diff that are compared
DIFFERS: Final = b"\nBinary files "
_NOTHING: Final = b"/dev/null"
_WIDE: Final = ("utf-16", "utf-32")
_PART: Final = re.compile(
    rb"diff --git (?P<names>[^\n]+)\n"
    rb"(?P<modes>(?:(?:old|new) mode \d+\n|(?:new|deleted) file mode \d+\n)*)"
    rb"index (?P<old>[0-9a-f]+)\.\.(?P<new>[0-9a-f]+)(?: \d+)?\n"
    rb"Binary files [^\n]+ differ\n"
)


@dataclass(slots=True)
class WideTexts:
    """Compares the files of one diff, of which it counts those that it has read."""

    git: Git
    view: View
    read: int = 0

    def compared(self, part: bytes) -> bytes:
        """Return the part of a diff that is about one file, with its lines if the file is such a
        text before or after the change; otherwise ``part`` itself."""
        found = _PART.fullmatch(part)
        if found is None or self.read >= MOST:
            return part
        old_name, new_name = _names(found["names"])
        try:
            path = printed(os.fsdecode(new_name))[2:]
        except ValueError:
            return part
        old = new = None
        try:
            if found["new"].strip(b"0"):
                new = _text(_on_disk(self.view.own.top / path, found["new"]))
            self.read += 1
            if self._is_no_text(path):
                return part
            if found["old"].strip(b"0"):
                old = _text(self._stored(found["old"].decode()))
            lines = self._lines(old, new) if _is_wide(old, new) else b""
        except (OSError, NotText, GitFailed):
            return part
        if not lines:
            return part
        head = part[: part.rindex(DIFFERS) + 1]
        return head + _heads(old_name if old else b"", new_name if new else b"") + lines

    def _is_no_text(self, path: str) -> bool:
        """Return whether the repository's attributes say that a file's changes are not shown."""
        said = self.git.output(self.view, "check-attr", "-z", "diff", "--", path)
        return said.split(b"\0")[2:3] == [b"unset"]

    def _stored(self, name: str) -> bytes:
        kept = bytearray()

        def take(piece: bytes) -> bool:
            kept.extend(piece)
            return len(kept) <= SIZE

        self.git.stream(self.view, "cat-file", "blob", name, take=take)
        return bytes(kept)

    def _lines(self, old: Text | None, new: Text | None) -> bytes:
        """Return what git says of both texts, from the first line that is numbered on; and the
        encoding, if it has changed."""
        with tempfile.TemporaryDirectory(prefix=".diff-", dir=self.view.place.parent) as folder:
            files = []
            for name, text in (("old", old), ("new", new)):
                file = Path(folder) / name
                file.write_bytes(text.shown.encode() if text else b"")
                files.append(str(file))
            said = bytearray()

            def take(piece: bytes) -> bool:
                said.extend(piece)
                return True

            command = ("diff", *PLAIN, "--text", "--no-index", "--", *files)
            self.git.stream(self.view, *command, take=take, succeeds=(0, 1))
        whole = bytes(said)
        at = whole.find(b"\n@@ ")
        lines = whole[at + 1 :] if at >= 0 else b""
        if old and new and old.encoding.title != new.encoding.title:
            changed = f"\\ Encoding: {old.encoding.title}, now {new.encoding.title}\n"
            return changed.encode() + lines
        return lines


def _names(names: bytes) -> tuple[bytes, bytes]:
    """Return both names of a header: they are the same but for the first letter."""
    middle = (len(names) - 1) // 2
    return names[:middle], names[middle + 1 :]


def _heads(old: bytes, new: bytes) -> bytes:
    """Return the lines with a file's names, as git writes them."""
    tabs = [b"\t" if b" " in name else b"" for name in (old, new)]
    return b"--- %s%s\n+++ %s%s\n" % (old or _NOTHING, tabs[0], new or _NOTHING, tabs[1])


def _on_disk(file: Path, name: bytes) -> bytes:
    """Return a file's contents.

    Raises:
        OSError: it can't be read, is no file, or is too large.
        NotText: it is not what git has compared: it was changed since, or git stores it otherwise.
    """
    handle = os.open(file, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(handle, "rb") as stream:
        raw = stream.read(SIZE + 1)
    digest = hashlib.sha1 if len(name) == 40 else hashlib.sha256
    stored = digest(b"blob %d\0" % len(raw) + raw, usedforsecurity=False).hexdigest()
    if stored != name.decode():
        raise NotText
    return raw


def _text(raw: bytes) -> Text:
    """Return the text.

    Raises:
        NotText: it is none, or too large.
    """
    if len(raw) > SIZE:
        raise NotText
    return read_text(raw)


def _is_wide(*texts: Text | None) -> bool:
    return any(text.encoding.codec.startswith(_WIDE) for text in texts if text)
