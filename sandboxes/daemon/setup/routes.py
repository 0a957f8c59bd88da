"""The routes of the configuration, the setup's steps, scripts and events."""

from __future__ import annotations

from typing import Any
from urllib.parse import unquote_to_bytes

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from agents.harness.base import BadInput
from sandboxes.daemon.events import Events
from sandboxes.daemon.feeds import FeedResponse
from sandboxes.daemon.fields import fields_of
from sandboxes.daemon.guard import read_json
from sandboxes.daemon.setup.setup import Setup
from sandboxes.daemon.setup.steps import ORDER
from sandboxes.daemon.tasks.shell import MOST_MS, result_of


def routes(prefix: str, setup: Setup, events: Events, boot_id: str) -> list[Route]:
    """Return the routes over one sandbox's setup."""
    edge = SetupRoutes(setup, events, boot_id)
    return [
        Route(f"{prefix}/config", edge.show, methods=["GET"]),
        Route(f"{prefix}/config", edge.configure, methods=["POST", "PUT"]),
        Route(f"{prefix}/setup", edge.cancel, methods=["DELETE"]),
        Route(f"{prefix}/setup/{{step}}", edge.step, methods=["POST"]),
        Route(f"{prefix}/settings", edge.settings, methods=["GET"]),
        Route(f"{prefix}/settings", edge.write_settings, methods=["POST"]),
        Route(f"{prefix}/scripts", edge.scripts, methods=["GET"]),
        Route(f"{prefix}/exec/{{script}}", edge.execute, methods=["POST"]),
        Route(f"{prefix}/exec/{{script}}/kill", edge.kill, methods=["POST"]),
        Route(f"{prefix}/events", edge.events, methods=["GET"]),
    ]


class SetupRoutes:
    """Each handler parses its request, calls ``Setup`` once, and responds."""

    def __init__(self, setup: Setup, events: Events, boot_id: str) -> None:
        self._setup, self._events = setup, events
        self._boot_id = boot_id

    async def show(self, request: Request) -> Response:
        return JSONResponse({"bootId": self._boot_id, **self._setup.as_json()})

    async def configure(self, request: Request) -> Response:
        answer = await self._setup.configure(await read_json(request))
        return JSONResponse({"bootId": self._boot_id, **answer})

    async def step(self, request: Request) -> Response:
        step = next((step for step in ORDER if step == request.path_params["step"]), None)
        if step is None:
            raise BadInput("step must be one of: clone, install, start.", detail="step")
        self._setup.enqueue(step)
        return JSONResponse({"enqueued": step})

    async def cancel(self, request: Request) -> Response:
        await self._setup.cancel()
        return JSONResponse({"ok": True})

    async def settings(self, request: Request) -> Response:
        return JSONResponse(await self._setup.settings())

    async def write_settings(self, request: Request) -> Response:
        return JSONResponse(await self._setup.write_settings(await read_json(request)))

    async def scripts(self, request: Request) -> Response:
        return JSONResponse({"scripts": await self._setup.scripts()})

    async def execute(self, request: Request) -> Response:
        body = await fields_of(request)
        task = await self._setup.run_script(_script(request))
        if not body.flag("await"):
            return JSONResponse({"taskId": task.id, "status": task.status})
        limit = body.number("timeout", MOST_MS, least=1, most=MOST_MS)
        await task.wait(limit / 1000)
        told: dict[str, Any] = {"taskId": task.id, "status": task.status}
        return JSONResponse(told | (result_of(task) if task.status != "running" else {}))

    async def kill(self, request: Request) -> Response:
        return JSONResponse({"killed": await self._setup.kill_script(_script(request))})

    async def events(self, request: Request) -> Response:
        return FeedResponse(self._events.subscribe(), self._events.unsubscribe)


def _script(request: Request) -> str:
    """Return the script's name.

    Raises:
        BadInput: it is not percent-encoded UTF-8.
    """
    name: str = request.path_params["script"]
    raw: bytes = request.scope.get("raw_path", b"")
    part = raw.split(b"/exec/", 1)[-1].split(b"/")[0]
    if not _is_encoded(part):
        raise BadInput("The script's name is not percent-encoded UTF-8.", detail="script")
    return name


def _is_encoded(part: bytes) -> bool:
    pieces = part.split(b"%")[1:]
    hexadecimal = b"0123456789abcdefABCDEF"
    if not all(len(p) >= 2 and p[0] in hexadecimal and p[1] in hexadecimal for p in pieces):
        return False
    try:
        unquote_to_bytes(part).decode()
    except UnicodeDecodeError:
        return False
    return True
