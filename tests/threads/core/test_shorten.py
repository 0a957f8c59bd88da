"""A page gets the head of a long output, and the URL of the rest."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from threads.core.shorten import HEAD, LONG, _size, shortened

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(max_size=5), inner),
)


def call(output):
    return {"type": "dynamic-tool", "toolCallId": "t", "output": output}


def short(output):
    return shortened(call(output), url=lambda call_id: f"/part?{call_id}")


def test_a_long_text_is_cut_and_says_where_it_is():
    part = short("x" * 50_000)

    assert part["output"] == "x" * HEAD
    assert part["outputCut"] == {"size": 50_000, "url": "/part?t"}


@pytest.mark.parametrize(
    "output",
    [
        pytest.param("x" * LONG, id="a text that is just not long"),
        pytest.param({"stdout": "ok", "exitCode": 0}, id="an object"),
        pytest.param(None, id="nothing"),
    ],
)
def test_a_short_output_is_kept(output):
    part = call(output)

    assert shortened(part, url=str) is part


def test_a_part_that_is_not_a_call_is_unchanged():
    part = {"type": "text", "text": "x" * 50_000}

    assert shortened(part, url=str) is part


def test_flags_after_the_long_text_are_kept():
    part = short({"stdout": "x" * 50_000, "stderr": "y", "exitCode": 1, "isError": True})

    assert part["output"] == {"stdout": "x" * (HEAD - 6), "exitCode": 1, "isError": True}


@given(VALUES)
def test_a_head_is_never_longer_than_it_may_be(value):
    given = [value, "x" * LONG, value]

    head = short(given)["output"]

    assert _size(head) <= HEAD + _size(value)
    assert isinstance(head, list)
