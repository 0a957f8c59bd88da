"""Serves the tunnel's streams with an ASGI application in this process."""

from __future__ import annotations

import asyncio
import logging
from urllib.parse import unquote

from links.peer import Stream, StreamLost
from links.sockets import REFUSALS, TunnelSocket, content_of
from links.wire.closing import INTERNAL, NORMAL, Closed
from links.wire.heads import AnswerHead, RequestHead
from mesh.lib.asgi import App, Message, Scope

logger = logging.getLogger(__name__)


class AnswerBroken(Exception):
    """Raised by an application that can't complete its answer because its upstream failed."""


class Server:
    """Serves streams with ``app``, one task each; a stream that is reset ends its task."""

    def __init__(self, app: App) -> None:
        self._app = app
        self._tasks: set[asyncio.Task[None]] = set()

    def serve(self, stream: Stream) -> None:
        task = asyncio.get_running_loop().create_task(self._serve(stream))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        # The client is gone: cancel, so that the program behind us notices.
        stream.on_lost = task.cancel  # type: ignore[assignment]

    async def close(self) -> None:
        """Cancel every request in progress."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _serve(self, stream: Stream) -> None:
        head = stream.request_head
        assert head is not None
        exchange = _Socket(stream) if head.websocket else _Exchange(stream)
        try:
            await self._app(exchange.scope, exchange.receive, exchange.send)
        except StreamLost:
            stream.close("lost")
        except AnswerBroken as exc:
            logger.info("request %s: answer aborted: %s", exchange.scope["path"], exc)
            stream.close("broken")
        except asyncio.CancelledError:
            stream.close("cancelled")
            raise
        except Exception:
            logger.exception("request %s: failed", exchange.scope["path"])
            await exchange.fail()
        else:
            if not exchange.is_answered:
                await exchange.fail()
        finally:
            stream.on_lost = None


class _Exchange:
    """One request and its answer as ASGI messages."""

    __slots__ = ("_head", "_is_body_read", "is_answered", "scope", "stream")

    def __init__(self, stream: Stream) -> None:
        self.stream = stream
        self.is_answered = False
        self._head: AnswerHead | None = None
        self._is_body_read = False  # whether the whole request was received
        assert stream.request_head is not None
        self.scope: Scope = {
            **_scope_of(stream.request_head),
            "type": "http",
            "method": stream.request_head.method,
            "scheme": "http",
        }

    async def receive(self) -> Message:
        if self._is_body_read:
            # Only a reset can follow, and that cancels this task.
            await asyncio.get_running_loop().create_future()
        try:
            data = await self.stream.read()
        except StreamLost:
            return {"type": "http.disconnect"}
        self._is_body_read = not data
        return {"type": "http.request", "body": data, "more_body": bool(data)}

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._head = AnswerHead(message["status"], _texts(message))
            self.stream.answer(self._head)
        elif message["type"] == "http.response.body":
            if body := message.get("body"):
                await self.stream.write(body)
            if not message.get("more_body"):
                self.is_answered = True
                self.stream.end()
                self.stream.finish()

    async def fail(self) -> None:
        """Answer 500, or reset the stream if the answer has started: a partial one must not pass
        for the whole."""
        if self._head is not None:
            self.stream.close("failed")
            return
        await self.send({"type": "http.response.start", "status": 500, "headers": []})
        await self.send({"type": "http.response.body"})


class _Socket:
    """One WebSocket as ASGI messages."""

    __slots__ = ("_is_accepted", "_is_connecting", "_socket", "is_answered", "scope", "stream")

    def __init__(self, stream: Stream) -> None:
        self.stream = stream
        self.is_answered = False
        self._socket = TunnelSocket(stream)
        self._is_connecting, self._is_accepted = True, False
        assert stream.request_head is not None
        headers = dict(stream.request_head.headers)
        offered = headers.get("sec-websocket-protocol", "").split(",")
        self.scope: Scope = {
            **_scope_of(stream.request_head),
            "type": "websocket",
            "scheme": "ws",
            "subprotocols": [name.strip() for name in offered if name.strip()],
            "extensions": {REFUSALS: {}},
        }

    async def receive(self) -> Message:
        if self._is_connecting:
            self._is_connecting = False
            return {"type": "websocket.connect"}
        message = await self._socket.receive()
        if isinstance(message, Closed):
            await self._end(message if self._is_accepted else None, 403)
            return {
                "type": "websocket.disconnect",
                "code": message.code,
                "reason": message.reason,
            }
        key = "text" if isinstance(message, str) else "bytes"
        return {"type": "websocket.receive", key: message}

    async def send(self, message: Message) -> None:
        kind = message["type"]
        if kind == "websocket.accept":
            self._is_accepted = True
            headers = _texts(message)
            if chosen := message.get("subprotocol"):
                headers.append(("sec-websocket-protocol", chosen))
            self.stream.answer(AnswerHead(101, headers))
        elif kind == "websocket.send":
            await self._socket.send(content_of(message))
        elif kind == "websocket.close":
            closed = Closed(message.get("code", NORMAL), message.get("reason") or "")
            await self._end(closed if self._is_accepted else None, 403)
        elif kind == f"{REFUSALS}.start":
            await self._end(None, message["status"])

    async def fail(self) -> None:
        """Close with an internal error, or answer 500 if it was not accepted yet."""
        await self._end(Closed(INTERNAL) if self._is_accepted else None, 500)

    async def _end(self, closed: Closed | None, status: int) -> None:
        """Close, or refuse with ``status``. Only the first call counts."""
        if self.is_answered:
            return
        self.is_answered = True
        if closed is None:
            self.stream.answer(AnswerHead(status, []))
        await self._socket.close(closed or Closed())
        self.stream.finish()


def _texts(message: Message) -> list[tuple[str, str]]:
    pairs = message.get("headers", ())
    return [(name.decode("latin-1"), value.decode("latin-1")) for name, value in pairs]


def _scope_of(head: RequestHead) -> Scope:
    path, _, query = head.target.partition("?")
    return {
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "http_version": "1.1",
        "path": unquote(path),
        "raw_path": path.encode("latin-1", "replace"),
        "query_string": query.encode("latin-1", "replace"),
        "root_path": "",
        "headers": [(n.encode("latin-1"), v.encode("latin-1")) for n, v in head.headers],
        "client": None,
        "server": None,
    }
