"""What the program offers: its models, their efforts, and its commands."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from agents.harness.commands import LONGEST, MOST, Command, commands_in, names_in
from agents.harness.lines import list_of, text_of

DEFAULT = "default"


@dataclass(slots=True)
class Offered:
    """The program's own lists; ``names`` are ``None`` until it has told its commands."""

    models: list[dict[str, Any]] = field(default_factory=list)
    commands: list[Command] = field(default_factory=list)
    names: frozenset[str] | None = None

    def take(self, response: dict[str, Any]) -> None:
        """Take the response to ``initialize``."""
        self.models = list_of(response, "models")[:MOST]
        self.take_commands(response)

    def take_commands(self, message: dict[str, Any]) -> None:
        """Take the whole list of commands."""
        listed = list_of(message, "commands")
        self.commands, self.names = commands_in(listed), names_in(listed)

    def shown(self, model: str) -> dict[str, Any]:
        """Return the data of a ``data-agent-options`` chunk, where ``model`` is set."""
        current = model or DEFAULT
        models = [shown for each in self.models if (shown := _model(each, current))]
        found = {"models": models, "commands": self.commands}
        return {name: value for name, value in found.items() if value}

    def is_other(self, model: str, works_with: str) -> bool:
        """Return whether the program works with another model than the one that was set."""
        resolved = next(
            (text_of(each, "resolvedModel") for each in self.models if _id(each) == model), ""
        )
        return bool(resolved) and _plain(works_with) not in (_plain(resolved), _plain(model))


def _id(model: dict[str, Any]) -> str:
    return text_of(model, "value")


def _plain(model: str) -> str:
    """Return a model's name without the size of its context: ``opus`` for ``opus[1m]``."""
    return model.partition("[")[0]


def _model(model: dict[str, Any], current: str) -> dict[str, Any] | None:
    name = _id(model)
    if not name or len(name) > LONGEST:
        return None
    levels = model.get("supportedEffortLevels")
    efforts = [each for each in levels if isinstance(each, str)] if isinstance(levels, list) else []
    return {
        "id": name,
        "title": text_of(model, "displayName")[:LONGEST] or name,
        "description": text_of(model, "description")[:LONGEST],
        "current": name == current,
        **({"efforts": efforts[:MOST]} if efforts else {}),
    }
