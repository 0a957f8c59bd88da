"""Whether a machine can be reached, and if not, why: from the row's fields alone."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Literal

State = Literal["unknown", "online", "offline"]

# A good frame moves the deadline this far; a ping goes out each 10 s.
GRACE: Final = timedelta(seconds=24)

NETWORK: Final = "network"
STOPPED: Final = "stopped"  # by the person, or by the machine's shutdown
SERVER_RESTARTED: Final = "server_restarted"
TOO_OLD: Final = "too_old"
SIGNED_OUT: Final = "signed_out"

SENTENCES: Final[dict[str, str]] = {
    NETWORK: "It is asleep, or has lost its network.",
    STOPPED: "deco_link was stopped on it.",
    SERVER_RESTARTED: "The server was restarted; the machine comes back by itself.",
    TOO_OLD: "Its deco_link is too old for this server.",
    SIGNED_OUT: "It was signed out; start deco_link there again to link it anew.",
}


@dataclass(frozen=True, slots=True)
class Presence:
    """``cause`` is empty unless the machine is offline."""

    state: State
    cause: str = ""


def presence_of(
    *, offline_after: datetime | None, seen_at: datetime | None, cause: str, now: datetime
) -> Presence:
    """Return the presence at ``now``: online until the deadline, unknown before any contact."""
    if offline_after is not None and now < offline_after:
        return Presence("online")
    if seen_at is None and not cause:
        return Presence("unknown")
    return Presence("offline", cause or NETWORK)
