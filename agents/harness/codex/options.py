"""What Codex offers: its models with their efforts, and its skills, as commands."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

from agents.harness.base import TurnInput, words_of
from agents.harness.commands import LONGEST, MOST, SLASH, Command, commands_in
from agents.harness.lines import list_of, object_of, text_of

Params = dict[str, Any]

# Codex's list is of OpenAI's models: of a provider of the person's own it knows none.
LISTED_PROVIDER: Final = "openai"


@dataclass(slots=True)
class Offered:
    """Codex's own lists. ``models`` are ``None`` until it has told them."""

    models: list[Params] | None = None
    skills: dict[str, Params] = field(default_factory=dict)
    provider: str = ""

    def take_models(self, result: Params) -> None:
        """Take the response to ``model/list``."""
        self.models = list_of(result, "data")[:MOST]

    def take_skills(self, result: Params) -> None:
        """Take the response to ``skills/list``."""
        every = [skill for each in list_of(result, "data") for skill in list_of(each, "skills")]
        usable = [skill for skill in every if skill.get("enabled") is not False]
        self.skills = {text_of(skill, "name"): skill for skill in usable[:MOST]}

    def shown(self, model: str) -> dict[str, Any]:
        """Return the data of a ``data-agent-options`` chunk, where ``model`` answers."""
        listed = (self.models or []) if self.is_listing else []
        models = [_shown(each, model) for each in listed if each.get("hidden") is not True]
        found = {"models": [each for each in models if each["id"]], "commands": self._commands()}
        return {name: value for name, value in found.items() if value}

    def _commands(self) -> list[Command]:
        return commands_in([_as_command(skill) for skill in self.skills.values()])

    @property
    def is_listing(self) -> bool:
        """Whether the models that can answer are those in the list."""
        return self.provider == LISTED_PROVIDER and bool(self.models)

    def model_for(self, model: str) -> str:
        """Return ``model``, or Codex's default instead of one that it does not list."""
        if not model or not self.is_listing or self._find(model):
            return model
        default = next((each for each in self.models or [] if each.get("isDefault") is True), {})
        return text_of(default, "id") or model

    def effort_for(self, model: str, effort: str) -> str:
        """Return ``effort``, or nothing instead of one that the model does not have."""
        efforts = _efforts(self._find(model) or {})
        return effort if not efforts or effort in efforts else ""

    def _find(self, model: str) -> Params | None:
        listed = self.models or []
        return next((each for each in listed if text_of(each, "id") == model), None)

    def skill_in(self, turn: TurnInput) -> tuple[Params, str] | None:
        """Return the skill that the newest message calls as a command, and its words."""
        text = words_of(turn.last_message)
        head, _, rest = text.partition(" ")
        skill = self.skills.get(head[1:]) if head.startswith(SLASH) else None
        if skill is None:
            return None
        name = text_of(skill, "name")
        called = {"type": "skill", "name": name, "path": text_of(skill, "path")}
        return called, f"${name} {rest}".rstrip()


def _shown(model: Params, current: str) -> dict[str, Any]:
    name, efforts = text_of(model, "id")[:LONGEST], _efforts(model)
    return {
        "id": name,
        "title": text_of(model, "displayName")[:LONGEST] or name,
        "description": text_of(model, "description")[:LONGEST],
        "current": name == current,
        **({"efforts": efforts} if efforts else {}),
    }


def _efforts(model: Params) -> list[str]:
    listed = list_of(model, "supportedReasoningEfforts")[:MOST]
    return [name for each in listed if (name := text_of(each, "reasoningEffort")[:LONGEST])]


def _as_command(skill: Params) -> Params:
    short = text_of(object_of(skill, "interface"), "shortDescription")
    description = short or text_of(skill, "shortDescription") or text_of(skill, "description")
    return {"name": text_of(skill, "name"), "description": description}
