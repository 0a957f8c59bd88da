"""What people answer to a tool's questions."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.harness.questions import LONGEST, MOST, parse_answers


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
