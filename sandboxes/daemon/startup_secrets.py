"""What a sandbox is told when it starts, by a way on which no agent listens or writes."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import IO, Final

LINE_LIMIT: Final = 64 * 1024


@dataclass(frozen=True, slots=True)
class Given:
    """``server_key`` is the server's public key. ``token`` opens the port of a container."""

    server_key: str
    token: str = field(default="", repr=False)


def read_given(pipe: IO[bytes]) -> Given:
    """Return what the link program wrote into our standard input: one line of JSON.

    The key is empty where nothing was written that makes sense.
    """
    try:
        value = json.loads(pipe.readline(LINE_LIMIT))
        return Given(server_key=str(value["serverKey"]))
    except (OSError, ValueError, KeyError, TypeError):
        return Given(server_key="")
