"""The kinds of sandbox, and which of them a run gets."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from links.errors import LinkOffline
from sandboxes.core.resolve import REMOTE_USER as REMOTE_USER

DOCKER: Final = "docker"
AGENT_SANDBOX: Final = "agent-sandbox"
KINDS: Final = (REMOTE_USER, DOCKER, AGENT_SANDBOX)

Hint = Literal["remote-user", "default"]


@dataclass(frozen=True, slots=True, kw_only=True)
class KindFacts:
    """The inputs of the choice of a kind, in the order of precedence.

    ``explicit``: the kind that the caller or the thread's pin names. ``hint``: the run's own.
    ``recorded``: the first kind that vmMap has for the person and the branch. ``default``: the
    server's setting. An empty string means that there is none.
    """

    explicit: str = ""
    hint: Hint | Literal[""] = ""
    recorded: str = ""
    is_link_online: bool = False
    default: str = REMOTE_USER


class NoLink(LinkOffline):
    """The sandbox is on the person's machine, but none of theirs is connected."""

    text = "No link daemon registered for you: none of your machines is connected."
    hint = "Start it on your machine with: deco link"


def choose_kind(facts: KindFacts) -> str:
    """Return the kind that ``facts`` select, even if it is unavailable."""
    if facts.explicit:
        return facts.explicit
    if facts.hint == REMOTE_USER and facts.is_link_online:
        return REMOTE_USER
    if facts.hint == "default":
        return facts.default
    if facts.recorded:
        return facts.recorded
    return REMOTE_USER if facts.is_link_online else facts.default
