"""What a turn has used, by the growth of the thread's total."""

from __future__ import annotations

from agents.harness.codex.usage import Meter


def told(total, last):
    return {
        "total": {"inputTokens": total, "totalTokens": total},
        "last": {"inputTokens": last, "totalTokens": last},
    }


def test_a_usage_that_is_told_again_counts_once():
    meter = Meter()
    meter.add(told(250_000, 250_000))
    meter.add(told(250_000, 250_000))

    meter.add(told(250_142, 142))

    assert meter.usage()["inputTokens"] == 250_142
    assert meter.usage()["contextUsed"] == 142


def test_a_turn_that_begins_with_the_last_ones_usage_counts_only_its_own():
    meter = Meter()
    meter.add(told(100, 100))
    meter.begin()
    meter.add(told(100, 100))

    meter.add(told(130, 30))

    assert meter.usage()["inputTokens"] == 30


def test_a_resumed_thread_grows_from_the_total_of_its_earlier_turns():
    meter = Meter()
    meter.note(told(1_000, 400))

    meter.add(told(1_050, 50))

    assert meter.usage()["inputTokens"] == 50


def test_a_total_that_shrinks_is_never_negative():
    meter = Meter()
    meter.add(told(100, 100))

    meter.add(told(20, 20))

    assert meter.usage()["inputTokens"] == 100
