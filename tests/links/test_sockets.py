"""WebSockets through a tunnel in memory, to real programs behind the laptop's control plane."""

import asyncio
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
from websockets.asyncio.server import unix_serve
from websockets.exceptions import ConnectionClosed
from websockets.server import ServerProtocol

from links import held_machines, sockets
from links.connection import Connection, Pulse
from links.daemon.asgi import Server
from links.daemon.control import ControlPlane
from links.daemon.errors import UnknownHandle
from links.internal.listener import Listener
from links.local_websockets import dial_port
from links.proxy import open_through
from links.services import Claimed
from links.sockets import MAX_MESSAGE, Refused, join, opened, refuse
from links.upstream import Pool
from links.wire import signing
from links.wire.closing import Closed
from links.wire.frames import TEXT
from links.wire.heads import RequestHead
from mesh.lib.ids import new_id
from tests.links.test_peer import Joined
from tests.waiting import auntil

SECRET = "the link's secret"


class Program:
    """A WebSocket server on the laptop; keeps what it saw."""

    def __init__(self):
        self.seen, self.closes = [], []

    async def __call__(self, connection):
        self.seen.append(connection)
        try:
            async for message in connection:
                await self.answer(connection, message)
        except ConnectionClosed:
            pass
        self.closes.append((connection.close_code, connection.close_reason))

    async def answer(self, connection, message):
        if message == "close":
            await connection.close(4000, "as asked")
        elif message == "big":
            await connection.send(bytes(MAX_MESSAGE))
            await connection.send(b"one more")
        else:
            await connection.send(message)

    def refuse(self, connection, request):
        if request.path.endswith("/secret"):
            return connection.respond(403, "no")
        return None

    def choose(self, connection, wanted):
        return next((name for name in wanted if name in ("hot", "cold")), None)


class OneSandbox:
    """A supervisor in whose care is one sandbox, "s"."""

    def __init__(self, socket):
        self.home = Path(socket).parent
        self.sandbox = SimpleNamespace(pool=Pool(socket), token="its token")

    def find(self, handle):
        if handle != "s":
            raise UnknownHandle
        return self.sandbox


@pytest.fixture
def program():
    return Program()


@pytest.fixture
async def joined(program, tmp_path):
    socket = str(tmp_path / "s")
    options = {"process_request": program.refuse, "select_subprotocol": program.choose}
    async with unix_serve(program, socket, max_size=None, **options):
        control = ControlPlane(secret=lambda: SECRET, supervisor=OneSandbox(socket))
        server = Server(control)
        joined = Joined()
        joined.laptop.on_open = server.serve
        await asyncio.sleep(0)
        yield joined
        await server.close()


def head(target, *, secret=SECRET, protocols=""):
    proof = signing.signed_headers(
        secret, method="GET", target=target, body=b"", now=time.time(), nonce=str(new_id())
    )
    asked = [*proof.items(), ("origin", "http://preview")]
    if protocols:
        asked.append(("sec-websocket-protocol", protocols))
    return RequestHead("GET", target, asked, websocket=True)


class Near:
    """The near end, in ASGI's words."""

    def __init__(self, opening, *, can_refuse=True, subprotocols=()):
        self.to_us, self.heard = asyncio.Queue(), asyncio.Queue()
        self.to_us.put_nowait({"type": "websocket.connect"})
        scope = {
            "extensions": {"websocket.http.response": {}} if can_refuse else {},
            "subprotocols": list(subprotocols),
        }
        self.task = asyncio.create_task(join(scope, self.to_us.get, self.heard.put, opening))

    def says(self, message):
        key = "text" if isinstance(message, str) else "bytes"
        self.to_us.put_nowait({"type": "websocket.receive", key: message})

    def leaves(self, code=1001, reason="away"):
        self.to_us.put_nowait({"type": "websocket.disconnect", "code": code, "reason": reason})

    async def hears(self):
        return await asyncio.wait_for(self.heard.get(), 60)


@pytest.fixture
def target():
    return "/_sandbox/s/ws?x=%2F"


