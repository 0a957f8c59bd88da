"""The secrets that a sandbox gets when it starts, over a channel that no agent can use."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import IO, Final

LINE_LIMIT: Final = 64 * 1024


@dataclass(frozen=True, slots=True)
class StartupSecrets:
    """``server_key`` is the server's public key. ``token`` gives access to a container's port."""

    server_key: str
    token: str = field(default="", repr=False)


def read_startup_secrets(pipe: IO[bytes]) -> StartupSecrets:
    """Return the secrets that the link program wrote to our standard input as one line of JSON.

    The key is empty if that line is missing or malformed.
    """
    try:
        value = json.loads(pipe.readline(LINE_LIMIT))
        return StartupSecrets(server_key=str(value["serverKey"]))
    except (OSError, ValueError, KeyError, TypeError):
        return StartupSecrets(server_key="")
