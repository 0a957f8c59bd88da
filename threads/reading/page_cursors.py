"""The cursors of paged lists: the row after which a page starts, and the direction, as text.

A cursor names a row by its sort key, not by its number in the list, so rows that are added or
removed between two pages don't shift the next page. To programs a cursor is opaque.
"""

from __future__ import annotations

import base64
import binascii
import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import UUID

from threads.errors import BadPageCursor

MAX_LENGTH: Final = 200  # characters
_LARGEST: Final = 2**53  # number in a key: it fits every database and every browser
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class MessageCursor:
    """A page of messages starts after the run with this ``position``."""

    position: int
    is_newer: bool = False

    def __str__(self) -> str:
        return _encode(["m", int(self.is_newer), self.position])

    @classmethod
    def parse(cls, text: str) -> MessageCursor:
        """Return the cursor in ``text``.

        Raises:
            BadPageCursor: it is not from a list of messages.
        """
        match _decode(text):
            case ["m", 0 | 1 as is_newer, int(position)] if _fits(position):
                return cls(position, bool(is_newer))
        raise BadPageCursor


@dataclass(frozen=True, slots=True)
class ThreadCursor:
    """A page of threads starts after the thread that was changed ``at`` this moment."""

    at: datetime
    thread_id: UUID
    is_newer: bool = False

    def __str__(self) -> str:
        microseconds = (self.at - _EPOCH) // _MICROSECOND
        return _encode(["t", int(self.is_newer), microseconds, self.thread_id.hex])

    @classmethod
    def parse(cls, text: str) -> ThreadCursor:
        """Return the cursor in ``text``.

        Raises:
            BadPageCursor: it is not from a list of threads.
        """
        match _decode(text):
            case ["t", 0 | 1 as is_newer, int(at), str(key)] if _fits(at) and _is_hex(key):
                return cls(_EPOCH + at * _MICROSECOND, UUID(hex=key), bool(is_newer))
        raise BadPageCursor


def _fits(number: int) -> bool:
    return not isinstance(number, bool) and 0 <= number < _LARGEST


def _is_hex(key: str) -> bool:
    return len(key) == 32 and set(key) <= set("0123456789abcdef")


def _encode(value: list[Any]) -> str:
    packed = json.dumps(value, separators=(",", ":")).encode()
    return base64.urlsafe_b64encode(packed).rstrip(b"=").decode()


def _decode(text: str) -> Any:
    if len(text) > MAX_LENGTH or not text.isascii():
        raise BadPageCursor
    try:
        packed = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
        return json.loads(packed)
    except (binascii.Error, ValueError, RecursionError) as exc:
        raise BadPageCursor from exc