@pytest.fixture
async def browse(joined):
    """Return ``browse(target)``: a near whose WebSocket leads there."""
    browsers = []

    def start(target, *, subprotocols=(), **how):
        opening = opened(joined.server.peer, head(target, **how), within=5)
        browsers.append(Near(opening, subprotocols=subprotocols))
        return browsers[-1]

    yield start
    for one in browsers:
        one.task.cancel()
    await asyncio.gather(*(one.task for one in browsers), return_exceptions=True)


@pytest.fixture
async def near(browse, target):
    near = browse(target)
    assert (await near.hears())["type"] == "websocket.accept"
    return near


@pytest.mark.parametrize("message", ["grüße", "", b"\x00\xff", b""])
async def test_messages_go_both_ways_as_they_are(near, message):
    near.says(message)

    key = "text" if isinstance(message, str) else "bytes"
    assert await near.hears() == {"type": "websocket.send", key: message}


async def test_order_is_kept(near):
    for n in range(200):
        near.says(f"{n}")

    assert [(await near.hears())["text"] for _ in range(200)] == [f"{n}" for n in range(200)]


async def test_a_message_larger_than_the_window_comes_whole(near):
    message = bytes(range(256)) * 20_000
    near.says(message)

    assert (await near.hears())["bytes"] == message


async def test_the_largest_message_is_let_through(near):
    near.says("big")

    assert len((await near.hears())["bytes"]) == MAX_MESSAGE
    assert (await near.hears())["bytes"] == b"one more"


async def test_a_larger_one_closes(near, program):
    near.says(bytes(MAX_MESSAGE + 1))

    await auntil(lambda: program.closes)
    near.leaves()


async def test_the_program_chooses_the_subprotocol(browse, target):
    near = browse(target, protocols="cold, warm", subprotocols=["cold", "warm"])

    assert (await near.hears())["subprotocol"] == "cold"


async def test_a_subprotocol_that_the_browser_did_not_ask_for_is_left_out(browse, target):
    near = browse(target, protocols="cold", subprotocols=["warm"])

    assert (await near.hears())["subprotocol"] is None


@pytest.mark.parametrize("status", [100, 101, 200, 204, 304, 499, 599])
async def test_a_refusal_is_told_with_a_status_that_refuses(status):
    said = []

    async def send(message):
        said.append(message)

    await refuse({"extensions": {"websocket.http.response": {}}}, send, status)

    assert said[0]["status"] == 502


async def test_path_query_and_origin_arrive_and_no_proof_of_ours(near, program):
    (seen,) = await auntil(lambda: program.seen)

    assert seen.request.path.endswith("/ws?x=%2F")
    assert seen.request.headers["Origin"] == "http://preview"
    assert not [name for name in seen.request.headers if name.lower().startswith("x-mesh")]


async def test_a_sandbox_gets_its_own_token(near, program):
    (seen,) = await auntil(lambda: program.seen)

    assert seen.request.headers.get("Authorization") == "Bearer its token"


async def test_the_program_closes_with_its_code(near):
    near.says("close")

    assert await near.hears() == {
        "type": "websocket.close",
        "code": 4000,
        "reason": "as asked",
    }
    await near.task


@pytest.mark.parametrize(
    ("left", "seen"),
    [((1001, "away"), (1001, "away")), ((4321, ""), (4321, "")), ((1006, ""), (1011, ""))],
)
async def test_the_program_learns_how_the_browser_left(near, program, left, seen):
    near.says("hi")
    await near.hears()

    near.leaves(*left)

    await auntil(lambda: program.closes == [seen])
    await near.task


async def test_what_was_said_before_leaving_arrives(near, program):
    for _ in range(100):
        near.says(bytes(10_000))
    near.leaves()

    await auntil(lambda: program.closes == [(1001, "away")])


async def test_a_cancelled_proxy_releases_the_program(near, program):
    near.task.cancel()

    await auntil(lambda: program.closes)


async def test_a_tunnel_that_breaks_closes_both(near, program, joined):
    joined.server.peer.lose("cut")
    joined.laptop.peer.lose("cut")

    assert (await near.hears())["code"] == 1011
    await auntil(lambda: program.closes)


