"""What is said over the socket of a terminal.

A binary message of the sandbox is output: the number of its first byte (8 bytes, big-endian), and
the bytes. One of the page is input. Text messages are JSON objects with a ``type``.
"""

from __future__ import annotations

import json
import struct
from dataclasses import dataclass
from typing import Any, Final

from mesh.lib.errors import AppError

ROWS: Final = (1, 500)
COLUMNS: Final = (2, 1000)
MOST_INPUT: Final = 256 * 1024  # bytes of one message
_NUMBER = struct.Struct(">Q")


class BadFrame(AppError):
    code = "bad_frame"
    text = "A terminal does not understand that message."
    hint = "The page and the machine may have different versions: reload the page."


@dataclass(frozen=True, slots=True)
class Ack:
    """The page has drawn the first ``at`` bytes."""

    at: int


@dataclass(frozen=True, slots=True)
class Size:
    """The page's terminal has this size."""

    rows: int
    columns: int


def output(start: int, data: bytes) -> bytes:
    """Return the message that carries output from number ``start`` on."""
    return _NUMBER.pack(start) + data


def parse(text: str) -> Ack | Size:
    """Return what a text message of the page says.

    Raises:
        BadFrame: it says nothing that is known.
    """
    try:
        said = json.loads(text)
    except (ValueError, RecursionError) as exc:
        raise BadFrame from exc
    if not isinstance(said, dict):
        raise BadFrame
    if said.get("type") == "ack":
        return Ack(_whole(said.get("at"), least=0, most=2**63 - 1))
    if said.get("type") == "size":
        return size_of(said)
    raise BadFrame


def size_of(said: dict[str, Any]) -> Size:
    """Return the ``rows`` and ``columns`` that an object has.

    Raises:
        BadFrame: one is missing, no whole number, or out of bounds.
    """
    return Size(
        _whole(said.get("rows"), least=ROWS[0], most=ROWS[1]),
        _whole(said.get("columns"), least=COLUMNS[0], most=COLUMNS[1]),
    )


def _whole(value: object, *, least: int, most: int) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
        raise BadFrame
    return value
