"""Streams as asyncio sees them: two peers joined in memory, no socket."""

import asyncio

import pytest

from links.peer import HIGH_WATER, JOINED, MAX_CHUNKS, MAX_MESSAGES, Peer, StreamLost
from links.wire.frames import DATA
from links.wire.heads import AnswerHead, RequestHead
from links.wire.tunnel import OVERHEAD, WINDOW, Tunnel

GET = RequestHead("GET", "/", [])
SOCKET = RequestHead("GET", "/", [], websocket=True)
OK = AnswerHead(200, [])


class Side:
    """Handlers of one end that keep what they were told."""

    def __init__(self, side):
        self.opened, self.statuses, self.pongs, self.hellos = [], [], [], []
        self.peer = Peer(Tunnel(side, {"from": side}), self, lambda: None)

    def on_hello(self, info):
        self.hellos.append(info["from"])

    def on_status(self, info):
        self.statuses.append(info)

    def on_pong(self, payload):
        self.pongs.append(payload)

    def on_open(self, stream):
        self.opened.append(stream)


class Joined:
    """Carries messages whenever one side wakes, as a socket without delay would."""

    def __init__(self):
        self.server, self.laptop = Side("server"), Side("laptop")
        self.server.peer.wake = self.laptop.peer.wake = self.soon
        self.due = False
        self.soon()

    def soon(self):
        if not self.due:
            self.due = True
            asyncio.get_running_loop().call_soon(self.carry)

    def carry(self):
        self.due = False
        for speaker, listener in ((self.server, self.laptop), (self.laptop, self.server)):
            while (message := speaker.peer.next_message()) is not None:
                listener.peer.feed(message)

    async def opened(self, head=GET):
        """Return a stream as the server and as the laptop sees it."""
        await asyncio.sleep(0)
        stream = self.server.peer.open(head)
        self.carry()
        return stream, self.laptop.opened[-1]


@pytest.fixture
async def joined():
    joined = Joined()
    await asyncio.sleep(0)
    return joined


async def test_a_question_and_its_answer(joined):
    here, there = await joined.opened()
    await here.write(b"question")
    here.end()
    assert (await there.read(), await there.read()) == (b"question", b"")

    there.answer(OK)
    await there.write(b"answer")
    there.end()
    there.finish()

    assert await here.head() == OK
    assert (await here.read(), await here.read()) == (b"answer", b"")


async def test_small_chunks_that_piled_up_come_as_one_and_large_ones_do_not(joined):
    here, there = await joined.opened()
    for data in (b"a", b"b", bytes(JOINED), b"c"):
        await here.write(data)
    joined.carry()

    assert [await there.read() for _ in range(3)] == [b"ab", bytes(JOINED), b"c"]


async def test_a_body_of_single_bytes_does_not_pile_up(joined):
    here, there = await joined.opened()
    for n in range(20_000):
        await here.write(b"%d" % (n % 10))
        joined.carry()

    assert len(there._chunks) <= 2 * MAX_CHUNKS
    size = 0
    while size < 20_000:
        size += len(await there.read())
    assert size == 20_000


async def test_what_was_joined_is_granted_again(joined):
    here, there = await joined.opened()
    for _ in range(3):
        writing = asyncio.create_task(write_bytes(here, WINDOW, size=100))
        size = 0
        while size < WINDOW:
            size += len(await there.read())
        await writing


async def write_bytes(stream, count, *, size):
    for at in range(0, count, size):
        await stream.write(bytes(min(size, count - at)))


async def test_an_empty_chunk_is_not_the_end_of_a_body(joined):
    here, there = await joined.opened()
    here._peer.tunnel._send_frame(here.id, DATA, b"")
    await here.write(b"more")
    joined.carry()

    assert await there.read() == b"more"


async def test_a_socket_whose_messages_pile_up_is_given_up(joined):
    here, there = await joined.opened(SOCKET)
    for _ in range(MAX_MESSAGES):
        await here.write(b"x")
    joined.carry()

    with pytest.raises(StreamLost, match="too_many_messages"):
        await there.read_message()
    joined.carry()
    assert here.is_lost


