"""SIGTERM of a server process: it ends, whatever is open, and nobody misses anything."""

from __future__ import annotations

import socket
from contextlib import ExitStack

from tests.cluster.page import Page
from tests.faults.reader import assert_whole
from tests.waiting import until

PIECES = 300
RESTARTING = 1012  # the code of a WebSocket's close: come back
BY_SIGTERM = -15


def idle_reader(two, thread):
    """Return a connection that has asked for a stream at A, and reads nothing of it."""
    connection = socket.create_connection(("127.0.0.1", two.port("A")))
    path = f"/api/home/decopilot/threads/{thread}/stream"
    lines = [f"GET {path} HTTP/1.1", "Host: 127.0.0.1", f"Authorization: Bearer {two.token}"]
    connection.sendall("\r\n".join([*lines, "Last-Event-ID: 0", "", ""]).encode())
    return connection


def test_readers_of_every_kind_are_sent_away_at_once_and_read_on_at_the_other(chat):
    with ExitStack() as opened:
        readers = [opened.enter_context(chat.reader("A", "B")) for _ in range(5)]
        where = {"session": chat.two.session, "thread": chat.id}
        pages = [opened.enter_context(Page(chat.two.urls["A"], **where)) for _ in range(3)]
        opened.enter_context(idle_reader(chat.two, chat.id))
        chat.say(f"pieces {PIECES} 10")
        for one in (*readers, *pages):
            until(lambda one=one: len(one.seen) > 20, what="some pieces")

        assert chat.two.cluster.stop("A") == BY_SIGTERM

        for page in pages:
            until(lambda page=page: page.code, what="its close")
            page = opened.enter_context(
                Page(chat.two.urls["B"], **where, after=page.seen[-1][0], before=page.seen)
            )
            until(lambda page=page: page.is_done, what="the end")
            assert_whole(page.seen, chat.laptop.said)
        for reader in readers:
            until(lambda reader=reader: reader.is_done, what="the end")
            assert_whole(reader.seen, chat.laptop.said)
    assert {page.code for page in pages} == {RESTARTING}


def test_a_rolling_restart_in_the_middle_of_a_run(chat):
    """Twice around: B holds the laptop's socket first, and both are read at."""
    turns = ("B", "A", "B", "A")
    chat.laptop.allow(0)
    with chat.reader("A", "B") as one, chat.reader("B", "A") as other:
        chat.say(f"pieces {PIECES} 5")
        for turn, name in enumerate(turns, 1):
            due = turn * PIECES // len(turns)
            chat.laptop.allow(due)
            until(lambda due=due: one.deltas >= due - 40, what=f"restart {turn} amid the pieces")
            assert chat.two.cluster.stop(name) == BY_SIGTERM
            chat.two.start(name)
        for reader in (one, other):
            until(lambda reader=reader: reader.is_done, what="the end")

    for reader in (one, other):
        assert_whole(reader.seen, chat.laptop.said)
    assert len(chat.laptop.prompts) == 1
    assert chat.get()["status"] == "completed"
