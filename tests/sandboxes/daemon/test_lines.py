from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandboxes.daemon.lines import LineSplitter, LineTooLong


def cut(data, places):
    """Return ``data`` in pieces that end at ``places``."""
    edges = [0, *sorted(place % (len(data) + 1) for place in places), len(data)]
    return [data[a:b] for a, b in pairwise(edges)]


@given(
    lines=st.lists(st.binary().map(lambda b: b.replace(b"\n", b"")), max_size=8),
    places=st.lists(st.integers(0, 1000), max_size=12),
)
def test_however_it_is_cut_the_lines_are_the_same(lines, places):
    splitter = LineSplitter()
    data = b"".join(line + b"\n" for line in lines)

    got = [line for piece in cut(data, places) for line in splitter.feed(piece)]

    assert got == [line.removesuffix(b"\r") for line in lines if line not in (b"", b"\r")]
    assert splitter.rest() == b""


def test_what_has_no_line_feed_is_the_rest():
    splitter = LineSplitter()

    assert splitter.feed(b"a\nb") == [b"a"]
    assert splitter.rest() == b"b"
    assert splitter.rest() == b""


@pytest.mark.parametrize(
    "pieces",
    [
        pytest.param([b"12345678901"], id="without an end"),
        pytest.param([b"12345", b"678901"], id="in two pieces"),
        pytest.param([b"12345678901\n"], id="with an end"),
        pytest.param([b"ok\n12345678901\n"], id="behind a good one"),
    ],
)
def test_a_line_over_the_limit(pieces):
    splitter = LineSplitter(limit=10)

    with pytest.raises(LineTooLong):
        [splitter.feed(piece) for piece in pieces]


def test_a_line_at_the_limit():
    assert LineSplitter(limit=10).feed(b"1234567890\n1234567890\n") == [b"1234567890"] * 2
