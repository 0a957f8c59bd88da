"""Usage and cost of a turn, not of the program's life."""

from agents.harness.claude_code.usage import Meter

STEP = {
    "input_tokens": 100,
    "cache_read_input_tokens": 20,
    "cache_creation_input_tokens": 10,
    "output_tokens": 30,
}


def test_in_the_ai_sdks_words():
    usage = Meter().usage({"usage": STEP, "modelUsage": {"opus": {"contextWindow": 200_000}}})

    assert usage == {
        "inputTokens": 130,
        "outputTokens": 30,
        "totalTokens": 160,
        "cachedInputTokens": 20,
        "inputTokenDetails": {
            "noCacheTokens": 100,
            "cacheReadTokens": 20,
            "cacheWriteTokens": 10,
        },
        "contextWindow": 200_000,
    }


def test_thinking_is_counted_where_it_is_reported():
    usage = Meter().usage({"usage": STEP | {"output_tokens_details": {"thinking_tokens": 7}}})

    assert usage["reasoningTokens"] == 7


def test_an_interrupted_turn_counts_its_steps():
    meter = Meter()
    meter.step(STEP)
    meter.step(STEP)

    usage = meter.usage({"usage": {"input_tokens": 0, "output_tokens": 0}})

    assert (usage["inputTokens"], usage["outputTokens"]) == (260, 60)


def test_the_next_turn_starts_from_nothing():
    meter = Meter()
    meter.step(STEP)
    meter.begin()

    assert meter.usage({})["totalTokens"] == 0


def test_cost_is_the_growth_of_the_running_total():
    meter = Meter()

    assert [meter.cost({"total_cost_usd": total}) for total in (0.25, 0.75, 0.75)] == [
        0.25,
        0.5,
        0,
    ]


def test_cost_is_what_the_program_says_was_added():
    result = {
        "total_cost_usd": 7,
        "model_usage_since_last_result": {"opus": {"costUSD": 0.5}, "haiku": {"costUSD": 0.25}},
    }

    assert Meter(is_resumed=True).cost(result) == 0.75


def test_the_first_cost_of_a_resumed_conversation_is_not_its_whole_past():
    meter = Meter(is_resumed=True)

    assert [meter.cost({"total_cost_usd": total}) for total in (5, 5.5)] == [None, 0.5]


def test_a_cost_nobody_knows_is_not_zero():
    assert Meter().cost({}) is None
    assert Meter().cost({"total_cost_usd": "much"}) is None


def test_odd_counts_count_nothing():
    usage = Meter().usage({"usage": {"input_tokens": -5, "output_tokens": "many"}})

    assert usage["totalTokens"] == 0
