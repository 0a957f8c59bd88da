from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandboxes.core.sse import Event, EventTooLong, SseReader

# What an event's data may hold: JSON has no line feed in it, but may hold everything else.
DATA = st.text(st.characters(exclude_characters="\n", exclude_categories=["Cs"]), min_size=1)


def cut(data, places):
    edges = [0, *sorted(place % (len(data) + 1) for place in places), len(data)]
    return [data[a:b] for a, b in pairwise(edges)]


@given(
    events=st.lists(st.tuples(st.integers(1, 10**9), st.lists(DATA, min_size=1, max_size=3))),
    comments=st.booleans(),
    places=st.lists(st.integers(0, 5000), max_size=30),
)
def test_however_it_is_cut_the_events_are_the_same(events, comments, places):
    text = "".join(
        (": ping\n\n" if comments else "")
        + f"id: {n}\n"
        + "".join(f"data: {d}\n" for d in data)
        + "\n"
        for n, data in events
    )
    reader = SseReader()

    got = [event for piece in cut(text.encode(), places) for event in reader.feed(piece)]

    assert got == [Event(str(n), "\n".join(data)) for n, data in events]
    assert reader.close() == []


@pytest.mark.parametrize(
    ("stream", "events"),
    [
        pytest.param(b": only a comment\n\n", [], id="comment"),
        pytest.param(b"\n\n\n\n", [], id="blank lines"),
        pytest.param(b"id: 1\n\n", [], id="no data"),
        pytest.param(b"data: a\n\n", [Event("", "a")], id="no id"),
        pytest.param(b"data:a\n\n", [], id="no space behind the colon"),
        pytest.param(b"event: x\nretry: 1\nid: 2\ndata: a\n\n", [Event("2", "a")], id="fields"),
        pytest.param(b"data: \xff\n\n", [Event("", "\ufffd")], id="no UTF-8"),
        pytest.param("data: a\u2028b\n\n".encode(), [Event("", "a\u2028b")], id="U+2028"),
        pytest.param(b": c\ndata: a\n\n", [Event("", "a")], id="comment inside"),
    ],
)
def test_forms(stream, events):
    assert SseReader().feed(stream) == events


def test_what_is_left_may_be_an_event():
    reader = SseReader()

    assert reader.feed(b"id: 1\ndata: a") == []
    assert reader.close() == [Event("1", "a")]
    assert reader.close() == []


@pytest.mark.parametrize(
    "pieces", [[b"data: 123456"], [b"data:", b" 12345"], [b"data: 123456\n\n"]]
)
def test_an_event_over_the_limit(pieces):
    reader = SseReader(limit=10)

    with pytest.raises(EventTooLong):
        [reader.feed(piece) for piece in pieces]
