"""The gateway over a WebSocket in memory; S63–S70 as far as design §5 keeps them."""

import asyncio
import json
import time

import pytest
from asgiref.sync import sync_to_async
from django.db import OperationalError

from links import gateway, held_machines, selectors, services
from links.calls import client_for, held_here
from links.connection import Pulse
from links.gateway import make_gateway
from links.machine_clocks import clock_of
from links.models import Link
from links.wire import frames
from links.wire.heads import AnswerHead
from links.wire.messages import Registration
from links.wire.signing import fingerprint
from links.wire.tunnel import Opened, Reset, Tunnel
from mesh import database_pool
from mesh.services import make_token
from tests.links.wire.tunnels import GET
from tests.stuck import stuck
from tests.waiting import PATIENCE, auntil

QUICK = Pulse(every=0.01, last_wait=0.01)
M1 = Registration(machine_id="m1", cli_version="1", protocol_version=1, capabilities=("codex",))


class Handlers:
    def __init__(self):
        self.ups, self.downs = [], []

    async def on_up(self, link_id):
        self.ups.append(link_id)

    async def on_down(self, link_id, cause):
        self.downs.append((link_id, cause))


class Dialled:
    """A laptop's socket to the gateway, in memory, speaking the real protocol."""

    def __init__(self, app, token, hello, *, extensions=None, origin=None):
        self.tunnel = Tunnel("laptop", hello)
        self.heard = []
        self.sent = asyncio.Queue()
        self.to_server = asyncio.Queue()
        scope = {
            "type": "websocket",
            "path": "/api/links/connect",
            "headers": [(b"authorization", f"Bearer {token}".encode())] if token else [],
            "extensions": extensions,
        }
        if origin is not None:
            scope["headers"].append((b"origin", origin.encode()))
        self.to_server.put_nowait({"type": "websocket.connect"})
        self.task = asyncio.create_task(app(scope, self.to_server.get, self.sent.put))

    async def accepted(self):
        assert (await self.sent.get())["type"] == "websocket.accept"
        return self

    def says(self):
        """Send everything the tunnel has to say."""
        while (message := self.tunnel.pull()) is not None:
            self.sends(message)

    def sends(self, message):
        self.to_server.put_nowait({"type": "websocket.receive", "bytes": message})

    async def hears(self):
        """Return the events of the next message, or how the socket was closed."""
        message = await asyncio.wait_for(self.sent.get(), 60)
        if message["type"] == "websocket.close":
            return message["code"], message["reason"]
        events = self.tunnel.receive(message["bytes"])
        self.says()
        return events

    async def closed(self):
        while not isinstance(found := await self.hears(), tuple):
            pass
        self.leaves()
        return found

    def leaves(self, code=1006):
        self.to_server.put_nowait({"type": "websocket.disconnect", "code": code})


@pytest.fixture
def handlers():
    return Handlers()


@pytest.fixture
async def hello(transactional_db, ada):
    """What ada's registered machine greets with."""
    told = await sync_to_async(services.register)(user=ada, registration=M1)
    return {"machineId": "m1", "secretFingerprint": fingerprint(told.link_secret)}


@pytest.fixture
async def token(hello, ada):
    return await sync_to_async(make_token)(user=ada)


@pytest.fixture
def pulse():
    return Pulse()


@pytest.fixture
def app(handlers, pulse):
    return make_gateway(on_up=handlers.on_up, on_down=handlers.on_down, pulse=pulse)


@pytest.fixture
async def dial(app, token, hello):
    """Return ``dial()``: a socket to the gateway; all are hung up after the test."""
    dialled = []

    def dial(token=token, hello=hello, **how):
        dialled.append(Dialled(app, token, hello, **how))
        return dialled[-1]

    yield dial
    for one in dialled:
        one.leaves()
    await asyncio.gather(*(one.task for one in dialled))


@pytest.fixture
async def laptop(dial, handlers):
    """A laptop that is up."""
    laptop = await dial().accepted()
    laptop.says()
    await auntil(lambda: handlers.ups)
    return laptop


async def presence(ada):
    (view,) = await sync_to_async(selectors.list_links)(viewer=ada)
    return view.state, view.cause


@pytest.mark.parametrize("wrong", ["", "mesh_wrong"], ids=["S63 none", "S64 wrong"])
async def test_without_a_good_token_nobody_gets_in(dial, wrong):
    answered = dial(wrong, extensions={"websocket.http.response": {}})

    assert (await answered.sent.get())["status"] == 401
    assert json.loads((await answered.sent.get())["body"])["error"]["code"] == "unauthorized"


