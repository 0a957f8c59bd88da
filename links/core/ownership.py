"""What the holder of a machine's socket must do, given the machine's present row."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal
from uuid import UUID

from links.core.presence import DISCONNECTED, REVOCABLE, SIGNED_OUT
from links.wire import closing


@dataclass(frozen=True, slots=True)
class Hold:
    """A socket that this process holds, and the fingerprint of the secret it was opened with."""

    link_id: UUID
    connection_id: str
    fingerprint: str


@dataclass(frozen=True, slots=True)
class Row:
    """The ownership columns of the machine's row."""

    connection_id: str
    fingerprint: str
    cause: str


@dataclass(frozen=True, slots=True)
class Close:
    """Close the socket with this code and reason."""

    code: int
    reason: str


Verdict = Close | Literal["keep", "reclaim"]


def judge(hold: Hold, row: Row | None) -> Verdict:
    """Return what to do with ``hold``; ``row`` is ``None`` when the machine was removed."""
    if row is None:
        return Close(closing.NOT_REGISTERED, "no_link")
    if row.cause == SIGNED_OUT:
        return Close(closing.SIGNED_OUT, "signed_out")
    if row.connection_id == hold.connection_id:
        return "keep"
    if row.connection_id:
        return Close(closing.SUPERSEDED, "superseded")
    if row.fingerprint != hold.fingerprint:
        return Close(closing.NOT_REGISTERED, "secret_rotated")
    if row.cause == DISCONNECTED:
        return Close(closing.COME_BACK, "disconnected")
    # Its deadline passed because the database was unavailable or this process was suspended: the
    # process that marked it offline could not know that the socket works.
    return "reclaim" if row.cause in REVOCABLE else Close(1000, "stopped")
