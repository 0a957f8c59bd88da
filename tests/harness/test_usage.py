"""What a turn used, in one form."""

import pytest

from agents.harness.usage import count, dollars, usage_of


def test_the_input_is_all_that_went_in():
    usage = usage_of(plain=1, read=20, write=300, output=4)

    assert (usage["inputTokens"], usage["totalTokens"]) == (321, 325)
    assert usage["inputTokenDetails"] == {
        "noCacheTokens": 1,
        "cacheReadTokens": 20,
        "cacheWriteTokens": 300,
    }
    assert "reasoningTokens" not in usage
    assert "contextWindow" not in usage


@pytest.mark.parametrize("value", [None, True, -1, "7", 1.5, [7]])
def test_what_is_no_number_of_tokens_is_none(value):
    assert count({"n": value}, "n") == 0


@pytest.mark.parametrize(("value", "amount"), [(1, 1.0), (0.5, 0.5), (True, None), ("1", None)])
def test_an_amount(value, amount):
    assert dollars(value) == amount
