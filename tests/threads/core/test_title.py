"""The first title of a thread."""

from __future__ import annotations

import pytest

from threads.core.title import LIMIT, text_of, title_from, title_of


@pytest.mark.parametrize(
    ("text", "title"),
    [
        pytest.param("Fix the login", "Fix the login", id="short"),
        pytest.param("\n\n  # Plan\nfirst this", "Plan", id="a heading"),
        pytest.param("- `run` *this*", "run this", id="marks"),
        pytest.param("a  b\tc", "a b c", id="spaces"),
        pytest.param("\u2067שלום\u2069, \u202eabc", "שלום, abc", id="what turns text around"),
        pytest.param("", "", id="nothing"),
        pytest.param("  \n\n---\n", "", id="nothing but marks"),
        pytest.param("word " * 40, " ".join(["word"] * 11) + "…", id="long"),
        pytest.param("x" * 200, "x" * (LIMIT - 1) + "…", id="one long word"),
    ],
)
def test_title_of(text, title):
    assert title_of(text) == title
    assert len(title_of(text)) <= LIMIT


def test_text_of_takes_only_text():
    assert text_of([{"type": "text", "text": "a"}, {"type": "file"}, {"type": "text"}]) == "a\n"


@pytest.mark.parametrize(
    ("parts", "title"),
    [
        pytest.param(
            [{"type": "file", "filename": "a.png"}, {"type": "text", "text": "Why?"}],
            "Why?",
            id="words first",
        ),
        pytest.param([{"type": "file", "filename": "a.png"}], "a.png", id="a file alone"),
        pytest.param([], "", id="nothing"),
    ],
)
def test_a_title_comes_from_words_or_else_from_a_file(parts, title):
    assert title_from(parts) == title
