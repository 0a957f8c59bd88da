"""The stand-in's server: a little HTTP/1.1 over asyncio, one connection a request."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import threading
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

from tests.standin import anthropic, chat, gemini, responses
from tests.standin.rules import complaint_of
from tests.standin.scripts import Cut, Refuse, Stall, Step, steps_for
from tests.waiting import PATIENCE

HEAD_LIMIT = 64 * 1024
# Path → the module that speaks that API.
APIS: tuple[tuple[re.Pattern[str], ModuleType], ...] = (
    (re.compile(r"/v1/messages"), anthropic),
    (re.compile(r"/v1/responses"), responses),
    (re.compile(r"/v1/chat/completions"), chat),
    (re.compile(r"/v1(beta)?/models/[^/]+:(streamG|g)enerateContent"), gemini),
)


@dataclass(slots=True)
class Request:
    method: str
    path: str
    headers: dict[str, str]
    body: dict[str, Any]


@dataclass(slots=True)
class Standin:
    """A running stand-in; ``requests`` is what it was asked, in order. If ``is_strict``, it refuses
    what the real providers refuse (``rules``); ``refusals`` are its sentences."""

    url: str = ""
    requests: list[Request] = field(default_factory=list)
    is_strict: bool = False
    longest: int = 0  # characters of a request's body that its model takes, if it has a limit
    is_blind: bool = False  # its model refuses any picture
    refusals: list[str] = field(default_factory=list)
    # Set when a client has left in the middle of an answer that stalls.
    left: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def messages(self) -> list[Request]:
        """The requests for an answer of the model."""
        return [request for request in self.requests if _api_of(request)]

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            request = await _read(reader)
            self.requests.append(request)
            await self._answer(request, reader, writer)
        with contextlib.suppress(ConnectionError):
            writer.close()
            await writer.wait_closed()

    async def _answer(
        self, request: Request, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        path = request.path.partition("?")[0]
        if (api := _api_of(request)) and (complaint := self._complaint(request)):
            self.refusals.append(complaint)
            await _json(writer, 400, api.error(Refuse(400, words=complaint)))
        elif api and 0 < self.longest < len(json.dumps(request.body)):
            await _json(writer, 400, api.error(Refuse(400, is_too_long=True)))
        elif api:
            if not await _answer_of_the_model(api, request, writer):
                await reader.read()  # it stalls, until the other side leaves
                self.left.set()
        elif path == "/v1/messages/count_tokens":
            await _json(writer, 200, {"input_tokens": 100})
        else:
            await _json(writer, 200 if request.method == "HEAD" else 404, {})

    def _complaint(self, request: Request) -> str:
        if self.is_blind and _SEEN.search(json.dumps(request.body)):
            return "This model does not support image input."
        path = request.path.partition("?")[0]
        return complaint_of(path, request.body) if self.is_strict else ""


_SEEN = re.compile(r'"(image|image_url|input_image|inlineData)"')


async def _read(reader: asyncio.StreamReader) -> Request:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    method, path, _ = head[0].split(" ", 2)
    pairs = (line.partition(":") for line in head[1:] if line)
    headers = {name.strip().lower(): value.strip() for name, _, value in pairs}
    raw = await reader.readexactly(int(headers.get("content-length", "0")))
    try:
        body = json.loads(raw or b"{}")
    except ValueError:
        body = {}
    return Request(method, path, headers, body if isinstance(body, dict) else {})


async def _json(
    writer: asyncio.StreamWriter, status: int, body: dict[str, Any], *, retry_after: int = 0
) -> None:
    data = json.dumps(body).encode()
    wait = f"retry-after: {retry_after}\r\n" if retry_after else ""
    head = (
        f"HTTP/1.1 {status} As Told\r\ncontent-type: application/json\r\n{wait}"
        f"content-length: {len(data)}\r\nconnection: close\r\n\r\n"
    )
    writer.write(head.encode() + data)
    await writer.drain()


def _api_of(request: Request) -> ModuleType | None:
    """Return who speaks the API that an answer of the model is asked by; ``None`` for all else."""
    path = request.path.partition("?")[0]
    found = (api for pattern, api in APIS if pattern.fullmatch(path))
    return next(found, None) if request.method == "POST" else None


async def _answer_of_the_model(
    api: ModuleType, request: Request, writer: asyncio.StreamWriter
) -> bool:
    """Answer; say whether the answer is whole, or stalls."""
    steps = steps_for(*api.read(request.body))
    message = api.Message(request.body)
    if isinstance(steps[0], Refuse):
        refused = steps[0]
        error = api.error(refused)
        await _json(writer, refused.status, error, retry_after=refused.retry_after)
    elif request.body.get("stream") or ":stream" in request.path:
        return await _stream(api, message, steps, writer)
    else:
        for step in steps:
            if not isinstance(step, Stall | Cut | Refuse):
                for _ in message.block(step):
                    pass
        await _json(writer, 200, message.whole())
    return True


async def _stream(
    api: ModuleType, message: Any, steps: list[Step], writer: asyncio.StreamWriter
) -> bool:
    writer.write(
        b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n"
        b"cache-control: no-store\r\ntransfer-encoding: chunked\r\nconnection: close\r\n\r\n"
    )
    for event in message.begin():
        await _send(writer, api.sse(event))
    for step in steps:
        if isinstance(step, Cut):
            writer.transport.abort()
            return True
        if isinstance(step, Stall):
            return False
        if not isinstance(step, Refuse):
            for event, wait in message.block(step):
                if wait:
                    await asyncio.sleep(wait)
                await _send(writer, api.sse(event))
    for event in message.end():
        await _send(writer, api.sse(event))
    await _send(writer, api.LAST)
    writer.write(b"0\r\n\r\n")
    await writer.drain()
    return True


async def _send(writer: asyncio.StreamWriter, data: bytes) -> None:
    if data:  # an empty chunk would end the stream
        writer.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")
        await writer.drain()


@contextlib.asynccontextmanager
async def serving(*, port: int = 0) -> AsyncIterator[Standin]:
    """Serve on loopback while the block runs."""
    standin = Standin()
    open_now: set[asyncio.Task[None]] = set()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        open_now.add(task)
        try:
            await standin.handle(reader, writer)
        except asyncio.CancelledError:
            writer.transport.abort()
        finally:
            open_now.discard(task)

    server = await asyncio.start_server(connected, "127.0.0.1", port, limit=HEAD_LIMIT)
    standin.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield standin
    finally:
        server.close()
        for task in list(open_now):  # those that stall
            task.cancel()
        await asyncio.gather(*open_now, return_exceptions=True)


@contextlib.contextmanager
def serving_in_thread(*, port: int = 0) -> Iterator[Standin]:
    """The same for tests without a loop of their own."""
    ready: list[Standin] = []
    is_ready = threading.Event()
    loop = asyncio.new_event_loop()
    stop = asyncio.Event()

    async def serve() -> None:
        async with serving(port=port) as standin:
            ready.append(standin)
            is_ready.set()
            await stop.wait()

    thread = threading.Thread(target=lambda: loop.run_until_complete(serve()), daemon=True)
    thread.start()
    assert is_ready.wait(PATIENCE)
    try:
        yield ready[0]
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(10)
        loop.close()
