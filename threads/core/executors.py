"""A run's executor: which processes may execute it, decided when its message is accepted."""

from __future__ import annotations

from typing import Final

from sandboxes.core.resolve import Target

LINK: Final = "link"  # the process that holds the socket of the machine's link
SERVER: Final = "server"  # any process that executes server runs, under a lease
ALL: Final = (LINK, SERVER)


def executor_of(target: Target) -> str:
    """Return the executor of a run with this target.

    The process that holds a machine's socket is the best one to reach programs there. What
    runs in the server or in a container can be reached, or started, from any process.
    """
    return LINK if target.runner == "remote-cli" else SERVER