@pytest.mark.parametrize("origin", ["https://evil.example", "http://testserver", "null", ""])
async def test_no_page_opens_a_machines_tunnel(dial, handlers, origin):
    answered = dial(origin=origin, extensions={"websocket.http.response": {}})

    assert (await answered.sent.get())["status"] == 403
    assert json.loads((await answered.sent.get())["body"])["error"]["code"] == "foreign_origin"
    assert handlers.ups == []


async def test_a_server_without_that_extension_closes(dial):
    assert (await dial("mesh_wrong").sent.get())["type"] == "websocket.close"


async def test_nothing_is_claimed_before_the_greeting(dial, ada, handlers):  # S65
    laptop = await dial().accepted()
    assert await presence(ada) == ("unknown", "")

    laptop.says()
    await auntil(lambda: handlers.ups)
    assert await presence(ada) == ("online", "")
    assert list(held_here()) == handlers.ups


async def test_a_store_that_is_down_asks_to_come_later(dial, monkeypatch):
    def down(**_):
        raise OperationalError

    monkeypatch.setattr(services, "claim", down)
    laptop = await dial().accepted()
    laptop.says()

    assert await laptop.closed() == (1013, "store_not_ready")


async def test_a_store_that_is_down_at_the_door_is_a_503(dial, monkeypatch):
    def down(token):
        raise OperationalError

    monkeypatch.setattr(gateway, "find_sign_in", down)
    answered = dial(extensions={"websocket.http.response": {}})

    assert (await answered.sent.get())["status"] == 503


async def test_a_store_that_is_down_at_the_end_is_no_reason_to_keep_silent(
    laptop, handlers, monkeypatch
):
    def down(**_):
        raise OperationalError

    monkeypatch.setattr(services, "release", down)
    laptop.leaves()

    await auntil(lambda: handlers.downs)
    assert held_here() == frozenset()


async def test_a_connection_without_a_greeting_is_closed(dial, monkeypatch):  # S66
    monkeypatch.setattr(gateway, "HELLO_WITHIN", 0.01)
    silent = await dial().accepted()
    while (message := await silent.sent.get())["type"] != "websocket.close":
        pass

    assert (message["code"], message["reason"]) == (1008, "hello timeout")


@pytest.mark.parametrize(
    ("message", "code"),
    [
        pytest.param(frames.pack([(frames.PING, 0, b"")]), 1008, id="another frame first"),
        pytest.param(b"\x01", 1002, id="no frame"),
        pytest.param(bytes(frames.MAX_MESSAGE + 1), 1009, id="too large"),
        pytest.param(
            frames.pack([(frames.HELLO, 0, b'{"protocol":0,"window":9}')]), 4426, id="too old"
        ),
    ],
)
async def test_a_bad_beginning_is_closed(dial, message, code):
    laptop = await dial().accepted()
    laptop.sends(message)

    assert (await laptop.closed())[0] == code


async def test_text_is_refused(laptop):
    laptop.to_server.put_nowait({"type": "websocket.receive", "text": "hello"})

    assert (await laptop.closed())[0] == 1002


async def test_a_machine_s_clock_is_measured_when_it_connects(dial, handlers, hello, caplog):
    laptop = await dial(hello={**hello, "clock": int(time.time()) - 7200}).accepted()
    laptop.says()
    await auntil(lambda: handlers.ups)

    link = await Link.objects.aget()
    assert abs(link.clock_ahead + 7200) < PATIENCE
    assert clock_of(link.pk).ahead == link.clock_ahead
    assert f"link {link.pk}: its clock is {link.clock_ahead} s off" in caplog.text


@pytest.mark.parametrize("clock", [None, "noon", 10**12 - 1, -1, [], 10**40])
async def test_whatever_it_says_of_its_clock_it_is_let_in(dial, handlers, hello, clock):
    laptop = await dial(hello={**hello, "clock": clock}).accepted()
    laptop.says()

    await auntil(lambda: handlers.ups)


