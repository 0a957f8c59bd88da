"""What a person is asked about a working folder before an agent gets their message. Pure.

The question is shown as a card (``agents/harness/questions.py``). A request may name its choices
in advance, by the ids below; the answer is kept for the sandbox (``kept_choices.py``).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from agents.harness.questions import (
    CANCEL,
    NEW_BRANCH,
    START_REPOSITORY,
    WORK_HERE,
    WORK_THERE,
    Answers,
)
from mesh.lib.errors import AppError
from mesh.lib.quoted_names import quote

NO_HISTORY: Final = "no_history"
BRANCH_IN_USE: Final = "branch_in_use"


class NoSuchOption(AppError):
    """The person's answer is none of the options."""

    code = "no_such_option"
    text = "The answer is none of the options."
    hint = "Send the message again, and choose one of them."


@dataclass(frozen=True, slots=True)
class Option:
    """One answer: ``id`` for programs, the rest for people."""

    id: str
    label: str
    description: str


@dataclass(frozen=True, slots=True)
class Choice:
    """An answer: the option's id, and the text that was typed instead of its own, if any."""

    id: str
    text: str = ""


@dataclass(frozen=True, slots=True)
class Question:
    """A question with options. ``key`` names what it is about: its answer is kept under it.

    A text that is typed counts as the option ``typed``; without it, none can be typed. Names in its
    texts are quoted: the texts come back with the answer, and the server stores only UTF-8.
    """

    key: str
    header: str
    text: str
    options: tuple[Option, ...]
    typed: str = ""
    placeholder: str = ""

    def as_input(self) -> dict[str, Any]:
        """Return the input of the tool call that asks it. The same question has the same input."""
        options = [{"label": each.label, "description": each.description} for each in self.options]
        asked = {"question": self.text, "header": self.header, "options": options}
        other = self.placeholder if self.typed else False
        return {"questions": [{**asked, "multiSelect": False, "other": other}]}

    def chosen(self, decision: str, answers: Answers | None) -> Choice:
        """Return the person's answer; one that was skipped or denied is ``CANCEL``.

        Raises:
            NoSuchOption: it is none of the options.
        """
        if decision != "allow":
            return Choice(CANCEL)
        said = (answers or {}).get(self.text, "")
        label = (said[-1] if said else "") if isinstance(said, list) else said
        for option in self.options:
            if option.label == label:
                return Choice(option.id)
        if self.typed and label.strip():
            return Choice(self.typed, label.strip())
        raise NoSuchOption(f"“{label[:100]}” is none of the options.")

    def named_in(self, ids: Collection[str]) -> Choice | None:
        """Return the option among ``ids``, which a request named in advance; ``None`` if none."""
        found = (option.id for option in self.options if option.id in ids)
        return next((Choice(each) for each in found if each != CANCEL), None)


_CANCEL: Final = Option(CANCEL, "Cancel", "Nothing is changed, and the agent does not start.")
_WORK_HERE: Final = Option(
    WORK_HERE,
    "Work here without history",
    "The agent changes your files directly. Mesh can’t show, undo or publish its changes, and"
    " never moves your files away.",
)


@dataclass(frozen=True, slots=True)
class Folder:
    """A folder without a commit. ``top`` is its repository's; empty if it is in none.

    ``files`` is the number of files that the first commit would contain, ``nested`` that of
    repositories inside, which it can't contain, and ``obstacle`` is why there should be none:
    ``""`` if it can be made.
    """

    path: str
    top: str = ""
    files: int = 0
    nested: int = 0
    obstacle: str = ""


def about_history(folder: Folder) -> Question:
    """Return the question of a folder whose changes can't be told apart or undone."""
    what = f"The repository in {quote(folder.top)} has no commit yet"
    if not folder.top:
        what = f"The folder {quote(folder.path)} has no history: it is not in a repository"
    text = f"{what}, so the agent’s changes can’t be told apart from your files, or undone."
    if folder.obstacle:
        text += f" Mesh can’t make the first commit for you: {folder.obstacle}."
    options = [] if folder.obstacle else [_start(folder)]
    return Question(
        NO_HISTORY, "No history", f"{text} How should it work?", (*options, _WORK_HERE, _CANCEL)
    )


def _start(folder: Folder) -> Option:
    files = "the one file" if folder.files == 1 else f"all {folder.files:,} files"
    commit = f"one commit with {files} in it, except what .gitignore leaves out"
    if not folder.files:
        commit = "one empty commit"
    then = "The agent then works in a copy, on a branch of its own."
    if folder.nested:
        inside = "The repository inside is left out, so the agent won’t have it."
        if folder.nested > 1:
            inside = (
                f"The {folder.nested:,} repositories inside are left out, so the agent won’t have"
                " them."
            )
        then = f"{inside} {then}"
    if folder.top:
        top = quote(folder.top)
        return Option(
            START_REPOSITORY, "Make the first commit", f"Makes {commit}, in {top}. {then}"
        )
    does = f"Runs git init in {quote(folder.path)}, and makes {commit}."
    return Option(START_REPOSITORY, "Start a repository", f"{does} {then}")


def about_branch(branch: str, place: str, *, new: str, obstacle: str = "") -> Question:
    """Return the question of a wanted branch that is checked out in ``place``.

    ``new`` is the name that a new branch would get; ``obstacle`` is why the agent may not work in
    ``place``, ``""`` if it may.
    """
    key = f"{BRANCH_IN_USE}:{branch}"
    branch, place = quote(branch), quote(place)
    text = f"The branch {branch} is checked out in {place}, and git allows that only once."
    there = Option(
        WORK_THERE,
        "Work in that folder",
        f"The agent works directly in {place}. What is changed there already does not count as its"
        " work.",
    )
    if obstacle:
        text += f" The agent can’t work there: {obstacle}."
    fresh = Option(
        NEW_BRANCH,
        f"New branch {quote(new)}",
        f"Starts where {branch} is now, in a folder of its own.",
    )
    return Question(
        key,
        "Branch in use",
        f"{text} How should the agent work?",
        (*([] if obstacle else [there]), fresh, _CANCEL),
        typed=NEW_BRANCH,
        placeholder="Another name for the new branch…",
    )


def free_name(wanted: str, branches: Collection[str]) -> str:
    """Return ``wanted``, or a name like it that no existing branch keeps git from creating.

    Git keeps a branch as a file, so ``mesh`` and ``mesh/x`` exclude each other.
    """
    if not is_blocked(wanted, branches):
        return wanted
    flat = wanted.replace("/", "-")
    numbered = (f"{flat}-{number}" for number in range(2, len(branches) + 3))
    names = (flat, *numbered)
    return next(name for name in names if not (name in branches or is_blocked(name, branches)))


def is_blocked(name: str, branches: Collection[str]) -> bool:
    """Return whether a branch of another name keeps git from creating ``name``."""
    return any(name.startswith(f"{each}/") or each.startswith(f"{name}/") for each in branches)


def unused(name: str, branches: Sequence[str]) -> str:
    """Return a name for a new branch from ``name``: ``name-2``, or the next that is free."""
    numbered = (f"{name}-{number}" for number in range(2, len(branches) + 3))
    return next(each for each in numbered if not (each in branches or is_blocked(each, branches)))


def read_choice(value: Any) -> Choice | None:
    """Return the choice in parsed JSON; ``None`` if it is none."""
    if not isinstance(value, Mapping):
        return None
    found, text = value.get("id"), value.get("text", "")
    return Choice(found, text) if isinstance(found, str) and isinstance(text, str) else None
