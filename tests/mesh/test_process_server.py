"""A server process ends after SIGTERM, whatever hangs in it."""

import asyncio
import signal
import socket
import subprocess
import sys

import pytest

from mesh.http_server import process_config
from mesh.process_server import ProcessServer
from tests.waiting import PATIENCE

# It says "serving" in its first request, which WAIT then keeps.
PROGRAM = """
import asyncio, sys, threading
from mesh.http_server import process_config
from mesh.process_server import ProcessServer

async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await send({"type": "lifespan.shutdown.complete"})
        return
    print("serving", flush=True)
    WAIT

async def ask(port):
    _, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"GET / HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n")
    return writer

class Asked(ProcessServer):
    end_within = WITHIN

    async def startup(self, sockets=None):
        await super().startup(sockets=sockets)
        self.writer = await ask(self.servers[0].sockets[0].getsockname()[1])

Asked(process_config(app, port=0, timeout_graceful_shutdown=1)).run()
"""


@pytest.fixture
def start():
    """Return ``start(wait, within)``: a server whose request is being served."""
    processes = []

    def go(wait, within):
        code = PROGRAM.replace("WAIT", wait).replace("WITHIN", str(within))
        process = subprocess.Popen(
            [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        processes.append(process)
        assert process.stdout.readline() == "serving\n"
        return process

    yield go
    for process in processes:
        process.kill()
        process.communicate()


@pytest.mark.parametrize(
    "wait",
    [
        pytest.param("threading.Event().wait()", id="in the event loop"),
        pytest.param("await asyncio.to_thread(threading.Event().wait)", id="in an OS thread"),
    ],
)
def test_what_never_returns_does_not_keep_it(start, wait):
    process = start(wait, within=0.1)

    process.send_signal(signal.SIGTERM)

    assert process.wait(PATIENCE) == 1
    assert "ending the process now" in process.stderr.read()


def test_it_ends_by_the_signal_if_nothing_hangs(start):
    process = start("await asyncio.Event().wait()", within=PATIENCE)

    process.send_signal(signal.SIGTERM)

    assert process.wait(PATIENCE) == -signal.SIGTERM


class Answers:
    """An app whose response has begun; it ends with its client, or after ``may_end``."""

    def __init__(self, kind):
        self.kind, self.may_end, self.has_lost_its_client = kind, asyncio.Event(), False

    async def __call__(self, scope, receive, send):
        headers = [(b"content-type", self.kind)]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b"first ", "more_body": True})
        await receive()  # the request
        leaving = asyncio.create_task(receive())
        ending = asyncio.create_task(self.may_end.wait())
        await asyncio.wait([leaving, ending], return_when="FIRST_COMPLETED")
        self.has_lost_its_client = leaving.done()
        await send({"type": "http.response.body", "body": b"last"})


@pytest.mark.parametrize(
    ("kind", "is_ended"),
    [
        pytest.param(b"text/event-stream; charset=utf-8", True, id="a stream of events"),
        pytest.param(b"text/html", False, id="a page"),
    ],
)
async def test_a_stream_of_events_is_ended_and_any_other_response_completed(kind, is_ended):
    app = Answers(kind)
    server = ProcessServer(process_config(app, lifespan="off", timeout_graceful_shutdown=PATIENCE))
    sock = socket.create_server(("127.0.0.1", 0))
    server.config.load()
    server.lifespan = server.config.lifespan_class(server.config)
    await server.startup(sockets=[sock])
    reader, writer = await asyncio.open_connection(*sock.getsockname())
    writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    await reader.readuntil(b"first ")

    stopping = asyncio.create_task(server.shutdown(sockets=[sock]))
    await asyncio.sleep(0)  # it has begun
    app.may_end.set()
    rest = await reader.read()
    await stopping
    writer.close()

    assert app.has_lost_its_client is is_ended
    assert (b"last" in rest) is not is_ended
