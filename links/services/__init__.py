"""Writes to links: registration, ownership of the socket, presence, and revocation."""

from links.services.direct_machines import (
    claim_reachable,
    is_enabled,
    list_reachable,
    note_unreachable,
)
from links.services.ownership import (
    Claimed,
    change_status,
    claim,
    expire,
    judge_holds,
    keep_online,
    release,
    release_previous,
)
from links.services.presence_events import presence_changed
from links.services.registration import heartbeat, prove, refuse_outdated, register, stop
from links.services.revocation import disconnect, revoke, revoke_token, rotate

__all__ = [
    "Claimed",
    "change_status",
    "claim",
    "claim_reachable",
    "disconnect",
    "expire",
    "heartbeat",
    "is_enabled",
    "judge_holds",
    "keep_online",
    "list_reachable",
    "note_unreachable",
    "presence_changed",
    "prove",
    "refuse_outdated",
    "register",
    "release",
    "release_previous",
    "revoke",
    "revoke_token",
    "rotate",
    "stop",
]
