"""What a program offers, cut to a size: it may say anything."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.core.offers import MOST_COMMANDS, MOST_MODELS, Offer, is_id, read_offer

ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(["id", "title", "models", "commands", "efforts", "levels"]), inner
        )
    ),
    max_leaves=20,
)
MODEL = {"id": "gpt-a", "title": "A", "current": True, "efforts": ["low", "high"]}


@given(ANYTHING)
def test_anything_is_read_and_kept_as_it_is_written(data):
    offer = read_offer(data)

    assert Offer.from_json(json.loads(json.dumps(offer.as_json()))) == offer


def test_lists_and_texts_are_cut():
    many = [{"id": f"m{n}", "title": "x" * 9_000, "description": "y" * 9_000} for n in range(900)]
    commands = [{"name": f"c{n}", "description": "z" * 9_000} for n in range(900)]

    offer = read_offer({"models": many, "commands": commands})

    assert (len(offer.models), len(offer.commands)) == (MOST_MODELS, MOST_COMMANDS)
    assert len(json.dumps(offer.as_json())) < 150_000


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        pytest.param("claude-opus-5-5[1m]", True, id="a model"),
        pytest.param("$runtime|openai|m(openai)", True, id="an odd one"),
        pytest.param("--yolo", False, id="an argument"),
        pytest.param("a\u202eb", False, id="with a hidden character"),
        pytest.param("a\nb", False, id="of two lines"),
        pytest.param(" a", False, id="that begins with a blank"),
        pytest.param("x" * 201, False, id="too long"),
        pytest.param("", False, id="empty"),
        pytest.param(5, False, id="a number"),
    ],
)
def test_only_a_plain_name_is_handed_back_to_a_program(value, expected):
    assert is_id(value) is expected


def test_hidden_characters_leave_the_texts():
    offer = read_offer({"models": [{"id": "a", "title": "A\u202e\u200bB\x1b[31m"}]})

    assert offer.models[0].title == "AB[31m"


def test_efforts_are_the_models_own_or_the_programs():
    data = {"models": [MODEL, {"id": "gpt-b"}], "efforts": [{"id": "max", "title": "Max"}]}
    offer = read_offer(data)

    efforts = {model: [each.id for each in offer.efforts_of(model)] for model in ("gpt-b", "")}

    assert [each.id for each in offer.efforts_of("gpt-a")] == ["low", "high"]
    assert efforts == {"gpt-b": ["max"], "": ["low", "high"]}  # without one, that which is current


def test_without_a_list_every_model_may_be_there():
    assert Offer().lists("gpt-a")
    assert not read_offer({"models": [MODEL]}).lists("gpt-b")


@pytest.mark.parametrize(
    ("told", "levels"),
    [
        ({"levels": ["plan", "auto"]}, ("auto", "plan")),
        ({"levels": ["auto", "root", 5, None, ["plan"]]}, ("auto",)),
        ({"levels": []}, None),
        ({"levels": ["root", 5]}, None),
        ({"levels": "auto"}, None),
        ({}, None),
    ],
)
def test_the_levels_are_those_that_mesh_has(told, levels):
    assert read_offer(told).levels == levels