async def test_a_writer_of_empty_messages_waits_for_a_reader_too(joined):
    here, _ = await joined.opened(SOCKET)
    here._peer.tunnel._streams[here.id].credit = 0

    async def write_much():
        for _ in range(100_000):
            await here.write(b"")

    writing = asyncio.create_task(write_much())
    for _ in range(50):
        await asyncio.sleep(0)
    waiting = len(here._peer.tunnel._streams[here.id].waiting)
    writing.cancel()

    assert waiting * OVERHEAD <= 2 * HIGH_WATER


async def test_a_writer_waits_for_a_slow_reader(joined):
    here, there = await joined.opened()
    block = bytes(HIGH_WATER + 1)

    async def write_much():
        for _ in range(8):
            await here.write(block)

    writing = asyncio.create_task(write_much())
    for _ in range(50):
        await asyncio.sleep(0)
    assert not writing.done()
    assert here._peer.tunnel.queued(here.id) <= 2 * len(block)

    size = 0
    while size < 8 * len(block):
        size += len(await there.read())
    await writing


async def test_a_reset_reaches_a_reader_that_waits(joined):
    here, there = await joined.opened()
    reading = asyncio.create_task(there.read())
    await asyncio.sleep(0)

    here.close("cancelled")

    with pytest.raises(StreamLost, match="cancelled"):
        await reading


async def test_a_reset_reaches_a_writer_that_waits(joined):
    here, there = await joined.opened()
    writing = asyncio.create_task(here.write(bytes(WINDOW + HIGH_WATER + 1)))
    await asyncio.sleep(0)

    there.close("failed")

    with pytest.raises(StreamLost, match="failed"):
        await writing


async def test_a_reset_is_reported_once_to_its_requester(joined):
    here, there = await joined.opened()
    told = []
    there.on_lost = lambda: told.append(1)

    here.close("cancelled")
    here.close("cancelled")
    await asyncio.sleep(0)

    assert told == [1]


async def test_what_came_before_a_reset_is_still_read(joined):
    here, there = await joined.opened()
    await here.write(b"early")
    joined.carry()
    here.close("cancelled")
    joined.carry()

    assert await there.read() == b"early"
    with pytest.raises(StreamLost):
        await there.read()


async def test_an_early_answer_is_read_whole_though_the_question_is_refused(joined):
    here, there = await joined.opened()
    asking = asyncio.create_task(here.write(bytes(2 * WINDOW)))
    await asyncio.sleep(0)
    there.answer(OK)
    await there.write(b"too large")
    there.end()
    there.finish()

    assert (await here.head(), await here.read(), await here.read()) == (OK, b"too large", b"")
    with pytest.raises(StreamLost, match="done"):
        await asking


async def test_the_connection_being_gone_ends_every_stream(joined):
    here, there = await joined.opened()
    waiting = asyncio.create_task(here.head())
    await asyncio.sleep(0)

    joined.server.peer.lose("disconnected")

    with pytest.raises(StreamLost, match="disconnected"):
        await waiting
    with pytest.raises(StreamLost):
        await here.write(b"x")
    with pytest.raises(StreamLost):
        joined.server.peer.open(GET)


async def test_finished_streams_leave_nothing_behind(joined):
    for _ in range(5):
        here, there = await joined.opened()
        here.end()
        there.answer(OK)
        there.end()
        there.finish()
        joined.carry()
        await here.head()
        here.close("done")
        joined.carry()

    for side in (joined.server, joined.laptop):
        assert not side.peer._streams
        assert not side.peer.tunnel._streams


async def test_greeting_status_and_pong_are_told(joined):
    joined.laptop.peer.tunnel.status({"capabilities": []})
    joined.server.peer.tunnel.ping(b"1")
    joined.carry()
    joined.carry()

    assert (joined.server.hellos, joined.laptop.hellos) == (["laptop"], ["server"])
    assert joined.server.statuses == [{"capabilities": []}]
    assert joined.server.pongs == [b"1"]
