"""Content blocks of messages and tool calls, and the terminals that tool calls refer to."""

from __future__ import annotations

import base64
import binascii
import codecs
import re
from typing import Any, Final

from agents.harness.lines import list_of, object_of, text_of
from agents.harness.pictures import Picture, picture_of

Block = dict[str, Any]

# Characters of one terminal: what comes later is left out, and that is said.
TERMINAL_LIMIT: Final = 8 * 1024 * 1024
TERMINALS_LIMIT: Final = 64 * 1024 * 1024  # of all of a turn
_UTF8: Final = codecs.getincrementaldecoder("utf-8")
_FENCED: Final = re.compile(r"(`{3,})console\n(.*?)\n?\1\s*", re.DOTALL)


class Room:
    """How many characters all terminals of a turn may still take, shown or not."""

    def __init__(self) -> None:
        self.left = TERMINALS_LIMIT


class Terminal:
    """The output of one command that an agent runs, piece by piece."""

    def __init__(self, room: Room | None = None) -> None:
        self.exit_code: int | None = None
        self.signal = ""  # that ended it, if one did
        self._room = room or Room()
        self._pieces: list[str] = []
        self._left = TERMINAL_LIMIT
        self._decoder = _UTF8(errors="replace")

    @property
    def text(self) -> str:
        return "".join(self._pieces)

    def add(self, piece: str) -> str:
        """Append ``piece``; return what was appended of it."""
        kept = piece[: min(self._left, self._room.left)]
        self._room.left -= len(kept)
        if len(kept) < len(piece) and self._left:
            kept += "\n[The rest of the output is not shown: it is too long.]"
            self._left = 0
        else:
            self._left -= len(kept)
        if kept:
            self._pieces.append(kept)
        return kept

    def add_bytes(self, encoded: str) -> str:
        """Append Base64, in which a character may be cut in two; return what was appended."""
        return self.add(self._decoder.decode(_bytes_of(encoded)))

    def replace(self, encoded: str) -> None:
        """Take Base64 as the whole output so far."""
        self._pieces, self._left, self._decoder = [], TERMINAL_LIMIT, _UTF8(errors="replace")
        self.add_bytes(encoded)

    def end(self, code: Any, signal: str = "") -> None:
        """Take the exit code, if it is one, or the signal that ended the command."""
        if isinstance(code, int) and not isinstance(code, bool):
            self.exit_code = code
        self.signal = signal


def _bytes_of(encoded: str) -> bytes:
    """Return what Base64 stands for; nothing if it is none."""
    try:
        return base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError):
        return b""


def peeled(text: str) -> str:
    """Return ``text`` without the Markdown fence in which some agents put a command's output."""
    found = _FENCED.fullmatch(text)
    return found[2] if found else text


def text_in(block: Block) -> str:
    """Return a content block in words; a resource with its address."""
    kind = text_of(block, "type")
    if kind == "text" or (not kind and "text" in block):
        return text_of(block, "text")
    if kind == "resource":
        resource = object_of(block, "resource")
        address, text = text_of(resource, "uri"), text_of(resource, "text")
        return "\n".join(part for part in (address, text) if part) or "[resource]"
    if kind == "resource_link":
        name, address = text_of(block, "title") or text_of(block, "name"), text_of(block, "uri")
        return f"{name} ({address})" if name and name != address else address or "[resource_link]"
    return f"[{kind or 'something'}]"


def picture_in(block: Block) -> Picture | None:
    """Return the picture of a content block; ``None`` if it has none."""
    if text_of(block, "type") != "image":
        return None
    return picture_of(block.get("mimeType"), block.get("data"))


def words_in(message: Block) -> str:
    """Return the text of ``content``, which is one block or a list of them."""
    if isinstance(message.get("content"), list):
        return "".join(text_in(block) for block in list_of(message, "content"))
    block = object_of(message, "content")
    return text_in(block) if block else ""
