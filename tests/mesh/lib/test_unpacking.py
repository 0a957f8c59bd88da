"""Unpacking in small pieces, and measuring events however they are cut."""

from __future__ import annotations

import gzip
import re
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mesh.lib.unpacking import PIECE, BadPacking, EventMeter, Unpacker, packing_of


def cut(data, sizes):
    for size in sizes:
        yield data[:size]
        data = data[size:]
    yield data


SIZES = st.lists(st.integers(0, 40), max_size=40)


@given(st.binary(max_size=2_000), SIZES, st.sampled_from(["gzip", "deflate"]))
def test_what_was_packed_comes_out_however_it_is_cut(data, sizes, packing):
    packed = gzip.compress(data) if packing == "gzip" else zlib.compress(data)
    unpacker = Unpacker(packing)

    assert b"".join(p for piece in cut(packed, sizes) for p in unpacker.feed(piece)) == data


@given(st.binary(max_size=500), st.sampled_from(["", "gzip", "deflate"]))
def test_any_bytes_are_unpacked_or_refused(data, packing):
    try:
        assert all(len(piece) <= PIECE for piece in Unpacker(packing).feed(data))
    except BadPacking:
        assert packing


@pytest.mark.parametrize("packing", ["", "gzip"])
def test_no_piece_is_large(packing):
    data = bytes(3 * PIECE + 1)
    sizes = [len(p) for p in Unpacker(packing).feed(gzip.compress(data) if packing else data)]

    assert (sum(sizes), max(sizes)) == (len(data), PIECE)


@pytest.mark.parametrize(
    ("values", "packing"),
    [
        ([], ""),
        ([""], ""),
        (["identity"], ""),
        ([" GZip "], "gzip"),
        (["x-gzip"], "gzip"),
        (["identity", "deflate"], "deflate"),
    ],
)
def test_the_one_packing(values, packing):
    assert packing_of(values) == packing


@pytest.mark.parametrize("values", [["gzip,gzip"], ["gzip", "deflate"], ["br"], ["gzip;q=1"]])
def test_other_packings_are_refused(values):
    with pytest.raises(BadPacking):
        packing_of(values)


@given(st.lists(st.sampled_from([b"a", b"\n", b"\r", b"\r\n", b"bc"]), max_size=60))
def test_the_event_that_is_received_is_measured(parts):
    data = b"".join(parts)
    meter = EventMeter()

    sizes = [meter.feed(data[at : at + 1])[0] for at in range(len(data))]

    ends = [found.end() for found in re.finditer(rb"\n\r?\n|\r\r", data)]
    begins = [max([end for end in ends if end <= at], default=0) for at in range(len(data))]
    assert sizes == [at + 1 - begin for at, begin in enumerate(begins)]


@given(st.lists(st.sampled_from([b"a", b"\n", b"\r\n", b"bc"]), max_size=60), SIZES)
def test_an_event_is_never_measured_smaller_than_what_is_left_of_it(parts, sizes):
    data = b"".join(parts)
    meter = EventMeter()
    for piece in cut(data, sizes):
        meter.feed(piece)

    ends = [found.end() for found in re.finditer(rb"\n\r?\n", data)]
    assert meter.bytes == len(data) - max(ends, default=0)
    assert meter.pieces >= data[max(ends, default=0) :].count(b"\n")
