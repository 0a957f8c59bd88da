"""Whether a machine can be reached, and if not, why: facts in, state and cause out."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum
from typing import Final, Literal

from links.wire import timing

State = Literal["unknown", "online", "offline"]

# A good frame moves the deadline this far.
GRACE: Final = timedelta(seconds=timing.GRACE)

ASLEEP: Final = "asleep"
NETWORK: Final = "network"
STOPPED: Final = "stopped"  # by the person, or by the machine's shutdown
SERVER_RESTARTED: Final = "server_restarted"
TOO_OLD: Final = "too_old"
SIGNED_OUT: Final = "signed_out"
DISCONNECTED: Final = "disconnected"
UNREACHABLE: Final = "unreachable"  # of those that are called at an address

SENTENCES: Final[dict[str, str]] = {
    ASLEEP: "It fell silent: asleep most likely, or cut off from its network.",
    NETWORK: "It has lost its connection; it comes back by itself when the network does.",
    STOPPED: "deco_link was stopped on it.",
    SERVER_RESTARTED: "The server was restarted; the machine comes back by itself.",
    TOO_OLD: "Its deco_link is too old for this server.",
    SIGNED_OUT: "It was signed out; start deco_link there again to link it anew.",
    UNREACHABLE: "Its deco_link runs, but the server can't reach it at its address: check what"
    " leads there, and its certificate.",
    DISCONNECTED: "An admin closed its connection; the machine comes back by itself.",
}


class Fact(Enum):
    """What was noticed when a machine's connection ended, or could not be had."""

    GOODBYE = "the machine said that it stops"
    SILENCE = "pings were answered before, and are no more"
    BREAK = "the connection broke without a word"
    SIGN_IN_ENDED = "its sign-in was revoked, or its person shut out"
    OUTDATED = "it speaks a version that is served no more"
    SERVER_STOPS = "this server closes its connections"
    HOLDER_GONE = "the process that held its socket is there no more"
    NO_ANSWER = "it says that it lives, but does not answer at its address"
    CLOSED_HERE = "an admin closed the connection"


_CAUSES: Final[dict[Fact, str]] = {
    Fact.GOODBYE: STOPPED,
    # A lid that was closed says nothing, and is by far the most frequent reason.
    Fact.SILENCE: ASLEEP,
    Fact.BREAK: NETWORK,
    Fact.SIGN_IN_ENDED: SIGNED_OUT,
    Fact.OUTDATED: TOO_OLD,
    Fact.SERVER_STOPS: SERVER_RESTARTED,
    Fact.HOLDER_GONE: SERVER_RESTARTED,
    Fact.NO_ANSWER: UNREACHABLE,
    Fact.CLOSED_HERE: DISCONNECTED,
}

# Verdicts of a deadline: a holder that is alive after all takes them back.
REVOCABLE: Final = frozenset({"", ASLEEP, NETWORK, SERVER_RESTARTED, UNREACHABLE})


def cause_of(fact: Fact, *, last_silence: str = "") -> str:
    """Return the cause to show for ``fact``.

    From here a machine that sleeps looks like one whose cable was pulled. Only itself can tell,
    by its clocks, when it is back: ``last_silence`` is what its last silence turned out to be,
    and the next one is taken for the same.
    """
    if fact is Fact.SILENCE and last_silence:
        return last_silence
    return _CAUSES[fact]


def silence_was(slept: object) -> str:
    """Return what the machine says of its absence; empty when it says nothing."""
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
