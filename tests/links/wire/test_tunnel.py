import pytest

from links.wire import frames, version
from links.wire.errors import (
    CreditExceeded,
    FrameTooLarge,
    HelloExpected,
    MalformedFrame,
    OutOfTurn,
    TooManyStreams,
    TunnelError,
    TunnelNotReady,
    UpgradeRequired,
)
from links.wire.frames import CREDIT, DATA, END, HEAD, OPEN, PART, RESET, TEXT
from links.wire.heads import RequestHead
from links.wire.tunnel import (
    MAX_CONTROL,
    MAX_END_PAYLOAD,
    MAX_STREAMS,
    OVERHEAD,
    Ended,
    Hello,
    Pong,
    Received,
    Status,
    Tunnel,
)
from tests.links.wire.tunnels import GET, OK, Pair

HELLO = frames.pack([(frames.HELLO, 0, frames.pack_json({"protocol": 1, "window": 100}))])
SOCKET = RequestHead("GET", "/hmr", [], True)


def frame(kind, stream=0, payload=b""):
    return frames.pack([(kind, stream, payload)])


@pytest.fixture
def pair():
    return Pair()


@pytest.fixture
def greeted():
    """The laptop's end, greeted, with stream 1 opened by the server."""
    tunnel = Tunnel("laptop", {}, window=100)
    tunnel.receive(HELLO)
    tunnel.receive(frame(OPEN, 1, GET.pack()))
    return tunnel


def sent(tunnel):
    """Everything the tunnel has to say, as frames."""
    said = []
    while (message := tunnel.pull()) is not None:
        said += frames.unpack(message)
    return said


# A request and its answer


def test_a_request_and_its_answer(pair):
    stream = pair.server.tunnel.open(GET)
    pair.server.tunnel.send(stream, b"question")
    pair.server.tunnel.end(stream)
    pair.carry()
    pair.laptop.tunnel.answer(stream, OK)
    pair.laptop.tunnel.send(stream, b"answer")
    pair.laptop.tunnel.end(stream)
    pair.settle()

    assert (pair.laptop.opened, pair.laptop.got[stream]) == ([stream], b"question")
    assert (pair.server.answered[stream], pair.server.got[stream]) == (OK, b"answer")
    assert pair.server.ended == pair.laptop.ended == {stream}


def test_what_piles_up_goes_out_as_one_message(pair):
    stream = pair.opened()
    pair.laptop.tunnel.answer(stream, OK)
    pair.laptop.tunnel.send(stream, b"answer")
    pair.laptop.tunnel.end(stream)

    kinds = [kind for kind, _, _ in frames.unpack(pair.laptop.tunnel.pull())]

    assert kinds == [HEAD, DATA, END]
    assert pair.laptop.tunnel.pull() is None


def test_half_close_leaves_the_other_half_open(pair):
    stream = pair.opened()
    pair.laptop.tunnel.answer(stream, OK)
    pair.laptop.tunnel.end(stream)
    pair.carry()

    pair.server.tunnel.send(stream, b"still asking")
    pair.settle()

    assert pair.laptop.got[stream] == b"still asking"


def test_both_ends_may_open(pair):
    here, there = pair.server.tunnel.open(GET), pair.laptop.tunnel.open(GET)
    pair.carry()

    assert (here % 2, there % 2) == (1, 0)
    assert (pair.laptop.opened, pair.server.opened) == ([here], [there])


def test_a_reset_voids_both_directions(pair):
    stream = pair.opened()
    pair.server.tunnel.send(stream, b"x" * 500)
    pair.server.tunnel.reset(stream, "cancelled")
    pair.laptop.tunnel.answer(stream, OK)  # said before the reset was heard
    pair.laptop.tunnel.send(stream, b"late")
    pair.settle()

    assert pair.laptop.resets == {stream: "cancelled"}
    assert pair.server.got[stream] == b""
    assert pair.server.tunnel.queued(stream) == 0


def test_an_answer_that_is_complete_stops_the_rest_of_the_request(pair):
    stream = pair.opened()
    pair.server.tunnel.send(stream, b"x" * 500)  # more than the window
    pair.carry()
    pair.laptop.tunnel.answer(stream, OK)
    pair.laptop.tunnel.send(stream, b"enough")
    pair.laptop.tunnel.end(stream)
    pair.laptop.tunnel.stop(stream)
    pair.settle()

    assert (pair.server.got[stream], pair.server.resets) == (b"enough", {stream: "done"})
    assert pair.server.tunnel.queued(stream) == 0


def test_saying_more_on_a_void_stream_does_nothing(pair):
    stream = pair.opened()
    pair.server.tunnel.reset(stream, "cancelled")
    pair.server.tunnel.send(stream, b"x")
    pair.server.tunnel.end(stream)
    pair.server.tunnel.reset(stream, "again")

    assert [kind for kind, _, _ in sent(pair.server.tunnel)] == [RESET]


# Credit


def test_bytes_wait_for_credit(pair):
    stream = pair.opened()
    pair.server.tunnel.send(stream, b"x" * 250)
    pair.carry()

    assert len(b"".join(pair.laptop.unread[stream])) == 100
    assert pair.server.tunnel.queued(stream) == 150 + OVERHEAD


