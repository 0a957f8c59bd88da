"""Sandboxes on a person's own machine, reached through its link."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

import httpx

from links.calls import client_for
from sandboxes.core.sse import Event, EventTooLong, SseReader
from sandboxes.providers.base import (
    DispatchRefused,
    Events,
    Json,
    Place,
    SandboxDown,
    SandboxEvent,
    SandboxProvider,
    Stream,
    StreamCut,
    UnknownRun,
)

log = logging.getLogger(__name__)

START_LIMIT = 30.0  # seconds until a sandbox must answer after it was started
REPLY_LIMIT = 15.0  # seconds for anything else
SILENCE_LIMIT = 45.0  # a stream says something, if only a comment, every 15 seconds

ClientFor = Callable[[UUID], Awaitable[httpx.AsyncClient]]


class RemoteUserProvider(SandboxProvider):
    """``remote-user``: one process on the laptop, behind signed requests through the tunnel."""

    def __init__(self, client_for: ClientFor = client_for) -> None:
        self._client_for = client_for

    async def ensure(self, place: Place) -> None:
        wanted = {
            "handle": place.handle,
            "folder": place.folder,
            "repo": place.repo,
            "branch": place.branch,
        }
        body = {key: value for key, value in wanted.items() if value is not None}
        await self._call(place, "POST", "/api/sandboxes", body, limit=START_LIMIT)

    def dispatch(
        self, place: Place, *, harness_id: str, fence: int, input: Json, after: int = 0
    ) -> Stream:
        body = {"harnessId": harness_id, "fence": fence, "input": input}
        return self._stream(place, "POST", _path(place, "dispatch"), after, body)

    def attach(self, place: Place, *, run_id: str, fence: int, after: int) -> Stream:
        return self._stream(
            place, "GET", _path(place, f"runs/{run_id}/events?fence={fence}"), after
        )

    async def ack(self, place: Place, *, run_id: str, fence: int, n: int) -> None:
        await self._call(
            place, "POST", _path(place, f"runs/{run_id}/ack"), {"fence": fence, "n": n}
        )

    async def cancel(self, place: Place, *, run_id: str) -> None:
        await self._call(place, "DELETE", _path(place, f"runs/{run_id}"))

    async def answer(
        self,
        place: Place,
        *,
        run_id: str,
        approval_id: str,
        decision: str,
        reason: str,
        answers: Json | None = None,
    ) -> None:
        body: Json = {"approvalId": approval_id, "decision": decision, "reason": reason}
        if answers:
            body["answers"] = answers
        await self._call(place, "POST", _path(place, f"runs/{run_id}/answers"), body)

    async def _call(
        self,
        place: Place,
        method: str,
        path: str,
        body: Json | None = None,
        *,
        limit: float = REPLY_LIMIT,
    ) -> None:
        """Ask, and return when the answer is a good one."""
        client = await self._client_for(place.link_id)
        try:
            reply = await client.request(method, path, json=body, timeout=limit)
        except httpx.TransportError as exc:
            raise StreamCut from exc
        if not reply.is_success:
            raise refusal(reply.status_code, reply.content)

    @asynccontextmanager
    async def _stream(
        self, place: Place, method: str, path: str, after: int, body: Json | None = None
    ) -> AsyncIterator[Events]:
        client = await self._client_for(place.link_id)
        headers = {"accept": "text/event-stream", "last-event-id": str(after)}
        timeout = httpx.Timeout(REPLY_LIMIT, read=SILENCE_LIMIT)
        request = client.build_request(method, path, json=body, headers=headers, timeout=timeout)
        reply = await self._open(client, request)
        try:
            yield _events(reply, after)
        finally:
            await reply.aclose()

    async def _open(self, client: httpx.AsyncClient, request: httpx.Request) -> httpx.Response:
        try:
            async with asyncio.timeout(REPLY_LIMIT):
                reply = await client.send(request, stream=True)
                if reply.is_success:
                    return reply
                try:
                    raise refusal(reply.status_code, await reply.aread())
                finally:
                    await reply.aclose()
        except (httpx.TransportError, TimeoutError) as exc:
            raise StreamCut from exc


def _path(place: Place, rest: str) -> str:
    return f"/_sandbox/{place.handle}/{rest}"


def refusal(status: int, body: bytes) -> Exception:
    """Return the error that an answer other than 2xx stands for."""
    code, message, hint = _said(body)
    if code == "unknown_run":
        return UnknownRun(message)
    if code in ("sandbox_down", "unknown_handle") or status in (502, 503, 504):
        return SandboxDown(message)
    return DispatchRefused(
        code or f"http_{status}", message or f"The machine answered {status}.", hint
    )


def _said(body: bytes) -> tuple[str, str, str]:
    """Return code, sentence and hint of an answer in the one form; empty ones of any other."""
    try:
        error: Any = json.loads(body)["error"]
        return str(error["code"]), str(error["message"]), str(error.get("hint", ""))
    except (ValueError, KeyError, TypeError, AttributeError):
        return "", "", ""


async def _events(reply: httpx.Response, after: int) -> Events:
    """Yield the events of an open stream, the last of them ``done``.

    Raises:
        StreamCut: it ended before, or can't be read.
    """
    reader = SseReader()
    try:
        async for piece in reply.aiter_raw():
            for event in reader.feed(piece):
                if (parsed := _parse(event)) is not None and parsed.n > after:
                    after = parsed.n  # what is there already is never given twice
                    yield parsed
                    if parsed.is_last:
                        return
    except (httpx.TransportError, EventTooLong) as exc:
        raise StreamCut from exc
    for event in reader.close():
        if (parsed := _parse(event)) is not None and parsed.is_last:
            yield parsed
            return
    raise StreamCut


def _parse(event: Event) -> SandboxEvent | None:
    """Return what the event says; ``None`` for one that is not of ours."""
    try:
        body = json.loads(event.data)
        n = int(event.id)
    except (ValueError, RecursionError):
        log.warning("Left out an event that can't be read: id %r.", event.id[:40])
        return None
    return SandboxEvent(n, body, len(event.data)) if isinstance(body, dict) else None
