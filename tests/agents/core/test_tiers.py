"""The catalog is data, so it is checked like any input."""

import pytest

from agents.core.tiers import read_catalog

TIER = {"key": "smart", "label": "S", "description": "d", "icon": "zap"}
KIND = {"kind": "a", "title": "A", "needs": "machine", "tiers": [TIER]}


@pytest.mark.parametrize(
    ("tiers", "wanted", "found"),
    [
        pytest.param(["fast", "smart"], "fast", "fast", id="there"),
        pytest.param(["fast", "smart"], "thinking", "smart", id="not there: smart"),
        pytest.param(["fast", "smart"], "__proto__", "smart", id="no tier at all: smart"),
        pytest.param(["thinking"], "smart", "thinking", id="no smart: the first"),
    ],
)
def test_a_tier_is_always_found(tiers, wanted, found):
    kind = KIND | {"tiers": [TIER | {"key": key} for key in tiers]}

    (read,) = read_catalog({"agents": [kind]})

    assert read.tier(wanted).key == found


@pytest.mark.parametrize(
    ("data", "words"),
    [
        pytest.param({}, "at least one", id="empty"),
        pytest.param({"agents": [KIND, KIND]}, "each kind once", id="twice"),
        pytest.param({"agents": [KIND | {"needs": "luck"}]}, "needs must be", id="needs luck"),
        pytest.param({"agents": [KIND | {"tiers": []}]}, "tiers must be", id="no tier"),
        pytest.param({"agents": [KIND | {"tiers": [TIER, TIER]}]}, "each once", id="tier twice"),
        pytest.param(
            {"agents": [KIND | {"tiers": [TIER | {"key": "huge"}]}]}, "huge", id="unknown tier"
        ),
    ],
)
def test_refuses(data, words):
    with pytest.raises(ValueError, match=words):
        read_catalog(data)


def test_local_is_what_needs_no_provider_key():
    kinds = [KIND | {"kind": needs, "needs": needs} for needs in ("key", "capability", "machine")]

    assert [kind.is_local for kind in read_catalog({"agents": kinds})] == [False, True, True]