@pytest.mark.parametrize(
    "wrong",
    [
        pytest.param({"machineId": "m2"}, id="another machine"),
        pytest.param({"machineId": None}, id="no machine"),
        pytest.param({"machineId": "m1\x00"}, id="a machine with a NUL"),
        pytest.param({"machineId": "m1\ud800"}, id="a machine with half a character"),
        pytest.param({"secretFingerprint": ""}, id="no proof of the secret"),
        pytest.param({"secretFingerprint": "\ud800"}, id="a proof that is none"),
    ],
)
async def test_a_machine_that_is_not_registered_is_told_so(dial, hello, wrong):
    stranger = await dial(hello={**hello, **wrong}).accepted()
    stranger.says()

    assert await stranger.closed() == (4404, "no_link")


async def test_a_request_reaches_the_socket_and_the_answer_comes_back(laptop, handlers):  # S70
    client = await client_for(handlers.ups[0])
    asking = asyncio.create_task(client.get("/api/sandboxes"))
    events = []
    while not any(isinstance(event, Opened) for event in events):
        events += await laptop.hears()
    (opened,) = [event for event in events if isinstance(event, Opened)]
    assert {"x-mesh-signature", "x-mesh-nonce"} <= {name for name, _ in opened.head.headers}

    laptop.tunnel.answer(opened.stream, AnswerHead(418, []))  # S57
    laptop.tunnel.send(opened.stream, b"tea")
    laptop.tunnel.end(opened.stream)
    laptop.says()

    answer = await asking
    assert (answer.status_code, answer.content) == (418, b"tea")


async def test_the_client_is_kept_for_the_connection(laptop, handlers):
    assert await client_for(handlers.ups[0]) is await client_for(handlers.ups[0])


async def test_the_newest_connection_wins(dial, laptop, handlers, ada):  # S67
    newer = await dial().accepted()
    newer.says()

    assert await laptop.closed() == (4001, "superseded")
    await laptop.task
    assert len(handlers.ups) == 2
    assert handlers.downs == []
    assert await presence(ada) == ("online", "")
    assert len(held_here()) == 1


async def test_a_connection_of_another_process_wins_too(laptop, ada, monkeypatch):
    monkeypatch.setattr(gateway, "FLUSH_AFTER", 0)
    await Link.objects.aupdate(connection_id="elsewhere")
    ours = held_machines.find(next(iter(held_here())))
    ours._on_received(ours)

    assert await laptop.closed() == (4001, "superseded")


async def test_a_machine_comes_and_goes_while_readers_and_writers_are_stuck(dial, handlers, ada):
    async with stuck(database_pool.reads, database_pool.writes, database_pool.heavy):
        laptop = await dial().accepted()
        laptop.says()
        await auntil(lambda: handlers.ups)
        laptop.leaves()
        await laptop.task

    assert await presence(ada) == ("offline", "network")


async def test_deadlines_move_while_everything_else_is_stuck(laptop, ada, monkeypatch):
    monkeypatch.setattr(gateway, "FLUSH_AFTER", 0)
    others = [pool for pool in database_pool.POOLS.values() if pool.name != "heartbeats"]
    before = (await Link.objects.aget()).offline_after

    async def is_later():
        return (await Link.objects.aget()).offline_after > before

    async with stuck(*others):
        ours = held_machines.find(next(iter(held_here())))
        ours._on_received(ours)
        await auntil(is_later)


@pytest.mark.parametrize(
    ("code", "cause"), [(1006, "network"), (1000, "network"), (1012, "server_restarted")]
)
async def test_leaving_tells_the_cause(laptop, handlers, ada, code, cause):
    laptop.leaves(code)
    await laptop.task

    assert await presence(ada) == ("offline", cause)
    await auntil(lambda: handlers.downs == [(handlers.ups[0], cause)])
    assert held_here() == frozenset()


@pytest.mark.parametrize("pulse", [QUICK])
async def test_a_silent_machine_is_dropped(dial, handlers):
    laptop = await dial().accepted()
    laptop.says()  # and never answers a ping

    await auntil(lambda: handlers.downs)
    assert held_here() == frozenset()


def test_a_check_takes_three_seconds_at_most():
    assert Pulse().check_within <= 3


async def test_a_machine_that_answers_its_pings_stays(laptop, ada, monkeypatch):
    monkeypatch.setattr(gateway, "FLUSH_AFTER", 0)
    await Link.objects.aupdate(offline_after=None)
    listening = asyncio.create_task(laptop.closed())  # and answering

    async def is_online():
        return await presence(ada) == ("online", "")

    await auntil(is_online)
    listening.cancel()


