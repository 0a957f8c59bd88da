"""The server's end of a tunnel, without its socket: when a machine counts as gone."""

import pytest

from links.connection import SILENT, Connection, Pulse
from links.wire.tunnel import Tunnel


@pytest.fixture
def laptop():
    return Tunnel("laptop", {})


@pytest.fixture
async def connection(laptop):
    async def send(message):
        raise AssertionError("nobody writes here")

    made = Connection(
        send, on_received=notes.append, on_status_change=lambda *_: None, pulse=Pulse(every=3600)
    )
    notes.clear()
    made.take({"bytes": laptop.pull()})
    yield made
    made.lose("over")


notes = []


async def test_a_machine_that_answers_no_ping_is_gone(connection):
    for _ in range(3):
        connection.watch()

    assert connection.closed_with == (SILENT, "silent")


async def test_a_pong_may_stand_behind_what_moves_slowly(connection, laptop):
    for _ in range(10):
        connection.watch()
        laptop.status({"harnesses": {}})  # any word, such as a credit
        connection.take({"bytes": laptop.pull()})

    assert connection.closed_with is None
    assert notes  # its deadline moves, too


async def test_a_machine_that_speaks_much_is_noted_once_in_a_while(connection, laptop):
    for _ in range(100):
        laptop.ping(b"")
        connection.take({"bytes": laptop.pull()})

    assert len(notes) <= 2
