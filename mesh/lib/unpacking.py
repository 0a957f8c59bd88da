"""Decompresses what an HTTP server sent, in small pieces, and measures its events; pure.

A few hundred bytes of gzip can expand to gigabytes. So nothing here returns more than ``PIECE``
bytes at a time: the caller counts them, and stops.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterable, Iterator
from typing import Final

PIECE: Final = 64 * 1024  # bytes in one piece of output
_GZIP: Final = zlib.MAX_WBITS | 16
# Also the end of an event where a line ends with CR and LF: "\r\n\r\n" has "\n\r\n" in it.
_BLANK_LINE: Final = re.compile(rb"\n\r?\n|\r\r")


class BadPacking(ValueError):
    """The bytes can't be decompressed; the text says why."""


def packing_of(headers: Iterable[str]) -> str:
    """Return the one encoding in the values of ``Content-Encoding``; "" for none.

    Raises:
        BadPacking: there are several, or it is not a supported one.
    """
    names = [name.strip().lower() for value in headers for name in value.split(",")]
    packed = [name for name in names if name not in ("", "identity")]
    if len(packed) > 1:
        raise BadPacking("The answer is compressed more than once.")
    if packed and packed[0] not in ("gzip", "x-gzip", "deflate"):
        raise BadPacking("The answer is compressed in a way that was not asked for.")
    return packed[0].removeprefix("x-") if packed else ""


class Unpacker:
    """Decompresses one body, fed in pieces of any size."""

    def __init__(self, packing: str) -> None:
        self._packing = packing
        self._inflate = zlib.decompressobj(_GZIP) if packing == "gzip" else None
        self._head = b""  # of a deflated body, until its form is known

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Yield the decompressed ``data``, at most ``PIECE`` bytes at a time.

        Bytes after the compressed body's own end are ignored.

        Raises:
            BadPacking: it is damaged.
        """
        if not self._packing:
            for start in range(0, len(data), PIECE):
                yield data[start : start + PIECE]
            return
        if self._inflate is None:
            data = self._head = self._head + data
            if len(data) < 2:
                return
            self._inflate = zlib.decompressobj(_window_of(data))
        while data and not self._inflate.eof:
            try:
                piece = self._inflate.decompress(data, PIECE)
            except zlib.error as exc:
                raise BadPacking("The answer is compressed, and damaged.") from exc
            data = self._inflate.unconsumed_tail
            if piece:
                yield piece


def _window_of(head: bytes) -> int:
    """Return how to inflate a ``deflate`` body: some servers leave out zlib's header."""
    is_framed = head[0] & 0x0F == 8 and int.from_bytes(head[:2]) % 31 == 0
    return zlib.MAX_WBITS if is_framed else -zlib.MAX_WBITS


class EventMeter:
    """Measures the event that is being received: its bytes, and the pieces that it arrives in.

    Lines count as pieces: some parsers copy an event once for each of them.
    """

    def __init__(self) -> None:
        self.bytes = 0
        self.pieces = 0
        self._tail = b""  # of the last piece: the blank line may be cut

    def feed(self, data: bytes) -> tuple[int, int]:
        """Return the size in bytes and in pieces, so far, of the largest event in ``data``."""
        window = self._tail + data
        ends = [found.end() for found in _BLANK_LINE.finditer(window)]
        first = ends[0] - len(self._tail) if ends else len(data)
        most = self.bytes + first, self.pieces + 1 + _lines(data[:first])
        rest = window[ends[-1] :] if ends else window
        self.bytes, self.pieces = (len(rest), 1 + _lines(rest)) if ends else most
        self._tail = rest[-2:]
        return most


def _lines(data: bytes) -> int:
    return data.count(b"\n") + data.count(b"\r")
