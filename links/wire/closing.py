"""How a WebSocket was closed: code and reason, as the END frame of its stream carries them."""

from __future__ import annotations

import struct
from typing import Final, NamedTuple

NORMAL: Final = 1000
NO_CODE: Final = 1005  # closed without a code; may not be sent
ABNORMAL: Final = 1006  # lost without a close frame; may not be sent
NO_TEXT: Final = 1007
TOO_BIG: Final = 1009
INTERNAL: Final = 1011
# The server's codes for closing a laptop's socket.
SUPERSEDED: Final = 4001  # a newer connection of the machine took over: do not reconnect
SIGNED_OUT: Final = 4403
NOT_REGISTERED: Final = 4404  # register again, then reconnect
SILENT: Final = 4408
TOO_OLD: Final = 4426  # the program must be updated
COME_BACK: Final = 1012

LONGEST_REASON: Final = 123  # bytes, RFC 6455 section 5.5

_CODE = struct.Struct(">H")


class Closed(NamedTuple):
    """The end of a WebSocket's messages."""

    code: int = NO_CODE
    reason: str = ""


def pack_close(closed: Closed) -> bytes:
    """Return ``closed`` as a payload; empty if there was no code."""
    if not _is_sendable(closed.code):
        return b"" if closed.code == NO_CODE else _CODE.pack(INTERNAL)
    return _CODE.pack(closed.code) + cut(closed.reason).encode()


def unpack_close(payload: bytes) -> Closed:
    """Return the close code and reason in ``payload``; never fails."""
    if len(payload) < _CODE.size:
        return Closed()
    code: int = _CODE.unpack_from(payload)[0]
    reason = payload[_CODE.size :][:LONGEST_REASON].decode(errors="replace")
    return Closed(code if _is_sendable(code) else INTERNAL, cut(reason))


def sendable(closed: Closed) -> Closed:
    """Return ``closed`` with a code that may be sent to a WebSocket's other end."""
    if closed.code == NO_CODE:
        return Closed(NORMAL)
    return closed if _is_sendable(closed.code) else Closed(INTERNAL, closed.reason)


def cut(reason: str) -> str:
    """Return as much of ``reason`` as a close frame holds."""
    return reason.encode()[:LONGEST_REASON].decode(errors="ignore")


def _is_sendable(code: int) -> bool:
    return code in (1000, 1001, 1002, 1003) or 1007 <= code <= 1014 or 3000 <= code <= 4999
