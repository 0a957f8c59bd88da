"""What people answer to a tool's questions."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.harness.questions import (
    ANSWERED,
    LONGEST,
    MOST,
    has_secrets,
    parse_answers,
    redact,
    secrets_in,
    without_secrets,
)


@pytest.mark.parametrize("value", [{}, {"Which?": "this"}, {"Which?": ["a", "b"], "Why?": ""}])
def test_texts_by_question(value):
    assert parse_answers(value) == value


def test_nothing_is_no_answers():
    assert parse_answers(None) == {}


@pytest.mark.parametrize(
    "value",
    [
        pytest.param(["this"], id="no object"),
        pytest.param({"Which?": 1}, id="a number"),
        pytest.param({"Which?": {"a": "b"}}, id="an object"),
        pytest.param({"Which?": ["a", None]}, id="nothing among texts"),
        pytest.param({"Which?": "x" * (LONGEST + 1)}, id="too long"),
        pytest.param({str(n): "" for n in range(MOST + 1)}, id="too many questions"),
        pytest.param({"Which?": ["a"] * (MOST + 1)}, id="too many answers"),
    ],
)
def test_anything_else_is_refused(value):
    with pytest.raises(ValueError, match="answer"):
        parse_answers(value)


@given(
    st.recursive(st.none() | st.text() | st.integers(), st.lists)
    | st.dictionaries(st.text(), st.text() | st.lists(st.text()) | st.integers())
)
def test_what_passes_is_texts_alone(value):
    try:
        answers = parse_answers(value)
    except ValueError:
        return
    for question, given_to_it in answers.items():
        assert isinstance(question, str)
        assert all(isinstance(text, str) for text in given_to_it)


SECRET = {"questions": [{"question": "Key?", "secret": True}, {"question": "Which?"}]}


def test_of_a_secret_answer_only_a_marker_is_kept():
    given = {"Key?": "hunter2", "Which?": "this"}

    assert has_secrets(SECRET)
    assert without_secrets(SECRET, given) == {"Key?": ANSWERED, "Which?": "this"}
    assert secrets_in(SECRET, given) == ("hunter2",)


def test_an_answer_to_no_known_question_is_secret_beside_one_that_is():
    assert without_secrets(SECRET, {"key?": "hunter2"}) == {"key?": ANSWERED}


@pytest.mark.parametrize("asked", [None, [], {}, {"questions": 1}, {"questions": [None]}])
def test_what_asks_for_no_secret_keeps_its_answers(asked):
    assert not has_secrets(asked)
    assert without_secrets(asked, {"Which?": "this"}) == {"Which?": "this"}
    assert secrets_in(asked, {"Which?": "this"}) == ()


def test_a_secret_is_replaced_in_any_text():
    value = {"a": ["say hunter2 twice: hunter2"], "b": '{"it": "a\\"b42"}', "n": 1}

    assert redact(value, ["hunter2", 'a"b42']) == {
        "a": [f"say {ANSWERED} twice: {ANSWERED}"],
        "b": f'{{"it": "{ANSWERED}"}}',
        "n": 1,
    }


def test_a_short_secret_is_replaced_only_where_it_belongs():
    assert redact("on", ["on"]) == "on"
    assert redact("on", ["on"], is_own=True) == ANSWERED
