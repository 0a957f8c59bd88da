"""A program in the place of the sandbox: announces itself by ``pid``, tells its health, echoes.

    python tests/links/echo_sandbox.py --root DIR

``ECHO_SANDBOX`` in its environment names a fault: "dies" at once, "silent" never listens,
"stubborn" ignores SIGTERM, "busy" says that a run is active, "serving" that a
command runs. It starts in a tenth of a second.
"""

import asyncio
import json
import os
import signal
import sys
import tempfile
import time
from pathlib import Path
from urllib.parse import unquote

FAULT = os.environ.get("ECHO_SANDBOX", "")


class Echo:
    """Just as much HTTP/1.1 as the link speaks to a sandbox."""

    def __init__(self, root):
        self.root = root
        self.key = json.loads(sys.stdin.readline())["serverKey"]

    async def serve(self, reader, writer):
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
                line, *rest = head.rstrip().split("\r\n")
                headers = {n.lower(): v for n, v in (pair.split(": ", 1) for pair in rest)}
                if headers.get("upgrade") == "websocket":
                    await self.socket(head, headers, reader, writer)
                    break
                body = await reader.readexactly(int(headers["content-length"]))
                await self.answer(line, headers, body, reader, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        writer.close()

    async def answer(self, line, headers, body, reader, writer):
        method, target, _ = line.split(" ")
        path, _, query = target.partition("?")
        if path == "/_sandbox/health":
            runs = 1 if FAULT == "busy" else 0
            idle = FAULT not in ("busy", "serving")
            told = {"status": "ready", "activeRuns": runs, "idle": idle, "serverKey": self.key}
            self.whole(writer, 200, told)
        elif path == "/_sandbox/ticks":
            await self.ticks(reader, writer)
        elif path == "/_sandbox/big":
            await self.big(writer, int(query))
        elif path == "/_sandbox/preview/size":
            self.whole(writer, 200, {"size": len(body), "headers": headers})
        elif path == "/_sandbox/raw":
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%b" % (len(body), body))
        else:
            seen = {
                "method": method,
                "path": unquote(path),
                "raw": path,
                "query": query,
                "body": body.decode(),
                "headers": headers,
                "environ": dict(os.environ),
            }
            self.whole(writer, 200, seen)
        await writer.drain()

    async def socket(self, head, headers, reader, writer):
        """Give each message back; "close CODE REASON" closes so. ``left`` tells how it ended."""
        from websockets.frames import Opcode
        from websockets.protocol import SEND_EOF
        from websockets.server import ServerProtocol

        protocol = ServerProtocol(max_size=None)
        protocol.receive_data(head.encode("latin-1"))
        (request,) = protocol.events_received()
        protocol.send_response(protocol.accept(request))
        writer.writelines(protocol.data_to_send())
        while data := await reader.read(65536):
            protocol.receive_data(data)
            for frame in protocol.events_received():
                if frame.opcode is Opcode.TEXT and frame.data.startswith(b"close "):
                    _, code, reason = frame.data.decode().split(" ", 2)
                    protocol.send_close(int(code), reason)
                elif frame.opcode is Opcode.TEXT:
                    protocol.send_text(frame.data)
                elif frame.opcode is Opcode.BINARY:
                    protocol.send_binary(frame.data)
                elif frame.opcode is Opcode.CLOSE:
                    told = protocol.close_rcvd
                    (self.root / "left").write_text(f"{told.code} {told.reason}")
            sending = protocol.data_to_send()
            writer.writelines(sending)
            await writer.drain()
            if SEND_EOF in sending:  # both have said goodbye
                return

    def whole(self, writer, status, value):
        body = json.dumps(value).encode()
        head = f"HTTP/1.1 {status} X\r\ncontent-type: application/json\r\n"
        writer.write(f"{head}content-length: {len(body)}\r\n\r\n".encode() + body)

    async def big(self, writer, size):
        writer.write(f"HTTP/1.1 200 X\r\ncontent-length: {size}\r\n\r\n".encode())
        block = bytes(range(256)) * 256
        for at in range(0, size, len(block)):
            writer.write(block[: size - at])
            await writer.drain()

    async def ticks(self, reader, writer):
        """One event each 20 ms for ever; the file ``ticks`` tells when the reader has gone."""
        mark = self.root / "ticks"
        mark.write_text("open")
        head = "HTTP/1.1 200 X\r\ncontent-type: text/event-stream\r\n"
        writer.write(f"{head}transfer-encoding: chunked\r\n\r\n".encode())
        left = asyncio.create_task(reader.read(1))
        n = 0
        while not left.done():
            n += 1
            event = f"id: {n}\ndata: {time.monotonic_ns()}\n\n"
            writer.write(f"{len(event):x}\r\n{event}\r\n".encode())
            await asyncio.wait([left], timeout=0.02)
        mark.write_text("closed")


def started():
    return Path("/proc/self/stat").read_text().rpartition(")")[2].split()[19]


async def main(root):
    if FAULT == "stubborn":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    socket = str(Path(tempfile.mkdtemp(prefix="echo-")) / "s")
    server = await asyncio.start_unix_server(Echo(root).serve, socket)
    told = {"pid": os.getpid(), "started": started(), "socket": socket, "bootId": "b"}
    draft = root / ".pid"
    draft.write_text(json.dumps(told))
    draft.replace(root / "pid")
    await server.serve_forever()


if __name__ == "__main__":
    if FAULT == "dies":
        sys.exit("the echo sandbox was told to die")
    if FAULT == "silent":
        time.sleep(600)
    asyncio.run(main(Path(sys.argv[sys.argv.index("--root") + 1])))
