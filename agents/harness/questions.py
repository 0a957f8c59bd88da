"""The questions besides permissions: a choice, a plan to approve, and where an agent may work.

Each comes as a tool call that asks for approval, under the same name from every harness, so
that pages can show it as a card of its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

# Its input: {"questions": [{"question", "header", "options": [{"label", "description"}],
# "multiSelect"}]}. The answers come with the decision to allow it.
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
