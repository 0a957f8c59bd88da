"""The person's answers to the questions about a working folder, kept in the sandbox's own folder.

So each question is asked once per sandbox, also over a restart. Blocking.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Final

from mesh.lib.errors import AppError
from mesh.plain_files import read_plain, write_plain
from sandboxes.daemon.checkout.choices import Choice, Question, read_choice

NAME: Final = "choices.json"


class ChoiceNeeded(AppError):
    """A person must choose before anything can work in the folder."""

    code = "choice_needed"
    text = "You must first choose how the agent works in this folder."
    hint = "Send a message in the chat: its answer asks you."
    status = 409

    def __init__(self, question: Question) -> None:
        super().__init__()
        self.question = question


class AnswerNotKept(AppError):
    """The answer can't be written, such as on a full disk; the person will be asked again."""

    code = "answer_not_kept"
    text = "Your answer could not be kept."
    hint = "Check whether that machine's disk is full, then send the message again."
    status = 507


def needed(root: Path, question: Question) -> Choice:
    """Return the answer to a question.

    Raises:
        ChoiceNeeded: nobody has answered it in this sandbox.
    """
    choice = load(root).get(question.key)
    if choice is None:
        raise ChoiceNeeded(question)
    return choice


def load(root: Path) -> dict[str, Choice]:
    """Return the answers of the sandbox in ``root``, by the question's key."""
    try:
        kept = json.loads(read_plain(root / NAME))
    except (OSError, ValueError, RecursionError):
        return {}
    found = kept.items() if isinstance(kept, dict) else ()
    return {key: choice for key, value in found if (choice := read_choice(value)) is not None}


def keep(root: Path, key: str, choice: Choice) -> None:
    """Keep an answer.

    Raises:
        AnswerNotKept: it can't be written.
    """
    _save(root, load(root) | {key: choice})


def forget(root: Path, key: str) -> None:
    """Drop an answer that could not be followed: the question is asked again."""
    kept = load(root)
    if kept.pop(key, None) is not None:
        _save(root, kept)


def _save(root: Path, kept: dict[str, Choice]) -> None:
    draft = root / f".{NAME}.new"
    try:
        write_plain(draft, json.dumps({key: asdict(choice) for key, choice in kept.items()}))
        draft.replace(root / NAME)
    except OSError as exc:
        raise AnswerNotKept(f"Your answer could not be kept: {exc.strerror}.") from exc
