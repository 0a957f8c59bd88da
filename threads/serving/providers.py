"""Which provider serves a run: the composition of harnesses and kinds of sandbox."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Final

from sandboxes import providers
from sandboxes.providers.base import SandboxProvider
from threads.decopilot.provider import DecopilotProvider
from threads.serving.attachments import read_file

# Harnesses whose loop runs in the process that serves the run, wherever its tools work, and what
# makes the provider of each; a process has one.
IN_PROCESS: Final[dict[str, Callable[[], SandboxProvider]]] = {"decopilot": DecopilotProvider}


@cache
def provider_for(kind: str, harness_id: str) -> SandboxProvider:
    """Return the provider that runs ``harness_id`` in a sandbox of ``kind``: one per process.

    Raises:
        UnknownKind: there is no such kind of sandbox.
    """
    make = IN_PROCESS.get(harness_id)
    if make is not None:
        return make()
    provider = providers.provider_for(kind)
    provider.read_file = read_file
    return provider
