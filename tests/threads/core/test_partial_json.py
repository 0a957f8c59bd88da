"""Incomplete JSON."""

from __future__ import annotations

import json
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from threads.core.partial_json import parse

values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
)


@given(values)
def test_complete_json_is_parsed_as_json(value):
    assert parse(json.dumps(value)) == value


@given(st.dictionaries(st.text(), values), st.data())
def test_every_prefix_of_an_object_is_an_object(value, data):
    text = json.dumps(value)
    cut = data.draw(st.integers(1, len(text)))

    assert isinstance(parse(text[:cut]), dict)


@given(st.text())
def test_a_string_grows(value):
    text = json.dumps(value, ensure_ascii=False)
    seen = [parse(text[:cut]) for cut in range(1, len(text) + 1)]

    assert seen[-1] == value
    assert all(later.startswith(earlier) for earlier, later in pairwise(seen))


@given(st.text('{}[]":,0123456789eE+-.truefalsn\\ u', max_size=40))
def test_no_text_raises(text):
    parse(text)


@pytest.mark.parametrize("text", ["[" * 100_000, '{"a":' * 100_000])
def test_depth_is_refused_not_crashed_on(text):
    assert parse(text) is None
