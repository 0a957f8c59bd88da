"""The person's answers in the sandbox's folder: kept over a restart, asked again once forgotten."""

from __future__ import annotations

import pytest

from sandboxes.daemon.checkout.choices import Choice, Folder, about_history
from sandboxes.daemon.checkout.kept_choices import NAME, ChoiceNeeded, forget, keep, load, needed

QUESTION = about_history(Folder("/notes"))


def test_an_answer_is_asked_for_once(tmp_path):
    with pytest.raises(ChoiceNeeded) as asked:
        needed(tmp_path, QUESTION)
    keep(tmp_path, QUESTION.key, Choice("work_here"))

    assert asked.value.question == QUESTION
    assert needed(tmp_path, QUESTION) == Choice("work_here")


def test_a_forgotten_answer_is_asked_for_again_and_the_others_stay(tmp_path):
    keep(tmp_path, QUESTION.key, Choice("work_here"))
    keep(tmp_path, "branch_in_use:main", Choice("new_branch", "mine"))

    forget(tmp_path, QUESTION.key)
    forget(tmp_path, "never kept")

    assert load(tmp_path) == {"branch_in_use:main": Choice("new_branch", "mine")}


@pytest.mark.parametrize("text", ["", "[]", "{", '{"no_history": "work_here"}', "[" * 100_000])
def test_a_broken_file_counts_as_no_answer(tmp_path, text):
    (tmp_path / NAME).write_text(text)

    assert load(tmp_path) == {}
