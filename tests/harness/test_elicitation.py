"""A server's form as questions, and the answers in its terms."""

import contextlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.harness.elicitation import Form, address_input
from agents.harness.questions import parse_answers

LEAVES = st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=9)
KEYS = st.text(max_size=9) | st.sampled_from(["type", "title", "enum", "items", "required"])
JSON = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=8,
)

SCHEMA = {
    "properties": {
        "colour": {"type": "string", "title": "Colour", "enum": ["red", "blue"]},
        "coats": {"type": "integer", "description": "how many", "minimum": 1, "maximum": 3},
        "name": {"type": "string", "maxLength": 5},
        "dry": {"type": "boolean"},
        "rooms": {
            "type": "array",
            "items": {"anyOf": [{"const": "k", "title": "Kitchen"}, {"const": "h"}]},
        },
        "by": {"type": "string", "default": "Ada"},
    },
    "required": ["colour"],
}
ANSWERS = {
    "How shall it look?\nColour": "blue",
    "coats: how many": "2",
    "name": "wall",
    "dry": "No",
    "rooms": ["Kitchen", "h"],
}


def form(**properties):
    return Form("", {"properties": properties, "required": list(properties)})


def test_each_field_is_a_question_and_the_first_says_what_for():
    questions = Form("How shall it look?", SCHEMA).as_input()["questions"]

    assert [each["question"] for each in questions] == [*ANSWERS, "by"]
    assert [each["multiSelect"] for each in questions] == [False] * 4 + [True, False]
    labels = [[option["label"] for option in each["options"]] for each in questions]
    assert labels == [["red", "blue"], [], [], ["Yes", "No"], ["Kitchen", "h"], []]
    assert [each.get("other") for each in questions] == [False, None, None, False, False, None]


def test_the_answers_have_the_types_of_the_form():
    assert Form("How shall it look?", SCHEMA).content(ANSWERS) == {
        "colour": "blue",
        "coats": 2,
        "name": "wall",
        "dry": False,
        "rooms": ["k", "h"],
        "by": "Ada",
    }


@pytest.mark.parametrize(
    ("schema", "answer", "complaint"),
    [
        pytest.param({"type": "integer"}, "two", "a whole number", id="no number"),
        pytest.param({"type": "number"}, "nan", "outside", id="not a number"),
        pytest.param({"type": "integer", "maximum": 3}, "4", "outside", id="too many"),
        pytest.param({"type": "string", "minLength": 3}, "ab", "too short", id="too short"),
        pytest.param({"type": "string", "enum": ["a"]}, "b", "choose one", id="no choice"),
        pytest.param({"type": "string"}, "", "is needed", id="missing"),
    ],
)
def test_an_answer_that_does_not_fit_is_refused_with_a_sentence(schema, answer, complaint):
    with pytest.raises(ValueError, match=complaint):
        form(size=schema).content({"May it go on?\nsize": answer})


def test_an_answer_counts_under_the_complaint_that_stood_before_its_question():
    asking = form(size={"type": "integer"})
    [question] = asking.as_input("size must be a whole number.")["questions"]

    assert asking.content({question["question"]: "2"}) == {"size": 2}


def test_what_is_secret_is_asked_as_a_secret():
    [question] = form(key={"type": "string", "format": "password"}).as_input()["questions"]

    assert question["secret"] is True


@pytest.mark.parametrize(("answer", "content"), [("Yes", {}), ("No", None)])
def test_a_form_without_fields_asks_for_a_yes(answer, content):
    asking = Form("Delete it?", {})
    [question] = asking.as_input()["questions"]

    assert question["question"] == "Delete it?"
    assert asking.content({"Delete it?": answer}) == content


def test_an_address_is_shown_in_words():
    [question] = address_input("Sign in.", "https://shop.example/x")["questions"]

    assert question["question"] == "Sign in.\nhttps://shop.example/x"


@given(st.text(), st.dictionaries(st.text(), JSON, max_size=4), st.text(), JSON)
def test_any_schema_gives_a_card_that_can_be_answered(message, schema, answer, properties):
    asking = Form(message, schema | {"properties": properties})
    questions = asking.as_input()["questions"]
    answers = parse_answers({each["question"]: answer[:100] for each in questions})

    assert json.dumps(questions)
    assert len({each["question"] for each in questions}) == len(questions)
    with contextlib.suppress(ValueError):
        asking.content(answers)
