"""Frames of the tunnel: one kind byte, four bytes of stream id, payload.

A WebSocket message carries one frame, or a *bundle* of several, each preceded by its length:
frames that queue up are sent, and cost, as one.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator, Sequence
from typing import Any, Final

from links.wire.errors import FrameTooLarge, MalformedFrame

# Of the connection (stream id 0)
HELLO: Final = 0x01  # first frame of both ends: JSON with the protocol's version
STATUS: Final = 0x02  # from the laptop: JSON, its present capabilities
PING: Final = 0x03
PONG: Final = 0x04  # returns the ping's payload
BUNDLE: Final = 0x05
# Of a stream
OPEN: Final = 0x10  # JSON: a request's head
HEAD: Final = 0x11  # JSON: its answer's head
DATA: Final = 0x12  # bytes; on a WebSocket stream one binary message, or the end of one
TEXT: Final = 0x13  # on a WebSocket stream: one text message, or the end of one
PART: Final = 0x14  # on a WebSocket stream: more of this message follows
END: Final = 0x15  # this direction is complete; of a WebSocket: two bytes of code, reason
RESET: Final = 0x16  # aborts both directions; payload: the reason's code
CREDIT: Final = 0x17  # four bytes: how many more bytes may be sent

CARRIES_CREDIT: Final = frozenset({DATA, TEXT, PART})
KNOWN: Final = frozenset(
    {HELLO, STATUS, PING, PONG, OPEN, HEAD, DATA, TEXT, PART, END, RESET, CREDIT}
)

PIECE: Final = 64 * 1024  # largest payload of a DATA frame, so the most that others wait behind
MAX_HEAD: Final = 64 * 1024  # of OPEN, HEAD, HELLO and STATUS
MAX_FRAME: Final = 256 * 1024  # accepted from the other end, so that PIECE may grow later
MAX_MESSAGE: Final = 1024 * 1024

_FRAME = struct.Struct(">BI")
_BUNDLED = struct.Struct(">IBI")
_CREDIT = struct.Struct(">I")
HEADER: Final = _FRAME.size

Payload = bytes | memoryview
Frame = tuple[int, int, Payload]


def pack(frames: Sequence[Frame]) -> bytes:
    """Return one message that carries ``frames`` (one or more); payloads are copied once."""
    if len(frames) == 1:
        kind, stream, payload = frames[0]
        return b"".join((_FRAME.pack(kind, stream), payload))
    parts: list[Payload] = [_FRAME.pack(BUNDLE, 0)]
    for kind, stream, payload in frames:
        parts.append(_BUNDLED.pack(HEADER + len(payload), kind, stream))
        parts.append(payload)
    return b"".join(parts)


def unpack(message: bytes) -> Iterator[tuple[int, int, bytes]]:
    """Yield the frames of ``message`` as (kind, stream, payload), of known and unknown kinds.

    Raises:
        MalformedFrame, FrameTooLarge: at the bad frame; those before it were yielded.
    """
    size = len(message)
    if size > MAX_MESSAGE:
        raise FrameTooLarge(f"A message of {size} bytes.")
    if size < HEADER:
        raise MalformedFrame("A message shorter than a frame's header.")
    kind, stream = _FRAME.unpack_from(message)
    if kind != BUNDLE:
        if size > HEADER + MAX_FRAME:
            raise FrameTooLarge(f"A frame of {size} bytes.")
        yield kind, stream, message[HEADER:]
        return
    yield from _unbundle(message, size)


def _unbundle(message: bytes, size: int) -> Iterator[tuple[int, int, bytes]]:
    at = HEADER
    while at < size:
        if size - at < _BUNDLED.size:
            raise MalformedFrame("A bundle ends in the middle of a header.")
        length, kind, stream = _BUNDLED.unpack_from(message, at)
        if length > HEADER + MAX_FRAME:
            raise FrameTooLarge(f"A frame of {length} bytes.")
        start, at = at + _BUNDLED.size, at + 4 + length
        if length < HEADER or at > size or kind == BUNDLE:
            raise MalformedFrame("A bundle's frame has a wrong length, or is a bundle.")
        yield kind, stream, message[start:at]


def pack_credit(amount: int) -> bytes:
    return _CREDIT.pack(amount)


def unpack_credit(payload: bytes) -> int:
    """Return how many bytes a CREDIT frame grants.

    Raises:
        MalformedFrame: not four bytes, or zero.
    """
    if len(payload) != _CREDIT.size:
        raise MalformedFrame("A credit is four bytes.")
    amount: int = _CREDIT.unpack(payload)[0]
    if amount == 0:
        raise MalformedFrame("A credit of nothing.")
    return amount


_encode = json.JSONEncoder(separators=(",", ":")).encode


def pack_json(value: dict[str, Any]) -> bytes:
    """Return ``value`` as a head's payload.

    Raises:
        FrameTooLarge: the receiver would refuse it.
    """
    payload = _encode(value).encode()
    if len(payload) > MAX_HEAD:
        raise FrameTooLarge(f"A head of {len(payload)} bytes.")
    return payload


def unpack_json(payload: bytes) -> dict[str, Any]:
    """Return the object of a head's payload.

    Raises:
        MalformedFrame, FrameTooLarge: not a JSON object within the limit.
    """
    if len(payload) > MAX_HEAD:
        raise FrameTooLarge(f"A head of {len(payload)} bytes.")
    try:
        value = json.loads(payload.decode())
    except (ValueError, RecursionError) as exc:
        raise MalformedFrame("A head is not JSON.") from exc
    if not isinstance(value, dict):
        raise MalformedFrame("A head is not a JSON object.")
    return value
