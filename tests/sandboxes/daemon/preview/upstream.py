"""A dev server in the test's own process: HTTP and WebSocket on one loopback port."""

from __future__ import annotations

from contextlib import asynccontextmanager
from http import HTTPStatus

from websockets.asyncio.server import serve
from websockets.datastructures import Headers
from websockets.http11 import Response

PAGE = b"<!doctype html><html><head lang=en><title>x</title></head><body>page</body></html>"


class Upstream:
    def __init__(self):
        self.requests = []
        self.closes = []
        self.port = None
        self.pages = {"/": (200, {"content-type": "text/html"}, PAGE)}

    def answer(self, connection, request):
        self.requests.append((request.path, dict(request.headers.raw_items())))
        if "upgrade" in request.headers:
            return None
        given = self.pages.get(request.path.split("?")[0], (404, {}, b"no"))
        status, headers, body = given
        headers = Headers({**headers, "content-length": str(len(body)), "connection": "close"})
        return Response(status, HTTPStatus(status).phrase, headers, body)

    async def talk(self, socket):
        path = socket.request.path
        if path == "/goodbye":
            await socket.close(4009, "server done")
            return
        async for message in socket:
            await socket.send(message)
        self.closes.append(socket.close_code)

    @asynccontextmanager
    async def running(self, port=0, host="127.0.0.1"):
        async with serve(
            self.talk,
            host,
            port,
            process_request=self.answer,
            max_size=16 * 1024 * 1024,
            select_subprotocol=lambda _, offered: offered[0] if offered else None,
        ) as server:
            self.port = server.sockets[0].getsockname()[1]
            yield self

    def heads(self, path):
        return [{k.lower(): v for k, v in head.items()} for p, head in self.requests if p == path]