def test_the_end_waits_behind_its_bytes(pair):
    stream = pair.opened()
    pair.server.tunnel.send(stream, b"x" * 101)
    pair.server.tunnel.end(stream)
    pair.carry()
    assert stream not in pair.laptop.ended

    pair.settle()
    assert stream in pair.laptop.ended
    assert pair.laptop.got[stream] == b"x" * 101


def test_a_stream_without_credit_does_not_hold_up_another(pair):
    stuck, other = pair.opened(), pair.opened()
    pair.server.tunnel.send(stuck, b"x" * 1000)
    pair.carry()
    pair.server.tunnel.send(other, b"through")
    pair.carry()

    assert b"".join(pair.laptop.unread[other]) == b"through"


def test_no_stream_starves_behind_a_big_one():
    pair = Pair(window=8 * 1024 * 1024)
    big, small = pair.opened(), pair.opened()
    pair.server.tunnel.send(big, bytes(8 * 1024 * 1024))
    pair.server.tunnel.send(small, b"token")

    carried = [pair.server.tunnel.pull() for _ in range(2)]

    assert any(b"token" in message for message in carried)
    assert all(len(message) < 3 * frames.PIECE for message in carried)


def test_every_one_of_many_streams_has_its_turn():
    pair = Pair(window=1024 * 1024)
    streams = [pair.opened() for _ in range(50)]
    for stream in streams:
        pair.server.tunnel.send(stream, bytes(1024 * 1024))

    turns = [number for _ in streams for _, number, _ in frames.unpack(pair.server.tunnel.pull())]

    assert set(turns) == set(streams)


def test_a_sender_without_credit_is_found_out(greeted):
    with pytest.raises(CreditExceeded):
        greeted.receive(frame(DATA, 1, b"x" * 101))


def test_empty_websocket_messages_cost_credit(greeted):
    greeted.receive(frame(OPEN, 3, SOCKET.pack()))

    for _ in range(100):
        greeted.receive(frame(TEXT, 3))

    with pytest.raises(CreditExceeded):
        greeted.receive(frame(TEXT, 3))


def test_more_credit_than_any_window_is_refused(greeted):
    with pytest.raises(CreditExceeded):
        greeted.receive(frame(CREDIT, 1, frames.pack_credit(2**32 - 1)))


# WebSocket streams


def test_messages_keep_their_kind_and_borders(pair):
    stream = pair.opened(SOCKET)
    pair.server.tunnel.send(stream, "grüße".encode(), TEXT)
    pair.server.tunnel.send(stream, b"", TEXT)
    pair.server.tunnel.send(stream, b"\0\1", DATA)
    pair.carry()

    received = [event for event in pair.laptop.events if isinstance(event, Received)]
    assert [(event.kind, event.data) for event in received] == [
        (TEXT, "grüße".encode()),
        (TEXT, b""),
        (DATA, b"\0\1"),
    ]


def test_a_long_message_comes_in_parts(pair):
    stream = pair.opened(SOCKET)
    pair.server.tunnel.send(stream, b"x" * 150, TEXT)
    pair.settle()

    received = [event for event in pair.laptop.events if isinstance(event, Received)]
    assert [event.kind for event in received] == [PART, TEXT]
    assert pair.laptop.got[stream] == b"x" * 150


def test_an_empty_piece_of_a_body_is_not_sent(pair):
    stream = pair.opened()
    pair.server.tunnel.send(stream, b"")

    assert sent(pair.server.tunnel) == []


# The connection


def test_the_greeting_is_the_first_frame():
    tunnel = Tunnel("server", {"version": "1"})

    kind, _, payload = next(frames.unpack(tunnel.pull()))

    assert kind == frames.HELLO
    assert frames.unpack_json(payload) == {
        "version": "1",
        "protocol": version.CURRENT,
        "window": 1024 * 1024,
    }


def test_the_greeting_is_told():
    tunnel = Tunnel("server", {})

    assert tunnel.receive(HELLO) == [Hello({"protocol": 1, "window": 100})]


def test_nothing_is_opened_before_the_greeting():
    with pytest.raises(TunnelNotReady):
        Tunnel("server", {}).open(GET)


def test_a_ping_is_answered_with_its_payload(pair):
    pair.server.tunnel.ping(b"7")
    pair.carry()

    assert pair.server.events[-1] == Pong(b"7")


def test_a_status_is_told(pair):
    pair.laptop.tunnel.status({"capabilities": []})
    pair.carry()

    assert pair.server.events[-1] == Status({"capabilities": []})


def test_unknown_kinds_are_skipped(greeted):
    assert greeted.receive(frame(0x77, 99, b"of a later version")) == []


def test_an_unknown_kind_before_the_greeting_is_skipped_too():
    assert Tunnel("server", {}).receive(frame(0x77)) == []


