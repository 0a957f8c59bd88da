"""The thread's sandbox for Decopilot's tools: started when the first tool needs it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any, Final

from mesh.lib.targets import BadTarget
from sandboxes.providers.base import (
    DispatchRefused,
    LinkOffline,
    Place,
    SandboxDown,
    SandboxProvider,
    StreamCut,
)
from threads.serving.sandbox_records import note_sandbox

# Error codes that say that the sandbox's program is not running.
_GONE: Final = ("sandbox_down", "unknown_handle", "link_offline")

USUAL_LIMIT: Final = 45.0  # seconds

# Returns where the thread's files are, and the provider that reaches them.
FindPlace = Callable[[], Awaitable[tuple[Place, SandboxProvider]]]


class ToolFailed(Exception):
    """A tool failed; the sentence goes to the model and to the page."""


class Files:
    """Requests to the sandbox's routes. The first call finds and starts the sandbox, for all
    later ones too; that is repeated only after the connection has broken."""

    def __init__(self, find: FindPlace) -> None:
        self._find = find
        self._ready: asyncio.Task[tuple[Place, SandboxProvider]] | None = None

    async def ask(
        self,
        route: str,
        body: dict[str, Any] | None = None,
        *,
        method: str = "POST",
        is_repeatable: bool,
        limit: float = USUAL_LIMIT,
    ) -> dict[str, Any]:
        """Return the sandbox's answer, which may take ``limit`` seconds.

        Raises:
            ToolFailed: the sandbox can't be reached, or refuses; the sentence says why.
        """
        try:
            return await self._ask(method, route, body, limit)
        except (StreamCut, SandboxDown) as exc:
            self._ready = None
            if not is_repeatable:
                raise ToolFailed(
                    "The connection to the sandbox broke, so it is not known whether this was"
                    " done. Check before you do it again."
                ) from exc
        try:
            return await self._ask(method, route, body, limit)
        except (StreamCut, SandboxDown) as exc:
            self._ready = None
            raise ToolFailed(str(exc)) from exc

    async def _ask(
        self, method: str, route: str, body: dict[str, Any] | None, limit: float
    ) -> dict[str, Any]:
        try:
            place, provider = await self._place()
            reply = await provider.request(place, method, route, json=body, limit=limit)
        except BadTarget as exc:
            raise ToolFailed(str(exc)) from exc
        except (LinkOffline, DispatchRefused) as exc:
            self._ready = None
            raise ToolFailed(f"{exc} {exc.hint}") from exc
        if reply.is_success:
            return _object(reply.content) or {}
        error = (_object(reply.content) or {}).get("error")
        if not isinstance(error, dict) or error.get("code") in _GONE:
            # Not a program of ours answered, or one that does not have the sandbox.
            raise SandboxDown(f"The sandbox answered {reply.status_code}.")
        raise ToolFailed(f"{error.get('message', 'It was refused.')} {error.get('hint', '')}")

    async def _place(self) -> tuple[Place, SandboxProvider]:
        if self._ready is None:
            self._ready = asyncio.create_task(self._ensure())
        ready = self._ready
        try:
            # A cancelled call must not cancel the start that others wait for.
            return await asyncio.shield(ready)
        finally:
            # After a failed or cancelled start the next call starts the sandbox again.
            if self._ready is ready and ready.done() and (ready.cancelled() or ready.exception()):
                self._ready = None

    async def _ensure(self) -> tuple[Place, SandboxProvider]:
        place, provider = await self._find()
        await provider.ensure(place)
        await note_sandbox(place)
        return place, provider


def _object(body: bytes) -> dict[str, Any] | None:
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None
