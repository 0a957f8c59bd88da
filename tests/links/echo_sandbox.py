"""A program in the place of the sandbox: announces itself by ``pid``, tells its health, echoes.

    python tests/links/echo_sandbox.py --root DIR

``ECHO_SANDBOX`` in its environment names a fault: "dies" at once, "silent" never listens,
"stubborn" ignores SIGTERM, "busy" says that a run is active.
"""

import asyncio
import json
import os
import signal
import sys
import tempfile
import time
from pathlib import Path

import uvicorn

FAULT = os.environ.get("ECHO_SANDBOX", "")


class Echo:
    def __init__(self, root):
        self.root = root
        self.token = (root / "token").read_text()

    async def __call__(self, scope, receive, send):
        headers = dict(scope["headers"])
        if headers.get(b"authorization") != b"Bearer " + self.token.encode():
            return await self.answer(send, 401, {"error": {"code": "unauthorized"}})
        path = scope["path"]
        if path == "/_sandbox/health":
            runs = 1 if FAULT == "busy" else 0
            return await self.answer(send, 200, {"status": "ready", "activeRuns": runs})
        if path == "/_sandbox/ticks":
            return await self.ticks(receive, send)
        if path == "/_sandbox/big":
            return await self.big(send, int(scope["query_string"]))
        body = b""
        while True:
            message = await receive()
            body += message.get("body", b"")
            if not message.get("more_body"):
                break
        seen = {
            "method": scope["method"],
            "path": path,
            "query": scope["query_string"].decode(),
            "body": body.decode(),
            "headers": {name.decode(): value.decode() for name, value in headers.items()},
            "environ": dict(os.environ),
        }
        return await self.answer(send, 200, seen)

    async def answer(self, send, status, value):
        headers = [(b"content-type", b"application/json")]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": json.dumps(value).encode()})

    async def big(self, send, size):
        await send({"type": "http.response.start", "status": 200, "headers": []})
        block = bytes(range(256)) * 256
        for at in range(0, size, len(block)):
            body = block[: size - at]
            await send({"type": "http.response.body", "body": body, "more_body": True})
        await send({"type": "http.response.body", "body": b""})

    async def ticks(self, receive, send):
        """One event each 20 ms for ever; the file ``ticks`` tells when the reader has gone."""
        mark = self.root / "ticks"
        mark.write_text("open")
        headers = [(b"content-type", b"text/event-stream")]
        try:
            await send({"type": "http.response.start", "status": 200, "headers": headers})
            left = asyncio.create_task(has_left(receive))
            for n in range(1, 100_000):
                if left.done():
                    return
                event = f"id: {n}\ndata: {time.monotonic_ns()}\n\n".encode()
                await send({"type": "http.response.body", "body": event, "more_body": True})
                await asyncio.sleep(0.02)
        finally:
            mark.write_text("closed")


async def has_left(receive):
    while (await receive())["type"] != "http.disconnect":
        pass


def started():
    return Path("/proc/self/stat").read_text().rpartition(")")[2].split()[19]


async def main(root):
    socket = str(Path(tempfile.mkdtemp(prefix="echo-")) / "s")
    server = uvicorn.Server(uvicorn.Config(Echo(root), uds=socket, log_level="warning"))
    if FAULT == "stubborn":
        server.capture_signals = lambda: __import__("contextlib").nullcontext()
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    serving = asyncio.create_task(server.serve())
    while not server.started:
        await asyncio.sleep(0.005)
    told = {"pid": os.getpid(), "started": started(), "socket": socket, "bootId": "b"}
    draft = root / ".pid"
    draft.write_text(json.dumps(told))
    draft.replace(root / "pid")
    await serving


if __name__ == "__main__":
    if FAULT == "dies":
        sys.exit("the echo sandbox was told to die")
    if FAULT == "silent":
        time.sleep(600)
    asyncio.run(main(Path(sys.argv[sys.argv.index("--root") + 1])))