async def test_a_status_is_kept_and_told(laptop, ada):
    harnesses = {"codex": {"state": "absent", "version": "", "detail": ""}}
    laptop.tunnel.status({"capabilities": ["claude-code", "new"], "harnesses": harnesses})
    laptop.says()

    async def kept():
        (view,) = await sync_to_async(selectors.list_links)(viewer=ada)
        return view.capabilities == ("claude-code",) and view.harnesses == harnesses

    await auntil(kept)


async def test_of_many_statuses_the_last_is_kept_and_few_are_written(laptop, ada, monkeypatch):
    written = []
    change = services.change_status
    monkeypatch.setattr(
        services, "change_status", lambda **given: written.append(given) or change(**given)
    )
    for count in range(200):
        harnesses = {"codex": {"state": "absent", "version": str(count), "detail": ""}}
        laptop.tunnel.status({"capabilities": [], "harnesses": harnesses})
    laptop.says()

    async def kept():
        (view,) = await sync_to_async(selectors.list_links)(viewer=ada)
        return view.harnesses == harnesses

    await auntil(kept)
    assert len(written) < 100


async def test_the_laptop_may_not_ask_the_server(laptop):
    await laptop.hears()
    stream = laptop.tunnel.open(GET)
    laptop.says()

    events = []
    while not any(isinstance(event, Reset) for event in events):
        events += await laptop.hears()
    assert Reset(stream, "refused") in events


async def test_a_handler_that_breaks_does_not_end_the_connection(
    laptop, handlers, token, hello, ada
):
    async def broken(link_id):
        raise RuntimeError

    newer = Dialled(make_gateway(on_up=broken, on_down=handlers.on_down), token, hello)
    (await newer.accepted()).says()

    assert await laptop.closed() == (4001, "superseded")
    assert await presence(ada) == ("online", "")
    newer.leaves()
    await newer.task


@pytest.mark.parametrize("pulse", [Pulse(check_within=1)])
async def test_a_machine_that_is_slow_is_not_dead(laptop, handlers, ada):
    connection = held_machines.find(handlers.ups[0])
    listening = asyncio.create_task(laptop.closed())  # answers pings, and no request

    assert await connection.check() is None
    assert connection.closed_with is None
    assert await presence(ada) == ("online", "")
    listening.cancel()


@pytest.mark.parametrize("pulse", [Pulse(check_within=0.1)])
async def test_a_machine_that_says_nothing_is_gone(laptop, handlers, ada):
    connection = held_machines.find(handlers.ups[0])

    assert await connection.check() is None

    await connection.released.wait()
    assert await presence(ada) == ("offline", "asleep")


async def test_an_outdated_program_is_shown_at_its_machine(dial, ada):
    laptop = await dial().accepted()
    greeting = b'{"protocol":0,"window":9,"machineId":"m1"}'
    laptop.sends(frames.pack([(frames.HELLO, 0, greeting)]))

    assert await laptop.closed() == (4426, "upgrade_required")
    await laptop.task
    assert await presence(ada) == ("offline", "too_old")


@pytest.mark.parametrize(
    "message",
    [
        pytest.param(b"\xff" * 4, id="shorter than a header"),
        pytest.param(frames.pack([(frames.DATA, 99, b"x")]), id="a stream nobody opened"),
        pytest.param(frames.pack([(frames.CREDIT, 0, b"")]), id="no stream"),
        pytest.param(frames.pack([(frames.STATUS, 0, b"{")]), id="malformed JSON"),
        pytest.param(frames.pack([(frames.STATUS, 0, b"[]")]), id="no object"),
        pytest.param(frames.pack([(frames.STATUS, 0, b"[" * 50_000)]), id="deep JSON"),
        pytest.param(b"\x05\x00\x00\x00\x00" + b"\xff" * 9, id="a wild length"),
        pytest.param(frames.pack([(frames.HELLO, 0, b"{}")]), id="greeting twice"),
    ],
)
async def test_bad_input_closes_the_connection_and_nothing_else(
    laptop, dial, handlers, message, token, hello, caplog
):
    laptop.sends(message)

    code, reason = await laptop.closed()
    assert code in (1002, 1009)
    assert reason
    await laptop.task
    again = await dial().accepted()
    again.says()
    await auntil(lambda: len(handlers.ups) == 2)
    assert token not in caplog.text
    assert hello["secretFingerprint"] not in caplog.text


async def test_the_database_is_asked_about_no_machine_if_none_is_in_doubt(app, monkeypatch):
    monkeypatch.setattr(services, "judge_holds", lambda **_: pytest.fail("asked"))

    await app.judge([])
