"""The routes of terminals, and the socket of each."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from mesh.lib.errors import AppError
from sandboxes.daemon.fields import fields_of
from sandboxes.daemon.terminals import wire
from sandboxes.daemon.terminals.terminal import Reader, Terminal
from sandboxes.daemon.terminals.terminals import Terminals

BLOCK: Final = 64 * 1024  # bytes of output in one message
ENDED, REFUSED = 4000, 4400  # codes with which the socket is closed


def routes(prefix: str, terminals: Terminals) -> list[BaseRoute]:
    """Return the routes over ``terminals``."""
    edge = TerminalRoutes(terminals)
    one = f"{prefix}/terminals/{{terminal_id}}"
    return [
        Route(f"{prefix}/terminals", edge.list, methods=["GET"]),
        Route(f"{prefix}/terminals", edge.open, methods=["POST"]),
        Route(one, edge.close, methods=["DELETE"]),
        WebSocketRoute(f"{one}/socket", edge.join),
    ]


class TerminalRoutes:
    """Each handler parses its request, calls ``Terminals`` once, and responds."""

    def __init__(self, terminals: Terminals) -> None:
        self._terminals = terminals

    async def list(self, request: Request) -> Response:
        return JSONResponse({"terminals": [one.summary() for one in self._terminals.list()]})

    async def open(self, request: Request) -> Response:
        body = await fields_of(request)
        size = wire.size_of({"rows": 24, "columns": 80, **body.values})
        terminal = await self._terminals.open(body.text("id"), size)
        return JSONResponse(terminal.summary())

    async def close(self, request: Request) -> Response:
        force = request.query_params.get("force") == "1"
        await self._terminals.close(request.path_params["terminal_id"], force=force)
        return JSONResponse({"ok": True})

    async def join(self, socket: WebSocket) -> None:
        """Show a terminal to a page: the kept output after the number ``after``, then what
        comes; take its input."""
        await socket.accept()
        after = socket.query_params.get("after", "0")
        number = int(after) if after.isascii() and after.isdecimal() and len(after) < 19 else 0
        try:
            terminal = self._terminals.get(socket.path_params["terminal_id"])
            reader = terminal.attach(number)
        except AppError as exc:
            await _refuse(socket, exc)
            return
        showing = asyncio.create_task(_show(socket, terminal, reader))
        taking = asyncio.create_task(_take(socket, terminal, reader))
        try:
            await asyncio.wait({showing, taking}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            terminal.detach(reader)
            showing.cancel()
            taking.cancel()
            for result in await asyncio.gather(showing, taking, return_exceptions=True):
                if isinstance(result, AppError):
                    await _refuse(socket, result)
                elif isinstance(result, Exception) and not isinstance(
                    result, WebSocketDisconnect | RuntimeError
                ):
                    raise result


async def _show(socket: WebSocket, terminal: Terminal, reader: Reader) -> None:
    """Send the output until the terminal has ended; what comes at once goes as one message."""
    ring = terminal.ring
    # What is old already must not be answered: a program asked it of the page that looked then.
    ready = {"type": "ready", "at": reader.sent, "end": ring.end}
    await socket.send_json(ready | terminal.summary())
    while True:
        start, block = ring.read(reader.sent, BLOCK)
        if start > reader.sent:
            await socket.send_json({"type": "gap", "from": reader.sent, "to": start})
            reader.sent = start
            reader.ack(start)
            continue
        if block:
            reader.sent = start + len(block)
            await socket.send_bytes(wire.output(start, block))
        elif not terminal.is_running:
            await socket.send_json({"type": "end", **terminal.summary()})
            await socket.close(ENDED)
            return
        else:
            await reader.wait()


async def _take(socket: WebSocket, terminal: Terminal, reader: Reader) -> None:
    """Take what the page sends until it leaves."""
    while True:
        message: dict[str, Any] = dict(await socket.receive())
        if message["type"] == "websocket.disconnect":
            return
        if (data := message.get("bytes")) is not None:
            if len(data) > wire.MOST_INPUT:
                raise wire.BadFrame
            terminal.write(data)
            continue
        said = wire.parse(message.get("text") or "")
        if isinstance(said, wire.Ack):
            reader.ack(said.at)
        else:
            terminal.resize(said)


async def _refuse(socket: WebSocket, why: AppError) -> None:
    with contextlib.suppress(RuntimeError, WebSocketDisconnect):
        await socket.send_json({"type": "refused", **why.body()})
        await socket.close(REFUSED)
