"""The laptop's end as a provider sees it: real sandboxes, without tunnel and signature."""

from __future__ import annotations

import json

import httpx

from links.transport import target_of_request


class LaptopTransport(httpx.AsyncBaseTransport):
    """Answers what the link program answers, and passes the rest to the sandbox's socket."""

    def __init__(self, sandbox, handle):
        self.sandbox, self.handle = sandbox, handle
        self.asked = []

    async def handle_async_request(self, request):
        if request.url.path == "/api/sandboxes":
            return await self.ensure(request)
        _, prefix, handle, rest = target_of_request(request).split("/", 3)
        assert prefix == "_sandbox"
        if handle != self.handle:
            return refusal(404, "unknown_handle")
        if self.sandbox.process.poll() is not None:
            return refusal(502, "sandbox_down")
        target = f"/_sandbox/{rest}".encode()
        inner = httpx.Request(
            request.method,
            request.url.copy_with(raw_path=target),
            headers=request.headers.raw,
            stream=request.stream,
            extensions={**request.extensions, "target": target},
        )
        return await self.sandbox.client._transport.handle_async_request(inner)

    async def ensure(self, request):
        self.asked.append(json.loads(await request.aread()))
        if self.sandbox.process.poll() is not None:
            self.sandbox.start()
        return httpx.Response(200, json={"sandboxApiUrl": f"/_sandbox/{self.handle}"})


class ScriptedTransport(httpx.AsyncBaseTransport):
    """Gives one answer to everything: a response, or an error that it raises."""

    def __init__(self, answer):
        self.answer = answer

    async def handle_async_request(self, request):
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


class PiecesThenError(httpx.AsyncByteStream):
    """A body that breaks off."""

    def __init__(self, *pieces, error=None):
        self.pieces, self.error = pieces, error

    async def __aiter__(self):
        for piece in self.pieces:
            yield piece
        if self.error is not None:
            raise self.error


def refusal(status, code, message="It can't be."):
    return httpx.Response(status, json={"error": {"code": code, "message": message, "hint": "h"}})
