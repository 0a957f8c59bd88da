"""The questions besides permissions: a choice, a plan to approve, and where an agent may work.

Each comes as a tool call that asks for approval, under the same name from every harness, so
that pages can show it as a card of its own.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any, Final

# Its input: {"questions": [{"question", "header", "options": [{"label", "description"}],
# "multiSelect", "secret", "other"}]}. The answers come with the decision to allow it. The answer
# to a question with ``secret`` is typed into a password field, and not kept once the agent has it.
# Where ``other`` is false, only an option may be chosen.
QUESTION = "AskUserQuestion"
# Its input: {"plan": Markdown}. If allowed, the agent executes the plan; the reason of a denial
# says what to change in it.
PLAN_READY = "ExitPlanMode"

# Mesh's own question, before the agent gets the message: how it may work in the folder. Its input
# is that of QUESTION; ``other`` is the hint for a free text, or false where there is none.
WORKING_FOLDER = "WorkingFolder"
# Its answers, by which a request may also choose in advance.
START_REPOSITORY: Final = "start_repository"
WORK_HERE: Final = "work_here"
WORK_THERE: Final = "work_there"
NEW_BRANCH: Final = "new_branch"
CANCEL: Final = "cancel"
FOLDER_CHOICES: Final = (START_REPOSITORY, WORK_HERE, WORK_THERE, NEW_BRANCH)

# Tools that ask for more than yes or no → the card that pages show (approvals.js, asks.js).
CARDS: Final = {PLAN_READY: "plan", QUESTION: "question", WORKING_FOLDER: "folder"}

# The text of a question → the chosen label, free text, or a list of these.
Answers = Mapping[str, str | list[str]]

# Stands for a secret answer wherever it would be kept.
ANSWERED: Final = "(answered)"
_SHORT = 4  # characters: a shorter secret is part of ordinary words

MOST = 20  # questions in one call, and answers to one question
LONGEST = 4_000  # characters


def parse_answers(value: object) -> dict[str, str | list[str]]:
    """Return the answers in ``value``, parsed JSON; empty for ``None``.

    Raises:
        ValueError: it is not an object of strings and lists of strings, or it is too large.
    """
    if value is None:
        return {}
    if not isinstance(value, dict) or len(value) > MOST:
        raise ValueError(f"answers must be an object of at most {MOST} questions")
    for question, answer in value.items():
        texts: list[Any] = answer if isinstance(answer, list) else [answer]
        if len(texts) > MOST or not all(_is_fit(text) for text in (question, *texts)):
            raise ValueError(
                f"each answer must be a text, or a list of texts, of at most {LONGEST} characters"
            )
    return value


def _is_fit(text: object) -> bool:
    return isinstance(text, str) and len(text) <= LONGEST


def has_secrets(asked: object) -> bool:
    """Return whether a card with the input ``asked`` asks for something secret."""
    return any(question.get("secret") for question in _questions(asked))


def without_secrets(asked: object, answers: Answers) -> dict[str, str | list[str]]:
    """Return ``answers`` to ``asked`` with ``ANSWERED`` in the place of what is secret.

    If one question is secret, so is each answer that belongs to no question known as public.
    """
    if not has_secrets(asked):
        return dict(answers)
    secret = {str(each.get("question", "")) for each in _questions(asked) if each.get("secret")}
    public = {str(each.get("question", "")) for each in _questions(asked)} - secret
    return {text: answer if text in public else ANSWERED for text, answer in answers.items()}


def secrets_in(asked: object, answers: Answers) -> tuple[str, ...]:
    """Return the secret texts among the answers to ``asked``, the longest first."""
    kept = without_secrets(asked, answers)
    found: set[str] = set()
    for question, answer in answers.items():
        if answer != kept[question]:
            found.update([answer] if isinstance(answer, str) else answer)
    return tuple(sorted(found - {""}, key=len, reverse=True))


def redact(value: Any, secrets: Iterable[str], *, is_own: bool = False) -> Any:
    """Return ``value``, parsed JSON, with ``ANSWERED`` for each of ``secrets`` in its texts.

    A very short secret is only replaced with ``is_own``: in what belongs to its own question.
    """
    if isinstance(value, str):
        for secret in secrets:
            if is_own or len(secret) >= _SHORT:
                escaped = json.dumps(secret, ensure_ascii=False)[1:-1]
                value = value.replace(secret, ANSWERED).replace(escaped, ANSWERED)
        return value
    if isinstance(value, list):
        return [redact(each, secrets, is_own=is_own) for each in value]
    if isinstance(value, dict):
        return {key: redact(each, secrets, is_own=is_own) for key, each in value.items()}
    return value


def _questions(asked: object) -> list[Mapping[str, Any]]:
    found = asked.get("questions") if isinstance(asked, Mapping) else None
    return [each for each in found if isinstance(each, Mapping)] if isinstance(found, list) else []
