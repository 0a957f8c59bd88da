"""A form (``elicitation`` of MCP and ACP) as questions to a person, and the answers in its terms.

The schema is the restricted one of the Model Context Protocol (2025-11-25 and 2026-07-28): one
level of strings, numbers, booleans, choices, and lists of choices.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from agents.harness.lines import list_of, object_of, printable, text_of
from agents.harness.questions import LONGEST, MOST, Answers

Json = dict[str, Any]

YES, NO = "Yes", "No"
OPENED: Final = "I have opened it"
_LABEL: Final = 200  # characters of a field's name, of a choice, or of a complaint
_QUESTION: Final = LONGEST - _LABEL - 1  # characters: a complaint may stand before it


@dataclass(frozen=True, slots=True)
class _Field:
    """One field of a form: its key, the question that asks for it, and its choices."""

    key: str
    question: str
    schema: Json
    choices: Mapping[str, str]  # label → value
    is_required: bool

    @property
    def kind(self) -> str:
        return text_of(self.schema, "type") or "string"


class Form:
    """The form that a server asks a person to fill in."""

    def __init__(self, message: str, schema: Json) -> None:
        self._message = printable(message)[:_QUESTION].strip() or "May it go on?"
        listed = schema.get("required")
        required = listed if isinstance(listed, list) else []
        self._fields: list[_Field] = []
        for key, value in list(object_of(schema, "properties").items())[:MOST]:
            if isinstance(value, dict):
                self._fields.append(self._field(key, value, is_required=key in required))

    def _field(self, key: str, schema: Json, *, is_required: bool) -> _Field:
        title = printable(text_of(schema, "title") or key)[:_LABEL]
        description = printable(text_of(schema, "description"))
        question = f"{title}: {description}" if description else title
        if not self._fields:
            question = f"{self._message}\n{question}"
        taken = {each.question for each in self._fields}
        if question in taken:
            question = f"{question} ({printable(key)[:_LABEL]})"
        return _Field(key, question[:_QUESTION], schema, _choices(schema), is_required)

    def as_input(self, complaint: str = "") -> Json:
        """Return the input of a question card; ``complaint`` says what was wrong before."""
        asked = [_question(field) for field in self._fields]
        if not asked:
            options = [{"label": YES}, {"label": NO}]
            asked = [{"question": self._message, "options": options}]
        if complaint:
            asked[0] = {**asked[0], "question": f"{complaint[:_LABEL]}\n{asked[0]['question']}"}
        return {"questions": asked}

    def content(self, answers: Answers) -> Json | None:
        """Return the form's content; ``None`` if the person says no to a form without fields.

        Raises:
            ValueError: an answer does not fit; the sentence is for the person.
        """
        if not self._fields:
            return None if NO in answers.values() else {}
        content: Json = {}
        for field in self._fields:
            answer: Any = _answer_to(field.question, answers)
            if answer in (None, "", []):
                answer = field.schema.get("default")
                if answer is None and field.is_required:
                    raise ValueError(f"{_name(field)} is needed.")
                if answer is not None:
                    content[field.key] = answer
                continue
            content[field.key] = _value(field, answer)
        return content


def _answer_to(question: str, answers: Answers) -> str | list[str] | None:
    """Return the answer to a question, before which a complaint may have stood on the card."""
    for text, answer in answers.items():
        if text == question or text.endswith(f"\n{question}"):
            return answer
    return None


def address_input(message: str, url: str) -> Json:
    """Return the input of a card that asks a person to open an address."""
    text = f"{printable(message)[: LONGEST // 2]}\n{printable(url)[: LONGEST // 2]}".strip()
    return {"questions": [{"question": text, "options": [{"label": OPENED}]}]}


def _question(field: _Field) -> Json:
    asked: Json = {
        "question": field.question,
        "options": [{"label": label} for label in list(field.choices)[:MOST]],
        "multiSelect": field.kind == "array",
    }
    if field.choices:  # the form takes nothing else
        asked["other"] = False
    if text_of(field.schema, "format") == "password":
        asked["secret"] = True
    return asked


def _choices(schema: Json) -> dict[str, str]:
    """Return label → value of a field with choices; empty for a free one."""
    if text_of(schema, "type") == "boolean":
        return {YES: YES, NO: NO}
    if text_of(schema, "type") == "array":
        schema = object_of(schema, "items")
    titled = list_of(schema, "oneOf") or list_of(schema, "anyOf")
    if titled:
        pairs = [(text_of(each, "title") or str(each.get("const")), each) for each in titled]
        return {printable(label)[:_LABEL]: str(each.get("const")) for label, each in pairs}
    values = schema.get("enum")
    if not isinstance(values, list):
        return {}
    names = schema.get("enumNames")
    labels = names if isinstance(names, list) and len(names) == len(values) else values
    return {
        printable(str(label))[:_LABEL]: str(value)
        for label, value in zip(labels, values, strict=True)
    }


def _value(field: _Field, answer: str | Sequence[str]) -> Any:
    if field.kind == "array":
        each = [answer] if isinstance(answer, str) else answer
        return [_chosen(field, text) for text in each]
    text = answer if isinstance(answer, str) else ", ".join(answer)
    if field.kind == "boolean":
        return _chosen(field, text) == YES
    if field.kind in ("number", "integer"):
        return _number(field, text)
    if field.choices:
        return _chosen(field, text)
    return _text(field, text)


def _chosen(field: _Field, label: str) -> str:
    if label not in field.choices:
        raise ValueError(f"{_name(field)}: choose one of {', '.join(field.choices)}.")
    return field.choices[label]


def _number(field: _Field, text: str) -> int | float:
    try:
        value = int(text) if field.kind == "integer" else float(text)
    except ValueError:
        what = "a whole number" if field.kind == "integer" else "a number"
        raise ValueError(f"{_name(field)} must be {what}.") from None
    least, most = field.schema.get("minimum"), field.schema.get("maximum")
    if not (_at_least(value, least) and _at_least(most, value)) or value - value != 0:
        raise ValueError(f"{_name(field)} is outside of what the form takes.")
    return value


def _at_least(value: Any, least: Any) -> bool:
    """Return whether ``value`` is not below ``least``; anything but two numbers is no limit."""
    numbers = all(
        isinstance(each, int | float) and not isinstance(each, bool) for each in (value, least)
    )
    return not numbers or bool(value >= least)


def _text(field: _Field, text: str) -> str:
    if not (
        _at_least(len(text), field.schema.get("minLength"))
        and _at_least(field.schema.get("maxLength"), len(text))
    ):
        raise ValueError(f"{_name(field)} is too short or too long.")
    return text


def _name(field: _Field) -> str:
    return printable(text_of(field.schema, "title") or field.key)[:_LABEL]
