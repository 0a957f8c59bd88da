"""Whether a machine is reachable, and if not, why: facts in, state and cause out."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum
from typing import Final, Literal

from links.wire import timing

State = Literal["unknown", "online", "offline"]

# Each valid frame extends the deadline to this long from now.
GRACE: Final = timedelta(seconds=timing.GRACE)

ASLEEP: Final = "asleep"
NETWORK: Final = "network"
STOPPED: Final = "stopped"  # by the person, or by the machine's shutdown
SERVER_RESTARTED: Final = "server_restarted"
TOO_OLD: Final = "too_old"
SIGNED_OUT: Final = "signed_out"
DISCONNECTED: Final = "disconnected"
UNREACHABLE: Final = "unreachable"  # for machines that are called at an address

SENTENCES: Final[dict[str, str]] = {
    ASLEEP: "It stopped answering: it is probably asleep, or has no network.",
    NETWORK: "It has lost its connection; it reconnects automatically once its network is back.",
    STOPPED: "deco_link was stopped on it.",
    SERVER_RESTARTED: "The server was restarted; the machine reconnects automatically.",
    TOO_OLD: "Its deco_link is too old for this server.",
    SIGNED_OUT: "It was signed out; start deco_link there to link it again.",
    UNREACHABLE: "Its deco_link is running, but the server can't reach it at its address: check the"
    " address, its proxy and its certificate.",
    DISCONNECTED: "An admin closed its connection; the machine reconnects automatically.",
}


class Fact(Enum):
    """Why a machine's connection ended or failed, as the server observed it."""

    GOODBYE = "the machine reported that it stops"
    SILENCE = "pings are no longer answered"
    BREAK = "the connection was lost without a close frame"
    SIGN_IN_ENDED = "its sign-in was revoked, or its person deactivated"
    OUTDATED = "it uses a protocol version that is no longer supported"
    SERVER_STOPS = "this server closes its connections"
    HOLDER_GONE = "the process that held its socket has ended"
    NO_ANSWER = "it sends heartbeats, but does not answer at its address"
    CLOSED_HERE = "an admin closed the connection"


_CAUSES: Final[dict[Fact, str]] = {
    Fact.GOODBYE: STOPPED,
    # A closed lid sends nothing, and is by far the most frequent reason.
    Fact.SILENCE: ASLEEP,
    Fact.BREAK: NETWORK,
    Fact.SIGN_IN_ENDED: SIGNED_OUT,
    Fact.OUTDATED: TOO_OLD,
    Fact.SERVER_STOPS: SERVER_RESTARTED,
    Fact.HOLDER_GONE: SERVER_RESTARTED,
    Fact.NO_ANSWER: UNREACHABLE,
    Fact.CLOSED_HERE: DISCONNECTED,
}

# Causes set by a deadline, which a holder that is still alive may reverse.
REVOCABLE: Final = frozenset({"", ASLEEP, NETWORK, SERVER_RESTARTED, UNREACHABLE})


def cause_of(fact: Fact, *, last_silence: str = "") -> str:
    """Return the cause to show for ``fact``.

    To the server a sleeping machine looks like one whose cable was pulled. Only the machine can
    tell, by its clocks, once it is back: ``last_silence`` is the cause of its last silence, and
    the next one is assumed to be the same.
    """
    if fact is Fact.SILENCE and last_silence:
        return last_silence
    return _CAUSES[fact]


def silence_was(slept: object) -> str:
    """Return the cause that the machine reports for its absence; empty if it reports none."""
    if not isinstance(slept, bool):
        return ""
    return ASLEEP if slept else NETWORK


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
    return Presence("offline", cause or ASLEEP)
