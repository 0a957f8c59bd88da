"""What a page says to a terminal: anything at all must be understood or refused."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandboxes.daemon.terminals.wire import Ack, BadFrame, Size, output, parse

ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
)
FIELDS = st.dictionaries(st.sampled_from(["type", "at", "rows", "columns"]), ANYTHING)


@given(st.text() | ANYTHING.map(json.dumps) | FIELDS.map(json.dumps))
def test_anything_is_understood_or_refused(text):
    try:
        said = parse(text)
    except BadFrame:
        return
    assert isinstance(said, Ack | Size)


@given(st.integers(1, 500), st.integers(2, 1000))
def test_a_size(rows, columns):
    said = json.dumps({"type": "size", "rows": rows, "columns": columns})
    assert parse(said) == Size(rows, columns)


@given(st.integers(0, 2**63 - 1))
def test_an_ack(at):
    assert parse(json.dumps({"type": "ack", "at": at})) == Ack(at)


@pytest.mark.parametrize(
    "said",
    [
        '{"type": "ack"}',
        '{"type": "ack", "at": -1}',
        '{"type": "ack", "at": true}',
        '{"type": "size", "rows": 0, "columns": 80}',
        '{"type": "size", "rows": 24, "columns": 1001}',
        '{"type": "title", "at": 1}',
        "[" * 100_000,
        "",
    ],
)
def test_what_is_refused(said):
    with pytest.raises(BadFrame):
        parse(said)


@given(st.integers(0, 2**63), st.binary())
def test_output_says_where_it_begins(start, data):
    message = output(start, data)
    assert (int.from_bytes(message[:8], "big"), message[8:]) == (start, data)
