"""Providers and keys, as far as a look at the text decides."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.core.providers import (
    SENTENCE_LIMIT,
    Offer,
    clean_sentence,
    is_malformed,
    read_providers,
    refill,
)
from agents.keys.providers import load_providers


@pytest.mark.parametrize(
    ("key", "owner"),
    [
        ("sk-ant-api03-x", "anthropic"),
        ("sk-or-v1-x", "openrouter"),
        ("sk-proj-x", "openai"),
        ("AIzaSyX", "google"),
    ],
)
def test_a_key_tells_whose_it_is(key, owner):
    assert load_providers().owner_of(key).kind == owner


def test_an_unknown_beginning_tells_nothing():
    assert load_providers().owner_of("0123456789") is None


@pytest.mark.parametrize("key", ["a b", "a\nb", "a\tb", "kéy", "a\x00", "“quoted”"])
def test_is_malformed(key):
    assert is_malformed(key)


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("Incorrect API key provided: sk-abc**********xyz.", "Incorrect API key provided: …"),
        ("Your key s3cret-s3cret is bad", "Your key … is bad"),
        ("two\n  lines\x07 and a bell", "two lines and a bell"),
        (None, ""),
        ({"a": 1}, ""),
    ],
)
def test_a_provider_s_words_are_cleaned(said, shown):
    assert clean_sentence(said, secret="s3cret-s3cret") == shown


@given(st.text(max_size=1000), st.text(min_size=8, max_size=40))
def test_an_error_becomes_one_short_line_without_the_key(said, secret):
    shown = clean_sentence(said + secret + said, secret=secret)

    assert len(shown) <= SENTENCE_LIMIT
    assert "\n" not in shown


@pytest.mark.parametrize(
    "entry",
    [
        {"speaks": "morse", "address": "https://x"},
        {"speaks": "chat"},
        {"speaks": "chat", "address": "https://x", "tiers": {"huge": "m"}},
    ],
)
def test_a_provider_that_would_not_work_is_refused(entry):
    with pytest.raises(ValueError, match="k:"):
        read_providers({"providers": [{"kind": "k", "title": "K", "words": "", **entry}]})


def offer(key, **tiers):
    return Offer(key, tiers, ())


def test_empty_slots_are_filled_from_the_first_keys():
    offers = [offer("a", fast="a1"), offer("b", fast="b1", smart="b2"), offer("c", thinking="c3")]

    assert refill((), offers) == {
        "fast": ("a", "a1"),
        "smart": ("b", "b2"),
        "thinking": ("c", "c3"),
    }


def test_a_filled_slot_stays_and_a_fourth_key_is_not_asked():
    keys = [offer(name) for name in "abc"]

    assert refill(["fast"], [*keys, offer("d", smart="d2")]) == {}


@pytest.mark.parametrize(
    ("proposed", "listed", "model"),
    [
        pytest.param({"fast": "m"}, [], "m", id="no list known"),
        pytest.param({"fast": "m"}, ["l", "m"], "m", id="the list has it"),
        pytest.param({"fast": "m"}, ["l", "m-20260101"], "m", id="the list has it with its date"),
        pytest.param({"fast": "m"}, ["l", "m-mini"], "l", id="the list lacks it"),
        pytest.param({}, ["l", "k"], "l", id="nothing proposed"),
        pytest.param({}, [], None, id="nothing at all"),
    ],
)
def test_what_a_key_offers_for_a_tier(proposed, listed, model):
    assert Offer("k", proposed, listed).model_for("fast") == model
