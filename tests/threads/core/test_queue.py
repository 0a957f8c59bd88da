"""The order of queued messages after any move."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from threads.core.queue import moved


@pytest.mark.parametrize(
    ("item", "before", "order"),
    [
        pytest.param("c", "a", "cabd", id="up"),
        pytest.param("a", "d", "bcad", id="down"),
        pytest.param("a", None, "bcda", id="last"),
        pytest.param("b", "b", "abcd", id="before itself"),
        pytest.param("b", "c", "abcd", id="where it is"),
    ],
)
def test_one_moves_and_the_others_keep_their_order(item, before, order):
    assert "".join(moved("abcd", item, before=before)) == order


@given(st.lists(st.integers(), unique=True, min_size=1), st.data())
def test_nothing_is_lost(order, data):
    item = data.draw(st.sampled_from(order))
    before = data.draw(st.sampled_from([None, *order]))

    result = moved(order, item, before=before)

    assert sorted(result) == sorted(order)
    assert [x for x in result if x != item] == [x for x in order if x != item]
