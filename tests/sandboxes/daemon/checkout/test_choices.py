"""The questions about a working folder: what is offered, what an answer means, free names."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandboxes.daemon.checkout.choices import (
    Choice,
    Folder,
    NoSuchOption,
    about_branch,
    about_history,
    free_name,
    is_blocked,
    read_choice,
    unused,
)

NEW = about_history(Folder("/home/ada/notes", files=3))
IN_USE = about_branch("main", "/home/ada/shop", new="main-2")


def ids_of(question):
    return [option.id for option in question.options]


@pytest.mark.parametrize(
    ("folder", "label", "says"),
    [
        pytest.param(
            Folder("/notes", files=3),
            "Start a repository",
            "Runs git init in /notes, and makes one commit with all 3 files in it",
            id="no repository",
        ),
        pytest.param(
            Folder("/notes/sub", "/notes", files=1),
            "Make the first commit",
            "Makes one commit with the one file in it, except what .gitignore leaves out, in",
            id="no commit",
        ),
        pytest.param(
            Folder("/notes"),
            "Start a repository",
            "Runs git init in /notes, and makes one empty commit.",
            id="an empty folder",
        ),
    ],
)
def test_the_option_says_exactly_what_is_done_to_the_folder(folder, label, says):
    question = about_history(folder)

    assert ids_of(question) == ["start_repository", "work_here", "cancel"]
    assert question.options[0].label == label
    assert says in question.options[0].description


def test_a_folder_that_should_be_no_repository_is_not_offered_one_and_told_why():
    question = about_history(Folder("/home/ada", obstacle="it is your home folder"))

    assert ids_of(question) == ["work_here", "cancel"]
    assert "it is your home folder" in question.text


def test_a_branch_in_use_names_the_folder_and_a_new_branch():
    assert "checked out in /home/ada/shop" in IN_USE.text
    assert ids_of(IN_USE) == ["work_there", "new_branch", "cancel"]
    assert IN_USE.options[1].label == "New branch main-2"


def test_a_folder_that_is_not_allowed_is_not_offered():
    question = about_branch("main", "/secret", new="main-2", obstacle="it is not allowed")

    assert ids_of(question) == ["new_branch", "cancel"]


@pytest.mark.parametrize(
    ("question", "decision", "said", "choice"),
    [
        pytest.param(NEW, "allow", "Start a repository", Choice("start_repository"), id="a label"),
        pytest.param(NEW, "allow", ["Cancel"], Choice("cancel"), id="a list of one"),
        pytest.param(NEW, "deny", "Start a repository", Choice("cancel"), id="skipped"),
        pytest.param(IN_USE, "allow", " mine ", Choice("new_branch", "mine"), id="a name"),
    ],
)
def test_what_an_answer_means(question, decision, said, choice):
    assert question.chosen(decision, {question.text: said}) == choice


@pytest.mark.parametrize(
    ("question", "answers"),
    [
        pytest.param(NEW, {NEW.text: "perhaps"}, id="another text"),
        pytest.param(NEW, {"Another question": "Cancel"}, id="another question"),
        pytest.param(NEW, {NEW.text: []}, id="an empty list"),
        pytest.param(IN_USE, None, id="nothing"),
    ],
)
def test_an_answer_that_is_no_option_is_refused_and_never_taken_for_one(question, answers):
    with pytest.raises(NoSuchOption):
        question.chosen("allow", answers)


@pytest.mark.parametrize(
    ("ids", "choice"),
    [
        pytest.param(["work_there", "work_here"], Choice("work_here"), id="the one that fits"),
        pytest.param(["new_branch"], None, id="of another question"),
        pytest.param(["cancel"], None, id="cancelling needs a person"),
        pytest.param([], None, id="none"),
    ],
)
def test_a_request_may_name_its_choice_in_advance(ids, choice):
    assert NEW.named_in(ids) == choice


def test_the_card_gets_the_options_and_whether_a_text_can_be_typed():
    asked, named = NEW.as_input()["questions"][0], IN_USE.as_input()["questions"][0]

    assert [option["label"] for option in asked["options"]][-1] == "Cancel"
    assert asked["other"] is False
    assert named["other"] == "Another name for the new branch…"


@pytest.mark.parametrize(
    ("wanted", "branches", "name"),
    [
        pytest.param("mesh/a-1", ["main"], "mesh/a-1", id="free"),
        pytest.param("mesh/a-1", ["mesh"], "mesh-a-1", id="a branch named like the prefix"),
        pytest.param("mesh/a-1", ["mesh/a-1/x"], "mesh-a-1", id="a branch below"),
        pytest.param("mesh/a", ["mesh", "mesh-a"], "mesh-a-2", id="the other name is taken"),
        pytest.param("mesh/a", ["mesh", "mesh-a/b"], "mesh-a-2", id="the other name is blocked"),
    ],
)
def test_another_prefix_is_chosen_where_git_can_t_create_the_branch(wanted, branches, name):
    assert free_name(wanted, branches) == name


WORDS = st.lists(st.sampled_from(["mesh", "a", "b", "a-2"]), min_size=1, max_size=3)
BRANCHES = st.lists(WORDS.map("/".join), max_size=8)


@given(WORDS.map("/".join), BRANCHES)
def test_a_free_name_is_never_blocked(wanted, branches):
    assert not is_blocked(free_name(wanted, branches), branches)


@given(WORDS.map("/".join), BRANCHES)
def test_an_unused_name_is_new_and_not_blocked(name, branches):
    # A branch that exists has no branch above or below it.
    others = [each for each in branches if not is_blocked(name, [each])]

    found = unused(name, [name, *others])

    assert found not in (name, *others)
    assert not is_blocked(found, others)


@pytest.mark.parametrize("value", [None, [], {}, {"id": 1}, {"id": "work_here", "text": 2}])
def test_what_is_no_choice_is_read_as_none(value):
    assert read_choice(value) is None
