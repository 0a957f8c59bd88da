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
    """What the choice of a kind looks at, in the order of precedence.

    ``explicit``: what the caller or the thread's pin names. ``hint``: what the run says of
    itself. ``recorded``: the first kind that vmMap has for the person and the branch.
    ``default``: the server's setting. "" stands for none of them.
    """

    explicit: str = ""
    hint: Hint | Literal[""] = ""
    recorded: str = ""
    is_link_online: bool = False
    default: str = REMOTE_USER


class NoLink(LinkOffline):
    """The sandbox is on the person's machine, and none of theirs is connected."""

    text = "No link daemon registered for you: none of your machines is connected."
    hint = "Start it on your machine with: deco link"


def choose_kind(facts: KindFacts) -> str:
    """Return the kind that ``facts`` ask for; whether it can be had is not looked at."""
    if facts.explicit:
        return facts.explicit
    if facts.hint == REMOTE_USER and facts.is_link_online:
        return REMOTE_USER
    if facts.hint == "default":
        return facts.default
    if facts.recorded:
        return facts.recorded
    return REMOTE_USER if facts.is_link_online else facts.default
