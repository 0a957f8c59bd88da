"""Types of ASGI applications."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

Message = MutableMapping[str, Any]
Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
# Django, channels and starlette each narrow these three differently.
App = Callable[[Any, Any, Any], Awaitable[Any]]

# An extension of a WebSocket's scope: ``allow(size)`` lets this one send longer messages.
LONG_MESSAGES = "mesh.long_messages"


def allow_messages(scope: Scope, size: int) -> None:
    """Let the client of a WebSocket send messages of up to ``size`` bytes, if the server can."""
    extension = (scope.get("extensions") or {}).get(LONG_MESSAGES)
    if extension is not None:
        extension["allow"](size)
