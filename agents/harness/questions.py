"""What a harness asks a person besides "may I?": a question, and a plan to agree to.

Both come as a tool call that asks for approval, under the same names from every harness, so
that pages can show each as a card of its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

# Its input: {"questions": [{"question", "header", "options": [{"label", "description"}],
# "multiSelect"}]}. To allow it is to answer: the answers come with the decision.
QUESTION = "AskUserQuestion"
# Its input: {"plan": Markdown}. To allow it lets the agent carry the plan out; the reason of a
# denial says what to change about it.
PLAN_READY = "ExitPlanMode"

# What asks for something else than a yes or no → the card that pages show (approvals.js, asks.js).
CARDS: Final = {PLAN_READY: "plan", QUESTION: "question"}

# The text of a question → the label chosen, words of one's own, or several of them.
Answers = Mapping[str, str | list[str]]

MOST = 20  # questions at once, and answers to one
LONGEST = 4_000  # characters


def parse_answers(value: object) -> dict[str, str | list[str]]:
    """Return the answers that ``value``, parsed JSON, holds; none for ``None``.

    Raises:
        ValueError: it is no object of texts and lists of texts, or too much of them.
    """
    if value is None:
        return {}
    if not isinstance(value, dict) or len(value) > MOST:
        raise ValueError(f"answers must be an object of at most {MOST} questions")
    for question, given in value.items():
        texts: list[Any] = given if isinstance(given, list) else [given]
        if len(texts) > MOST or not all(_is_fit(text) for text in (question, *texts)):
            raise ValueError(
                f"each answer must be a text, or a list of texts, of at most {LONGEST} characters"
            )
    return value


def _is_fit(text: object) -> bool:
    return isinstance(text, str) and len(text) <= LONGEST
