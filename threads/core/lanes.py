"""Who may serve a run: decided once, when its message is accepted."""

from __future__ import annotations

from typing import Final

from sandboxes.core.resolve import Target

LINK: Final = "link"  # who holds the socket of its machine's link
SERVER: Final = "server"  # any process that serves this lane, under a lease
ALL: Final = (LINK, SERVER)


def lane_of(target: Target) -> str:
    """Return the lane of a run with that target.

    A program on a person's machine is reached best from where the machine's socket is. What
    runs in the server or in a container is reached, or begun, from anywhere.
    """
    return LINK if target.runner == "remote-cli" else SERVER
