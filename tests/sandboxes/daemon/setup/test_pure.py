"""The setup's pure parts: its queue, a server's announcements, the restarts."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandboxes.daemon.setup.announced_ports import PortSniffer
from sandboxes.daemon.setup.restarts import FIRST_WAIT, MOST, STABLE_AFTER, Restarts
from sandboxes.daemon.setup.steps import ORDER, Queue, steps_from

steps = st.sampled_from(ORDER)


@given(asked=st.lists(st.one_of(steps, st.none()), max_size=30))
def test_nothing_that_was_asked_for_is_left_undone(asked):
    """``None`` means that the running step has ended. All requested steps run, in order."""
    queue, owed = Queue(), set()
    for step in asked:
        if step is not None:
            queue = queue.add(step)
            owed.add(step)
        queue = queue.begin() if step is not None else Queue(None, queue.waiting).begin()
        if queue.running:
            owed -= set(steps_from(queue.running))
        if queue.waiting:
            assert owed <= set(steps_from(queue.waiting))
        assert queue.pending <= 1
    assert not owed or queue.waiting


def test_a_higher_step_takes_in_a_lower():
    queue = Queue(running="start")

    assert queue.add("install").add("clone").waiting == "clone"
    assert queue.add("clone").add("start").waiting == "clone"
    assert queue.add("start").add("start").waiting == "start"


@pytest.mark.parametrize(
    ("said", "port"),
    [
        ("  ➜  Local:   http://localhost:5173/\n", 5173),
        (
            "  \x1b[32m➜\x1b[39m  \x1b[1mLocal\x1b[22m:   http://localhost:\x1b[1m5173\x1b[22m/\n",
            5173,
        ),
        ("   - Local:        http://localhost:3001\n", 3001),
        ("Starting development server at http://127.0.0.1:8000/\n", 8000),
        ("INFO:     Uvicorn running on http://127.0.0.1:8010 (Press CTRL+C)\n", 8010),
        (" * Running on http://127.0.0.1:5000\n", 5000),
        ("Server listening on port 4321\n", 4321),
        ("Listening on http://[::]:8787/\n", 8787),
        ("Serving HTTP on 127.0.0.1 port 8001 (http://127.0.0.1:8001/)\n", 8001),
        ("connected to postgres://localhost:5432/app\n", None),
        ("Network: http://192.168.1.7:5173/\n", None),
        ("listening on port 99999\n", None),
    ],
)
def test_the_announced_port(said, port):
    sniffer = PortSniffer()
    sniffer.feed(said)

    assert sniffer.port == port


@given(cuts=st.lists(st.integers(0, 45), max_size=6))
def test_an_announcement_in_pieces(cuts):
    text = "ready\n  Local:   http://localhost:5173/\nbye\n"
    edges = [0, *sorted(min(cut, len(text)) for cut in cuts), len(text)]
    sniffer = PortSniffer()
    for start, end in pairwise(edges):
        sniffer.feed(text[start:end])

    assert sniffer.port == 5173


def test_later_announcements_are_told_and_the_first_counts():
    sniffer = PortSniffer()

    assert sniffer.feed("Local: http://localhost:5173/\n") == [5173]
    assert sniffer.feed("Local: http://localhost:5174/\nLocal: http://localhost:5175/\n") == [
        5174,
        5175,
    ]
    assert sniffer.feed("done\n") == []
    assert sniffer.port == 5173


@given(ran=st.lists(st.floats(0, 10 * STABLE_AFTER), max_size=20))
def test_a_server_that_keeps_crashing_is_given_up(ran):
    """At most ``MOST`` restarts in a row, each after a longer wait than the one before."""
    restarts, waits = Restarts(), []
    for ran_for in ran:
        restarts, wait = restarts.after_crash(ran_for=ran_for)
        waits = [*([] if ran_for >= STABLE_AFTER else waits), wait]
        expected = [FIRST_WAIT * 2**n for n in range(MOST)] + [None] * len(waits)
        assert waits == expected[: len(waits)]
