"""Encodes an event: as JSON in the journal, as a frame on the wire."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

Body = dict[str, Any]

ACCEPTED = b": dispatch accepted\n\n"
PING = b": ping\n\n"
DONE: Body = {"type": "done"}

_JOINED = ("text-delta", "reasoning-delta")
_dump = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


@dataclass(frozen=True, slots=True)
class Row:
    """One event to be stored: number ``n`` of the run with the journal's key ``key``."""

    key: int
    n: int
    body: bytes


def to_json(body: Body) -> bytes:
    """Return ``body`` as one line of JSON."""
    try:
        return _dump(body).encode()
    except UnicodeEncodeError:
        # Half a surrogate pair, which CLIs do print: only JSON's escapes can carry it.
        return json.dumps(body, separators=(",", ":")).encode()


def frame(n: int, body: bytes) -> bytes:
    """Return the event as a server-sent event."""
    return b"id: %d\ndata: %b\n\n" % (n, body)


def chunk_event(chunk: Body) -> Body:
    """Return the event that carries a UI message chunk."""
    return {"type": "ui-message-chunk", "chunk": chunk}


def error_event(code: str, message: str) -> Body:
    """Return the event that says how a run failed."""
    return {"type": "error", "code": code, "message": message}


def part_of_delta(body: Body) -> tuple[str, str] | None:
    """Return the (type, id) of the part that a delta continues; ``None`` if it can't be joined."""
    chunk = body.get("chunk")
    if not isinstance(chunk, dict) or chunk.get("type") not in _JOINED or len(chunk) != 3:
        return None  # a delta with metadata of its own stays as it is
    return chunk["type"], chunk["id"]
