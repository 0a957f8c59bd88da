"""Decides where a run goes, from its kind, its harness and its machine's capabilities."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from links.errors import LinkOffline, LinkUnavailable
from links.wire.messages import needed_for

REMOTE_USER = "remote-user"

# Their loop runs in the server; only their tools run on the machine.
LOOPS_IN_SERVER = {"decopilot"}


@dataclass(frozen=True, slots=True)
class LinkFacts:
    """A machine that is online, as the decision needs it."""

    capabilities: Sequence[str]
    machine: str = ""


@dataclass(frozen=True, slots=True)
class Target:
    """``runner``: whether the agent's loop runs in the server (``local``) or in the sandbox
    on the person's machine (``remote-cli``). ``sandbox``: whose files its tools see."""

    runner: Literal["local", "remote-cli"]
    sandbox: Literal["default", "desktop"]


class CapabilityMissing(LinkUnavailable):
    code = "capability_missing"
    text = "Your machine lacks a program that this agent needs."
    hint = "Install it there and sign in, or choose another agent."


def resolve_target(*, kind: str, harness_id: str, link: LinkFacts | None) -> Target:
    """Return where a run of ``harness_id`` in a sandbox of ``kind`` goes.

    ``link`` is ``None`` if the machine is offline or there is none; only ``remote-user`` needs it.

    Raises:
        LinkUnavailable: no machine, or it lacks the capability (``activeCapabilities``).
    """
    if kind != REMOTE_USER:
        return Target("local", "default")
    if link is None:
        raise LinkOffline
    needed = needed_for(harness_id)
    if needed is not None and needed not in link.capabilities:
        raise _missing(needed, link)
    return Target("local" if harness_id in LOOPS_IN_SERVER else "remote-cli", "desktop")


def _missing(capability: str, link: LinkFacts) -> CapabilityMissing:
    machine = {"machine": link.machine} if link.machine else {}
    return CapabilityMissing(
        f"“{capability}” was not found on {link.machine or 'your machine'}.",
        activeCapabilities=list(link.capabilities),
        **machine,
    )
