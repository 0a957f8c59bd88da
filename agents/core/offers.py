"""What an agent's program offers on a machine: models, efforts and commands, cut to a size.

An agent is hostile by assumption: what it says is data of a limited size, for people to read, and
an id is only one that may be handed back to it.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final, Self, TypeVar

from links.wire.messages import LEVELS

MOST_MODELS: Final = 100
MOST_EFFORTS: Final = 20
MOST_COMMANDS: Final = 200
LONGEST_ID: Final = 200
_TITLE, _DESCRIPTION = 80, 240
# A program must not take one for an argument of its own.
_ID = re.compile(r"[^\s-]\S*( \S+)*")
_UNSEEN: Final = frozenset({"Cc", "Cf", "Cn", "Co", "Cs", "Zl", "Zp"})


@dataclass(frozen=True, slots=True)
class OfferedModel:
    """A model, by the program's own id; ``efforts`` are empty if those of the program apply."""

    id: str
    title: str
    description: str = ""
    efforts: tuple[str, ...] = ()
    is_current: bool = False


@dataclass(frozen=True, slots=True)
class Effort:
    """How hard a model may think, by the program's own id."""

    id: str
    title: str


@dataclass(frozen=True, slots=True)
class Command:
    """A command; ``hint`` says what may follow its name."""

    name: str
    description: str = ""
    hint: str = ""


@dataclass(frozen=True, slots=True)
class Offer:
    """All that a program offers. ``levels`` are the approval levels that it can hold; ``None``: it
    has not said, or the table of agents knows them."""

    models: tuple[OfferedModel, ...] = ()
    efforts: tuple[Effort, ...] = ()
    commands: tuple[Command, ...] = ()
    levels: tuple[str, ...] | None = None

    def find(self, model: str) -> OfferedModel | None:
        return next((each for each in self.models if each.id == model), None)

    def lists(self, model: str) -> bool:
        """Return whether the program can be set to ``model``, as far as it says."""
        return not self.models or self.find(model) is not None

    def efforts_of(self, model: str) -> tuple[Effort, ...]:
        """Return the efforts of a model; without one, of the model that answers then."""
        current = next((each for each in self.models if each.is_current), None)
        known = self.find(model) if model else current
        if known is None or not known.efforts:
            return self.efforts
        return tuple(Effort(each, each.capitalize()) for each in known.efforts)

    def as_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        """Return the offer that ``as_json`` wrote."""
        models = (
            OfferedModel(**{**each, "efforts": tuple(each["efforts"])})
            for each in value.get("models", ())
        )
        return cls(
            models=tuple(models),
            efforts=tuple(Effort(**each) for each in value.get("efforts", ())),
            commands=tuple(Command(**each) for each in value.get("commands", ())),
            levels=_levels(value),
        )


NOTHING: Final = Offer()
T = TypeVar("T", OfferedModel, Effort, Command)


def read_offer(data: object) -> Offer:
    """Return the offer in a ``data-agent-options`` chunk's data; what is none is left out."""
    return Offer(
        models=_once(_model(each) for each in _objects(data, "models", MOST_MODELS)),
        efforts=_once(_effort(each) for each in _objects(data, "efforts", MOST_EFFORTS)),
        commands=_once(_command(each) for each in _objects(data, "commands", MOST_COMMANDS)),
        levels=_levels(data),
    )


def is_id(value: object, *, most: int = LONGEST_ID) -> bool:
    """Return whether ``value`` may name a model or an effort of a program."""
    if not isinstance(value, str) or len(value) > most:
        return False
    return _ID.fullmatch(value) is not None and _seen(value) == value


def _levels(data: object) -> tuple[str, ...] | None:
    listed = data.get("levels") if isinstance(data, Mapping) else None
    known = listed if isinstance(listed, list | tuple) else ()
    return tuple(level for level in LEVELS if level in known) or None


def levels_in(text: object) -> tuple[str, ...] | None:
    """Return the levels in a machine's report of an agent: words; ``None`` if there are none."""
    return _levels({"levels": text.split()}) if isinstance(text, str) else None


def _model(value: Mapping[str, Any]) -> OfferedModel | None:
    name, listed = value.get("id"), value.get("efforts")
    if not is_id(name):
        return None
    efforts = [each for each in listed if is_id(each, most=40)] if isinstance(listed, list) else []
    return OfferedModel(
        id=str(name),
        title=_text(value, "title", _TITLE) or str(name)[:_TITLE],
        description=_text(value, "description", _DESCRIPTION),
        efforts=tuple(dict.fromkeys(efforts[:MOST_EFFORTS])),
        is_current=value.get("current") is True,
    )


def _effort(value: Mapping[str, Any]) -> Effort | None:
    name = value.get("id")
    if not is_id(name, most=40):
        return None
    return Effort(str(name), _text(value, "title", _TITLE) or str(name))


def _command(value: Mapping[str, Any]) -> Command | None:
    name = value.get("name")
    if not is_id(name, most=100):
        return None
    description = _text(value, "description", _DESCRIPTION)
    return Command(str(name), description, _text(value, "hint", _TITLE))


def _once(found: Iterable[T | None]) -> tuple[T, ...]:
    by_name: dict[str, T] = {}
    for each in found:
        if each is not None:
            name = each.name if isinstance(each, Command) else each.id
            by_name.setdefault(name, each)
    return tuple(by_name.values())


def _objects(data: object, key: str, most: int) -> list[Mapping[str, Any]]:
    listed = data.get(key) if isinstance(data, Mapping) else None
    found = listed[:most] if isinstance(listed, list) else []
    return [each for each in found if isinstance(each, Mapping)]


def _text(value: Mapping[str, Any], key: str, most: int) -> str:
    text = value.get(key)
    if not isinstance(text, str):
        return ""
    short = " ".join(_seen(text[: most * 4]).split())
    return short if len(short) <= most else f"{short[: most - 1]}…"


def _seen(text: str) -> str:
    """Return ``text`` without the characters that change how it looks and can't be seen."""
    spaced = re.sub(r"[\t\n\r]", " ", text)
    return "".join(each for each in spaced if unicodedata.category(each) not in _UNSEEN)
