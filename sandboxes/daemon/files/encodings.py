"""A file's bytes as text, and text as bytes of the same file: encoding, BOM and line ends.

Whatever a text is taken for, its bytes can be made again: a change replaces the bytes of the
characters that it replaces, and no others. Imports only the standard library and
``encoding_guess``, so that the search process starts fast.
"""

from __future__ import annotations

import codecs
import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

PROBE_BYTES: Final = 8 * 1024  # searched for the NUL of a binary file
MOSTLY: Final = 0.4  # of the characters of a UTF-16 without mark are Latin: have a zero
_DECLARED_WITHIN: Final = 1024  # bytes at a file's beginning
# Patterns are compiled when the first file needs them.
_DECLARATION: Final = (
    rb"(?i)(?:\bcoding[=:]\s*|\bfileencoding=|<\?xml\b[^>]{0,100}\bencoding\s*=\s*"
    rb"|<meta\b[^>]{0,200}\bcharset\s*=\s*|@charset\s+)[\"']?([A-Za-z0-9_.:-]{2,30})"
)
# By name, only these are used: Python's table has others that are no encodings of texts.
_TITLES: Final = {
    "utf-8": "UTF-8",
    "utf-16-le": "UTF-16 LE",
    "utf-16-be": "UTF-16 BE",
    "utf-32-le": "UTF-32 LE",
    "utf-32-be": "UTF-32 BE",
    "cp932": "Shift-JIS",
    "euc_jp": "EUC-JP",
    "gb18030": "GB18030",
    "big5": "Big5",
    "cp949": "EUC-KR",
    "koi8-r": "KOI8-R",
    "koi8-u": "KOI8-U",
    "iso8859-1": "Latin-1",
    **{f"iso8859-{n}": f"ISO-8859-{n}" for n in (2, 3, 4, 5, 6, 7, 8, 9, 10, 13, 14, 15, 16)},
    **{f"cp{n}": f"Windows-{n}" for n in range(1250, 1259)},
    "mac-roman": "Mac Roman",
    "cp437": "CP437",
    "cp850": "CP850",
}
_SUPERSETS: Final = {"shift_jis": "cp932", "gb2312": "gb18030", "gbk": "gb18030", "euc_kr": "cp949"}
_UTF16: Final = ("utf-16-le", "utf-16-be")
_MARKS: Final = (  # UTF-32 first: its mark begins with that of UTF-16
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
UNKNOWN: Final = "latin-1"  # the codec of a text whose encoding isn't known: a character per byte


_LONE: Final = "[\ud800-\udfff]"


class NotText(Exception):
    """The bytes are no text, or not one in the encoding that was named."""


@dataclass(frozen=True, slots=True)
class Encoding:
    """What a file's text is encoded in.

    ``rivals`` are the codecs that it may as well be, if it isn't known.
    """

    codec: str = "utf-8"
    mark: bytes = b""  # the byte order mark, with which the file begins
    is_guess: bool = False
    rivals: tuple[str, ...] = ()

    @property
    def is_known(self) -> bool:
        return self.codec != UNKNOWN

    @property
    def title(self) -> str:
        if not self.is_known:
            return "unknown"
        return _TITLES[self.codec] + (" with BOM" if self.mark else "")

    @property
    def is_usual(self) -> bool:
        return self.codec == "utf-8" and not self.mark

    @property
    def maybe(self) -> list[str]:
        """Return the titles of the rivals."""
        return [_TITLES[codec] for codec in self.rivals]

    def encode(self, text: str) -> bytes:
        """Return the bytes of ``text``, without a mark.

        Raises:
            UnicodeEncodeError: it has a character that the encoding doesn't.
        """
        return text.encode(self.codec, _errors(self.codec))

    def decode(self, raw: bytes) -> str:
        """Return the text of the bytes after the mark.

        Raises:
            UnicodeDecodeError: they are none of this encoding.
        """
        return raw.decode(self.codec, _errors(self.codec))


def _errors(codec: str) -> str:
    # What is no character stays as it is: single bytes, and half a pair, as Windows has in names.
    return (
        "surrogateescape"
        if codec == "utf-8"
        else ("surrogatepass" if codec in _UTF16 else "strict")
    )


@dataclass(frozen=True, slots=True)
class Text:
    """A file's text, without its mark, and the bytes that it is made of."""

    raw: bytes
    text: str
    encoding: Encoding

    @property
    def line_ends(self) -> str:
        """Return ``LF``, ``CRLF``, ``CR``, ``mixed``, or nothing if it is a single line."""
        return line_ends(self.text)

    @property
    def shown(self) -> str:
        """Return the text with � for bytes and halves of pairs that are no characters."""
        if not self.encoding.is_known:
            return self.raw.decode(errors="replace")
        return re.sub(_LONE, "\ufffd", self.text)

    def spliced(self, changes: Iterable[tuple[int, int, str]]) -> Text:
        """Return the text with ``(start, end, new)`` of each change, in order, in its bytes.

        Raises:
            UnicodeEncodeError: a new text has a character that the encoding doesn't.
        """
        pieces: list[bytes] = []
        at, at_byte = 0, len(self.encoding.mark)
        kept_from = 0
        for start, end, new in changes:
            at_byte += self._bytes(at, start, at_byte)
            pieces += [self.raw[kept_from:at_byte], self.encoding.encode(new)]
            at_byte += self._bytes(start, end, at_byte)
            at, kept_from = end, at_byte
        raw = b"".join([*pieces, self.raw[kept_from:]])
        return Text(raw, self.encoding.decode(raw[len(self.encoding.mark) :]), self.encoding)

    def _bytes(self, start: int, end: int, at_byte: int) -> int:
        """Return how many bytes the characters from ``start`` to ``end`` have in the file."""
        part = self.text[start:end]
        try:
            usual = self.encoding.encode(part)
        except UnicodeEncodeError:
            usual = b""
        if self.raw.startswith(usual, at_byte) and (usual or not part):
            return len(usual)
        # Some encodings have two codes for one character. Count byte by byte.
        decoder = codecs.getincrementaldecoder(self.encoding.codec)()
        found, index = 0, at_byte
        while found < len(part):
            found += len(decoder.decode(self.raw[index : index + 1]))
            index += 1
        return index - at_byte


def line_ends(text: str) -> str:
    """Return the kind of line ends of ``text``: ``LF``, ``CRLF``, ``CR``, ``mixed``, or nothing.

    A carriage return alone ends lines only where nothing else does: elsewhere no program of a
    developer counts it.
    """
    pairs = text.count("\r\n")
    feeds = text.count("\n") - pairs
    if pairs and feeds:
        return "mixed"
    if pairs or feeds:
        return "CRLF" if pairs else "LF"
    return "CR" if "\r" in text else ""


def lines_of(text: str) -> list[str]:
    """Return the lines of ``text``, without their ends."""
    end = "\r" if line_ends(text) == "CR" else "\n"
    lines = text.split(end)
    if lines[-1] == "":
        lines.pop()  # the last line end does not start another line
    return [line.removesuffix("\r") for line in lines] if end == "\n" else lines


def codec_of(name: str) -> str:
    """Return the codec of an encoding that somebody names, such as ``Shift_JIS``.

    Raises:
        LookupError: it is unknown, or not one of texts.
    """
    cleaned = name.strip().lower().replace(" ", "-").removesuffix("-with-bom")
    cleaned = re.sub(r"^windows-?(\d+)$", r"cp\1", cleaned)
    if cleaned in ("utf-16", "utf-32"):
        return f"{cleaned}-le"
    found = codecs.lookup(cleaned).name
    found = _SUPERSETS.get(found, found)
    if found not in _TITLES:
        raise LookupError(name)
    return found


def encoding_for(codec: str) -> Encoding:
    """Return the encoding of a new file, which has a mark if it can't be recognized without."""
    if not codec.startswith(("utf-16", "utf-32")):
        return Encoding(codec)
    return Encoding(codec, next(mark for mark, own in _MARKS if own == codec))


def read_text(raw: bytes, *, named: str = "") -> Text:
    """Return the text of a file, in the encoding of the codec ``named``, if one is.

    Raises:
        NotText: it is binary, or not in that encoding.
    """
    encoding = _named(raw, named) if named else _encoding_of(raw)
    try:
        text = encoding.decode(raw[len(encoding.mark) :])
    except UnicodeDecodeError as exc:
        raise NotText from exc
    if "\x00" in text[:PROBE_BYTES]:
        raise NotText
    return Text(raw, text, encoding)


def _named(raw: bytes, codec: str) -> Encoding:
    mark = next((mark for mark, own in _MARKS if own == codec and raw.startswith(mark)), b"")
    return Encoding(codec, mark)


def _encoding_of(raw: bytes) -> Encoding:
    for mark, codec in _MARKS:
        if raw.startswith(mark):
            return Encoding(codec, mark)
    if b"\x00" in raw[:PROBE_BYTES]:
        return Encoding(_utf16_of(raw))
    try:
        raw.decode()
    except UnicodeDecodeError:
        return _declared(raw) or _nearly_utf8(raw) or _guessed(raw)
    return Encoding()


def _utf16_of(raw: bytes) -> str:
    """Return which UTF-16 it is without a mark.

    Raises:
        NotText: it is binary.
    """
    head = raw[:PROBE_BYTES]
    for codec, low_half in zip(_UTF16, (0, 1), strict=True):
        zeros = head[1 - low_half :: 2].count(0)
        if 0 in head[low_half::2] or len(raw) % 2 or zeros < MOSTLY * len(head) / 2:
            continue
        try:
            text = codecs.getincrementaldecoder(codec)().decode(head)
        except UnicodeDecodeError:
            continue
        kinds = {unicodedata.category(char) for char in text if char not in "\t\n\r\f\v\x1b"}
        if not kinds & {"Cc", "Cn", "Co", "Cs"}:
            return codec
    raise NotText


def _declared(raw: bytes) -> Encoding | None:
    for found in re.finditer(_DECLARATION, raw[:_DECLARED_WITHIN]):
        try:
            encoding = Encoding(codec_of(found[1].decode()))
            encoding.decode(raw)
        except (LookupError, UnicodeDecodeError):
            continue
        if encoding.codec != "utf-8":  # it is not, whatever it says
            return encoding
    return None


_SEQUENCE: Final = rb"[\xc2-\xdf][\x80-\xbf]|[\xe1-\xef][\x80-\xbf]{2}|[\xf1-\xf4][\x80-\xbf]{3}"


def _nearly_utf8(raw: bytes) -> Encoding | None:
    """Return UTF-8 for a text of which only a few bytes are not."""
    whole = sum(len(each) for each in re.findall(_SEQUENCE, raw))
    others = len(raw.translate(None, bytes(range(0x80)))) - whole
    return Encoding() if whole > 20 * others else None


def _guessed(raw: bytes) -> Encoding:
    from sandboxes.daemon.files.encoding_guess import guess  # few files need its tables

    found = guess(raw)
    if found.winner:
        return Encoding(codecs.lookup(found.winner).name, is_guess=True)
    return Encoding(UNKNOWN, rivals=tuple(codecs.lookup(each).name for each in found.rivals))
