"""Whatever is split, granted and interleaved how: bytes in are bytes out, in order."""

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, rule

from links.wire import frames
from links.wire.errors import TunnelError
from links.wire.heads import RequestHead
from links.wire.tunnel import Tunnel
from tests.examples import up_to
from tests.links.wire.tunnels import GET, OK, Pair

HELLO = (frames.HELLO, 0, frames.pack_json({"protocol": 1, "window": 50}))


class Traffic(RuleBasedStateMachine):
    """Streams that are written, carried and read in any order, one message at a time."""

    streams = Bundle("streams")

    @initialize(window=st.sampled_from([1, 2, 7, 100, 100_000]))
    def start(self, window):
        self.pair = Pair(window=window)
        self.said = {"server": {}, "laptop": {}}
        self.ended = {"server": set(), "laptop": set()}
        self.answered = set()

    @rule(target=streams, websocket=st.booleans())
    def open(self, websocket):
        stream = self.pair.server.tunnel.open(RequestHead("GET", "/", [], websocket))
        self.said["server"][stream] = self.said["laptop"][stream] = b""
        return stream

    @rule(stream=streams, data=st.binary(min_size=1, max_size=300))
    def ask(self, stream, data):
        if stream not in self.ended["server"]:
            self.pair.server.tunnel.send(stream, data)
            self.said["server"][stream] += data

    @rule(stream=streams, data=st.binary(min_size=1, max_size=300))
    def answer(self, stream, data):
        if stream not in self.pair.laptop.opened or stream in self.ended["laptop"]:
            return
        if stream not in self.answered:
            self.pair.laptop.tunnel.answer(stream, OK)
            self.answered.add(stream)
        self.pair.laptop.tunnel.send(stream, data)
        self.said["laptop"][stream] += data

    @rule(stream=streams)
    def end_the_question(self, stream):
        if stream not in self.ended["server"]:
            self.pair.server.tunnel.end(stream)
            self.ended["server"].add(stream)

    @rule(stream=streams)
    def end_the_answer(self, stream):
        if stream in self.answered and stream not in self.ended["laptop"]:
            self.pair.laptop.tunnel.end(stream)
            self.ended["laptop"].add(stream)

    @rule(down=st.booleans())
    def carry_one_message(self, down):
        ends = (self.pair.server, self.pair.laptop)
        self.pair.step(*(ends if down else reversed(ends)))

    @rule(stream=streams, at_server=st.booleans())
    def read_one_chunk(self, stream, at_server):
        (self.pair.server if at_server else self.pair.laptop).read(stream)

    def teardown(self):
        if not hasattr(self, "pair"):
            return
        self.pair.settle()
        for stream, said in self.said["server"].items():
            assert self.pair.laptop.got[stream] == said
            assert self.pair.server.got[stream] == self.said["laptop"][stream]
        assert self.pair.laptop.ended == self.ended["server"]
        assert self.pair.server.ended == self.ended["laptop"]


TestTraffic = Traffic.TestCase
TestTraffic.settings = settings(max_examples=up_to(60), stateful_step_count=40, deadline=None)

KINDS = st.sampled_from([*frames.KNOWN, 0x77])
PAYLOADS = st.binary(max_size=60) | st.sampled_from([GET.pack(), OK.pack(), b"\0\0\0\x05"])


@given(st.lists(st.tuples(KINDS, st.integers(0, 6), PAYLOADS), max_size=30))
def test_no_frames_crash_it(listed):
    tunnel = Tunnel("laptop", {}, window=50)
    try:
        for frame in [HELLO, *listed]:
            tunnel.receive(frames.pack([frame]))
            tunnel.pull()
    except TunnelError:
        pass  # said in words, with a close code


@given(st.binary(max_size=300))
def test_no_bytes_crash_it(message):
    tunnel = Tunnel("server", {})
    tunnel.receive(frames.pack([HELLO]))
    try:
        tunnel.receive(message)
    except TunnelError:
        pass


@given(st.lists(st.integers(1, 400_000), min_size=2, max_size=12))
def test_every_stream_speaks_before_one_speaks_twice(sizes):
    pair = Pair(window=1024 * 1024)
    streams = [pair.opened() for _ in sizes]
    for stream, size in zip(streams, sizes, strict=True):
        pair.server.tunnel.send(stream, bytes(size))

    seen = []
    while (message := pair.server.tunnel.pull()) is not None:
        seen += [number for _, number, _ in frames.unpack(message)]

    first_round = seen[: len(streams)]
    assert first_round == streams
