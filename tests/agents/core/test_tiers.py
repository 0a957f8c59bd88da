"""The catalog is data, so it is checked like any input."""

import pytest

from agents.core.tiers import override, read_catalog

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


# What an operator lays over it

BASE = {"agents": [KIND | {"install": "npm i"}, KIND | {"kind": "b"}]}


def laid_over(*changes):
    return read_catalog(override(BASE, {"agents": list(changes)}))


def test_an_entry_changes_what_it_names_and_leaves_the_rest():
    changed = laid_over({"kind": "a", "title": "Anna", "tiers": [{"key": "smart", "label": "L"}]})

    kind = changed.find("a")
    assert (kind.title, kind.install) == ("Anna", "npm i")
    assert (kind.tiers[0].label, kind.tiers[0].description) == ("L", "d")
    assert [kind.kind for kind in changed] == ["a", "b"]


def test_a_tier_and_a_model_are_added():
    tier = {**TIER, "key": "fast", "model_id": "a:x"}
    model = {"id": "a:x", "title": "X", "capabilities": ["text", "vision"], "context": 1_000_000}

    kind = laid_over({"kind": "a", "tiers": [tier], "models": [model]}).find("a")

    assert [tier.key for tier in kind.tiers] == ["fast", "smart"]
    assert kind.model_of(kind.tiers[0]).capabilities == ("text", "vision")
    assert kind.model_of(kind.tiers[1]) is None


def test_an_agent_is_hidden_or_added():
    new = KIND | {"kind": "acp:c", "needs": "capability"}

    assert [kind.kind for kind in laid_over({"kind": "a", "hidden": True}, new)] == ["b", "acp:c"]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        pytest.param({"agent": []}, "nothing else", id="a word that is none"),
        pytest.param({"agents": [{"title": "A"}]}, "a kind each", id="no kind"),
        pytest.param({"agents": "a"}, "a kind each", id="no list"),
        pytest.param({"agents": [{"kind": "a", "tiers": [{"key": "huge"}]}]}, "keys", id="tier"),
        pytest.param({"agents": [{"kind": "a", "colour": "red"}]}, "a: .*colour", id="field"),
        pytest.param({"agents": [{"kind": "c", "title": "C"}]}, "c: ", id="half an agent"),
        pytest.param(
            {"agents": [{"kind": "a", "hidden": True}, {"kind": "b", "hidden": True}]},
            "at least one",
            id="none is left",
        ),
    ],
)
def test_refuses_changes(changes, words):
    with pytest.raises(ValueError, match=words):
        read_catalog(override(BASE, changes))


@pytest.mark.parametrize(
    ("fields", "takes"),
    [
        pytest.param({}, ("text",), id="unless it says more: text"),
        pytest.param({"takes": ["text", "image"]}, ("text", "image"), id="it says so"),
        pytest.param({"takes": []}, (), id="nothing"),
        pytest.param(
            {"models": [{"id": "m", "title": "M", "capabilities": ["text", "vision"]}]},
            ("text", "image"),
            id="its model sees",
        ),
        pytest.param(
            {"takes": ["text", "image"], "models": [{"id": "m", "title": "M"}]},
            ("text",),
            id="its model is known not to see",
        ),
    ],
)
def test_which_files_a_tier_takes(fields, takes):
    (kind,) = read_catalog({"agents": [KIND | fields | {"tiers": [TIER | {"model_id": "m"}]}]})

    assert kind.tier("smart").takes == takes


def test_a_sort_of_files_that_nobody_knows_is_refused():
    with pytest.raises(ValueError, match="takes must be"):
        read_catalog({"agents": [KIND | {"takes": ["smell"]}]})