async def test_text_that_is_none_is_closed(joined, target):
    socket = await opened(joined.server.peer, head(target), within=5)
    await socket._stream.write(b"\xff", TEXT)

    assert await socket.receive() == Closed(1007)


@pytest.mark.parametrize(
    ("where", "how", "status"),
    [
        pytest.param("/_sandbox/s/secret", {}, 403, id="the program refuses"),
        pytest.param("/_sandbox/s/ws", {"secret": "another"}, 401, id="not signed by us"),
        pytest.param("/_sandbox/t/ws", {}, 404, id="no such sandbox"),
        pytest.param("/_sandbox/../ws", {}, 400, id="no handle"),
        pytest.param("/_port/22/ws", {}, 404, id="a port of the machine"),
        pytest.param("/api/sandboxes", {}, 404, id="no WebSocket"),
    ],
)
async def test_refusals(browse, where, how, status):
    near = browse(where, **how)

    assert (await near.hears())["status"] == status
    await near.task


async def test_nobody_behind_is_a_502(joined):
    free = OneSandbox("/nowhere")
    joined.laptop.on_open = Server(ControlPlane(secret=lambda: SECRET, supervisor=free)).serve

    with pytest.raises(Refused) as refused:
        await opened(joined.server.peer, head("/_sandbox/s/ws"), within=5)
    assert refused.value.status == 502


async def test_a_server_that_can_not_say_a_status_closes(joined):
    opening = opened(joined.server.peer, head("/elsewhere"), within=5)

    assert await Near(opening, can_refuse=False).hears() == {
        "type": "websocket.close",
        "code": 1008,
    }


async def test_a_program_that_says_goodbye_and_does_not_hang_up_is_left(monkeypatch):
    monkeypatch.setattr(sockets, "CLOSE_WITHIN", 0.05)

    async def never_hangs_up(reader, writer):
        protocol = ServerProtocol()
        protocol.receive_data(await reader.readuntil(b"\r\n\r\n"))
        protocol.send_response(protocol.accept(protocol.events_received()[0]))
        protocol.send_close(4002, "enough")
        writer.writelines(protocol.data_to_send())
        await reader.read()
        writer.close()

    server = await asyncio.start_server(never_hangs_up, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    socket = await dial_port(port, "/", [], [])

    assert await asyncio.wait_for(socket.receive(), 60) == Closed(4002, "enough")
    server.close()


# Through the process that holds the tunnel


@pytest.fixture(params=["unix", "tcp"])
async def far(request, joined, tmp_path):
    """Return ``far(target, …)``: a WebSocket that takes the hop."""
    link_id = new_id()
    connection = Connection(
        lambda message: None,
        on_received=lambda _: None,
        on_status_change=lambda *_: None,
        pulse=Pulse(),
    )
    connection.claimed = Claimed(link_id, SECRET, "")
    connection.peer = joined.server.peer
    listener = Listener(home=tmp_path, at="127.0.0.1:0" if request.param == "tcp" else "")
    address = await listener.start()
    held_machines.put(link_id, connection)

    async def dial(target, *, link=link_id, wanted=()):
        return await open_through(address, link, target, [("x-some", "1")], wanted)

    yield dial
    held_machines.remove(link_id, connection)
    await listener.stop()


async def test_the_hop_carries_messages_headers_and_subprotocol(far, target, program):
    socket = await far(target, wanted=["hot"])
    await socket.send("hi")
    await socket.send(b"\x00")

    assert (await socket.receive(), await socket.receive()) == ("hi", b"\x00")
    assert socket.subprotocol == "hot"
    assert program.seen[0].request.headers["X-Some"] == "1"
    socket.drop()


async def test_the_hop_carries_how_it_was_closed(far, target, program):
    socket = await far(target)
    await socket.send("close")
    assert await socket.receive() == Closed(4000, "as asked")

    other = await far(target)
    await other.close(Closed(4001, "bye"))
    await auntil(lambda: (4001, "bye") in program.closes)


async def test_the_hop_refuses(far, target):
    with pytest.raises(Refused) as unknown:
        await far(target, link=new_id())
    with pytest.raises(Refused) as refused:
        await far("/elsewhere")

    assert (unknown.value.status, refused.value.status) == (409, 404)
