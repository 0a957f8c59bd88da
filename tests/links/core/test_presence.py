from datetime import UTC, datetime, timedelta

import pytest

from links.core.presence import Presence, presence_of

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)


@pytest.mark.parametrize(
    ("offline_after", "seen_at", "cause", "expected"),
    [
        pytest.param(None, None, "", Presence("unknown"), id="never seen"),
        pytest.param(NOON + SECOND, NOON, "", Presence("online"), id="deadline ahead"),
        pytest.param(NOON, NOON - SECOND, "", Presence("offline", "network"), id="deadline now"),
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
