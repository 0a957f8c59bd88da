"""The thread's sandbox for Decopilot's tools: started when the first tool needs it."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
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


NOT_KNOWN: Final = "It is not known whether this was done. Check before you do it again."


class ToolFailed(Exception):
    """A tool failed; the sentence goes to the model and to the page. ``code`` is the sandbox's, if
    that refused."""

    def __init__(self, sentence: str, *, code: str = "") -> None:
        super().__init__(sentence)
        self.code = code


@dataclass(frozen=True, slots=True)
class Made:
    """A call of a tool that the sandbox knows by ``key``. ``is_again``: a lost attempt may have
    made it."""

    key: str
    is_again: bool = False

    @classmethod
    def of(cls, run_id: str, call_id: str, *, is_again: bool = False) -> Made:
        """Return the call ``call_id`` of a run. The id is the provider's: any text."""
        digest = hashlib.sha256(call_id.encode(errors="replace")).hexdigest()[:32]
        return cls(f"{run_id}.{digest}", is_again)


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
                raise ToolFailed(f"The connection to the sandbox broke. {NOT_KNOWN}") from exc
        try:
            return await self._ask(method, route, body, limit)
        except (StreamCut, SandboxDown) as exc:
            self._ready = None
            raise ToolFailed(str(exc)) from exc

    async def act(
        self, route: str, body: dict[str, Any], made: Made, *, is_repeatable: bool = False
    ) -> dict[str, Any]:
        """Return the sandbox's answer to a call that changes something: done at most once.

        Raises:
            ToolFailed: as from ``ask``, or it is not known whether it was done.
        """
        body = body | {"callId": made.key}
        if not made.is_again:
            try:
                return await self._ask("POST", route, body, USUAL_LIMIT)
            except (StreamCut, SandboxDown):
                self._ready = None
        await self._check(made, is_repeatable=is_repeatable)
        return await self.ask(route, body, is_repeatable=is_repeatable)

    async def _check(self, made: Made, *, is_repeatable: bool) -> None:
        """Return if the call can be made again: the sandbox knows by its id whether it was made.

        One of an older version does not.

        Raises:
            ToolFailed: it is not known whether the call was done.
        """
        try:
            await self.ask(f"calls/{made.key}", method="GET", is_repeatable=True)
        except ToolFailed as exc:
            can_be_made = ("unknown_call", "not_found") if is_repeatable else ("unknown_call",)
            if exc.code not in can_be_made:
                raise ToolFailed(NOT_KNOWN, code=exc.code) from exc

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
        sentence = f"{error.get('message', 'It was refused.')} {error.get('hint', '')}"
        raise ToolFailed(sentence, code=str(error.get("code", "")))

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
