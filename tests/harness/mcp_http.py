"""An MCP server over HTTP with one tool, ``greet``; keeps what it was asked, and with what."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

TOOL = {
    "name": "greet",
    "description": "Greet.",
    "inputSchema": {"type": "object"},
    "annotations": {"readOnlyHint": True},
}


@dataclass
class McpServer:
    """``token`` is the one it takes; ``asked`` pairs each method with the token that came.

    ``tool`` is what it lists, ``result`` what a call of it gives, and ``cuts`` the number of
    calls whose connections it drops.
    """

    token: str
    url: str = ""
    tool: dict[str, Any] = field(default_factory=lambda: TOOL)
    result: dict[str, Any] = field(
        default_factory=lambda: {"content": [{"type": "text", "text": "Good day."}]}
    )
    asked: list[tuple[str, str]] = field(default_factory=list)
    cuts: int = 0
    headers: list[dict[str, str]] = field(default_factory=list)  # of each request, in lower case
    bodies: list[bytes] = field(default_factory=list)
    stop: Callable[[], None] = lambda: None

    def reply(self, message: dict[str, Any]) -> dict[str, Any] | None:
        method = message.get("method")
        if "id" not in message:
            return None
        answer: dict[str, Any] = {"jsonrpc": "2.0", "id": message["id"]}
        results = {
            "initialize": lambda: {
                "protocolVersion": message["params"]["protocolVersion"],
                "capabilities": {"tools": {}},
                "serverInfo": {"name": "greeter", "version": "1"},
            },
            "tools/list": lambda: {"tools": [self.tool]},
            "tools/call": lambda: self.result,
            "ping": dict,
        }
        if method in results:
            return answer | {"result": results[method]()}
        return answer | {"error": {"code": -32601, "message": "not here"}}


@contextlib.contextmanager
def serving_mcp(token: str) -> Iterator[McpServer]:
    """Serve on loopback, in threads of its own."""
    server = McpServer(token)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", "0")))
            message = json.loads(body)
            server.headers.append({name.lower(): value for name, value in self.headers.items()})
            server.bodies.append(body)
            given = (self.headers.get("authorization") or "").removeprefix("Bearer ")
            server.asked.append((str(message.get("method")), given))
            if given != server.token:
                return self.say(401, {"error": "bad token"})
            if message.get("method") == "tools/call" and server.cuts:
                server.cuts -= 1
                self.connection.shutdown(socket.SHUT_RDWR)
                return None
            reply = server.reply(message)
            return self.say(200 if reply else 202, reply)

        def do_GET(self) -> None:
            self.say(405, None)

        do_DELETE = do_GET

        def say(self, status: int, value: Any) -> None:
            data = b"" if value is None else json.dumps(value).encode()
            self.send_response(status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: object) -> None:
            pass

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.url = f"http://127.0.0.1:{http.server_port}/mcp"
    thread = threading.Thread(target=http.serve_forever, daemon=True)
    thread.start()

    def stop() -> None:
        http.shutdown()
        http.server_close()
        thread.join(5)

    server.stop = stop
    try:
        yield server
    finally:
        stop()