@pytest.mark.parametrize(
    ("message", "error"),
    [
        pytest.param(frame(OPEN, 1, GET.pack()), HelloExpected, id="a stream first"),
        pytest.param(frame(frames.PING), HelloExpected, id="a ping first"),
        pytest.param(frame(frames.HELLO, 0, b"{}"), MalformedFrame, id="no version"),
        pytest.param(frame(frames.HELLO, 0, b'{"protocol":1}'), MalformedFrame, id="no window"),
        pytest.param(
            frame(frames.HELLO, 0, b'{"protocol":0,"window":9}'), UpgradeRequired, id="too old"
        ),
        pytest.param(
            frame(frames.HELLO, 0, b'{"protocol":1,"window":0}'), MalformedFrame, id="no room"
        ),
        pytest.param(
            frame(frames.HELLO, 0, b'{"protocol":1,"window":99999999}'),
            MalformedFrame,
            id="wild window",
        ),
    ],
)
def test_a_bad_beginning(message, error):
    with pytest.raises(error):
        Tunnel("laptop", {}).receive(message)


@pytest.mark.parametrize(
    ("message", "error"),
    [
        pytest.param(HELLO, OutOfTurn, id="greeting twice"),
        pytest.param(frame(OPEN, 1, GET.pack()), OutOfTurn, id="a number twice"),
        pytest.param(frame(OPEN, 2, GET.pack()), OutOfTurn, id="a number of ours"),
        pytest.param(frame(OPEN, 3, b"{"), MalformedFrame, id="no head"),
        pytest.param(frame(DATA, 9, b"x"), OutOfTurn, id="a stream nobody opened"),
        pytest.param(frame(DATA, 4, b"x"), OutOfTurn, id="a stream we did not open"),
        pytest.param(frame(DATA, 0, b"x"), OutOfTurn, id="data without a stream"),
        pytest.param(frame(HEAD, 1, OK.pack()), OutOfTurn, id="an answer to an answer"),
        pytest.param(frame(TEXT, 1, b"x"), OutOfTurn, id="text on an HTTP stream"),
        pytest.param(frame(CREDIT, 1, b"x"), MalformedFrame, id="a credit of one byte"),
        pytest.param(frame(frames.PING, 0, bytes(65)), FrameTooLarge, id="a large ping"),
        pytest.param(frame(frames.STATUS, 0, b"[]"), MalformedFrame, id="a status that is none"),
    ],
)
def test_a_broken_rule(greeted, message, error):
    with pytest.raises(error) as broken:
        greeted.receive(message)
    assert isinstance(broken.value, TunnelError)
    assert broken.value.close_code >= 1002


def test_nothing_follows_the_end(greeted):
    greeted.receive(frame(END, 1))

    with pytest.raises(OutOfTurn):
        greeted.receive(frame(DATA, 1, b"x"))


def test_late_frames_of_a_void_stream_are_passed_over(greeted):
    greeted.reset(1, "cancelled")

    assert greeted.receive(frame(DATA, 1, b"late")) == []
    assert greeted.receive(frame(RESET, 1, b"late")) == []


# Limits


def test_streams_have_a_limit_and_one_that_ends_makes_room(pair):
    streams = [pair.server.tunnel.open(GET) for _ in range(MAX_STREAMS)]
    with pytest.raises(TooManyStreams):
        pair.server.tunnel.open(GET)

    pair.server.tunnel.reset(streams[0], "cancelled")
    assert pair.server.tunnel.open(GET)


def test_a_stream_too_many_is_reset_by_the_receiver(greeted):
    for n in range(1, MAX_STREAMS):
        greeted.receive(frame(OPEN, 2 * n + 1, GET.pack()))
    one_more = 2 * MAX_STREAMS + 1

    assert greeted.receive(frame(OPEN, one_more, GET.pack())) == []
    assert (RESET, one_more, b"too_many_streams") in sent(greeted)


def test_a_farewell_is_looked_at_up_to_its_limit(pair):
    stream = pair.opened()
    pair.server.tunnel.end(stream, bytes(MAX_END_PAYLOAD + 1))
    pair.carry()

    assert pair.laptop.events[-1] == Ended(stream, bytes(MAX_END_PAYLOAD))


def test_a_client_that_never_reads_its_responses_is_cut_off(greeted):
    sent(greeted)
    for _ in range(MAX_CONTROL):
        greeted.receive(frame(frames.PING))

    with pytest.raises(OutOfTurn):
        greeted.receive(frame(frames.PING))


def test_a_client_that_never_reads_the_refusal_of_its_streams_is_cut_off(greeted):
    sent(greeted)
    for number in range(3, 2 * MAX_CONTROL + 3, 2):
        greeted.receive(frame(OPEN, number, GET.pack()))
        greeted.reset(number, "refused")

    with pytest.raises(OutOfTurn):
        greeted.receive(frame(OPEN, 2 * MAX_CONTROL + 3, GET.pack()))


def test_memory_of_ended_streams_is_given_back(pair):
    for _ in range(3 * MAX_STREAMS):
        stream = pair.server.tunnel.open(GET)
        pair.server.tunnel.end(stream)
        pair.carry()
        pair.laptop.tunnel.answer(stream, OK)
        pair.laptop.tunnel.end(stream)
        pair.carry()

    assert not pair.server.tunnel._streams
    assert not pair.laptop.tunnel._streams
