from datetime import UTC, datetime, timedelta

import pytest

from links.core.presence import (
    SENTENCES,
    Fact,
    Presence,
    cause_of,
    presence_of,
    silence_was,
)

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)


@pytest.mark.parametrize(
    ("offline_after", "seen_at", "cause", "expected"),
    [
        pytest.param(None, None, "", Presence("unknown"), id="never seen"),
        pytest.param(NOON + SECOND, NOON, "", Presence("online"), id="deadline ahead"),
        pytest.param(NOON, NOON - SECOND, "", Presence("offline", "asleep"), id="deadline now"),
        pytest.param(None, NOON, "stopped", Presence("offline", "stopped"), id="stopped"),
        pytest.param(None, None, "stopped", Presence("offline", "stopped"), id="stopped unseen"),
        pytest.param(
            NOON - SECOND,
            NOON,
            "server_restarted",
            Presence("offline", "server_restarted"),
            id="cause told before",
        ),
    ],
)
def test_presence(offline_after, seen_at, cause, expected):
    found = presence_of(offline_after=offline_after, seen_at=seen_at, cause=cause, now=NOON)

    assert found == expected


@pytest.mark.parametrize(
    ("fact", "cause"),
    [
        (Fact.GOODBYE, "stopped"),
        (Fact.SILENCE, "asleep"),
        (Fact.BREAK, "network"),
        (Fact.SIGN_IN_ENDED, "signed_out"),
        (Fact.OUTDATED, "too_old"),
        (Fact.SERVER_STOPS, "server_restarted"),
        (Fact.HOLDER_GONE, "server_restarted"),
        (Fact.CLOSED_HERE, "disconnected"),
    ],
)
def test_each_fact_has_its_cause(fact, cause):
    assert cause_of(fact) == cause


def test_no_fact_and_no_cause_is_left_out():
    assert {cause_of(fact) for fact in Fact} | {"network"} == set(SENTENCES)


@pytest.mark.parametrize("last", ["asleep", "network"])
def test_a_silence_is_taken_for_what_the_last_one_was(last):
    assert cause_of(Fact.SILENCE, last_silence=last) == last
    assert cause_of(Fact.GOODBYE, last_silence=last) == "stopped"


@pytest.mark.parametrize(
    ("slept", "was"), [(True, "asleep"), (False, "network"), (None, ""), ("yes", ""), (1, "")]
)
def test_what_a_machine_says_of_its_absence(slept, was):
    assert silence_was(slept) == was
