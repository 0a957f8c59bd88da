"""What an agent says of its session: modes, options and commands, as the last message left them."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, Final

from agents.harness import commands
from agents.harness.lines import list_of, object_of, text_of

Update = dict[str, Any]

MODEL: Final = "model"
EFFORT: Final = "thought_level"
# What some call it, as a category or an id.
_EFFORTS: Final = ("thinking", "reasoning_effort", "effort")
MODE: Final = "mode"

# What a person can choose from: more is of no use on a page, and an agent could send anything.
MOST: Final = 200
LONGEST: Final = 500


@dataclass(frozen=True, slots=True)
class Choice:
    """One value of an option, or one mode."""

    value: str
    title: str
    description: str = ""


@dataclass(frozen=True, slots=True)
class Option:
    """An option of the session. ``choices`` are empty for one that is on or off."""

    id: str
    title: str
    category: str
    value: str | bool
    choices: tuple[Choice, ...] = ()

    def accepts(self, value: str | bool) -> bool:
        """Return whether the agent lists ``value`` for this option."""
        if isinstance(self.value, bool):
            return isinstance(value, bool)
        return any(choice.value == value for choice in self.choices)


@dataclass(slots=True)
class SessionFacts:
    """The session's facts; ``default_mode`` is the one in which it was opened."""

    mode: str = ""
    default_mode: str = ""
    modes: dict[str, Choice] = field(default_factory=dict)
    models: dict[str, Choice] = field(default_factory=dict)
    model: str = ""
    options: dict[str, Option] = field(default_factory=dict)
    commands: list[commands.Command] = field(default_factory=list)
    command_names: frozenset[str] | None = None  # until it has announced any

    def open(self, result: Update) -> None:
        """Take the response that opened the session."""
        modes, models = object_of(result, "modes"), object_of(result, "models")
        self.mode = self.default_mode = text_of(modes, "currentModeId")
        self.modes = _choices(modes, "availableModes", "id")
        self.models = _choices(models, "availableModels", "modelId")
        self.model = text_of(models, "currentModelId")
        self.take_options(result)
        self.take_commands(result)
        if not self.default_mode and (option := self.find_option(MODE)):
            self.default_mode = str(option.value)

    def current(self, name: str) -> str | bool | None:
        """Return what the mode or an option is set to; ``None`` if the agent did not say."""
        if name == MODE and (self.mode or self.modes):
            return self.mode
        option = self.find_option(MODE) if name == MODE else self.options.get(name)
        return option.value if option else None

    def assume(self, name: str, value: str | bool) -> None:
        """Take it that the mode or an option is set to ``value``, as the agent agreed."""
        option = self.find_option(MODE) if name == MODE else self.options.get(name)
        if option is not None and option.accepts(value):
            self.options[option.id] = replace(option, value=value)
        if name == MODE and (self.mode or self.modes or option is None):
            self.mode = str(value)

    def find_model(self) -> str:
        """Return the model that the session uses; empty if the agent does not name it."""
        option = self.find_option(MODEL)
        model = str(option.value) if option else self.model
        return "" if model == "default" else model

    def list_modes(self) -> list[str]:
        """Return the ids of the modes, also of an agent that has them as an option."""
        option = self.find_option(MODE)
        return [*self.modes, *((choice.value for choice in option.choices) if option else ())]

    def take(self, update: Update) -> bool:
        """Take an update of the session; return whether it changed what a person can choose."""
        before = self.offered()
        kind = text_of(update, "sessionUpdate")
        if kind == "current_mode_update":
            self.mode = text_of(update, "currentModeId") or self.mode
        elif kind == "config_option_update":
            self.take_options(update)
        elif kind == "available_commands_update":
            self.take_commands(update)
        return self.offered() != before

    def take_options(self, message: Update) -> None:
        """Take the whole list of options, if ``message`` has one."""
        if isinstance(message.get("configOptions"), list):
            options = (_option(each) for each in list_of(message, "configOptions")[:MOST])
            self.options = {option.id: option for option in options if option}

    def take_commands(self, message: Update) -> None:
        """Take the whole list of commands, if ``message`` has one."""
        if isinstance(message.get("availableCommands"), list):
            listed = list_of(message, "availableCommands")
            self.commands = commands.commands_in(listed)
            self.command_names = commands.names_in(listed)

    def find_option(self, category: str) -> Option | None:
        """Return the first option of a category."""
        every = self.options.values()
        found = next((each for each in every if each.category == category), None)
        if found is None and category == EFFORT:
            names = ((each, (each.category, each.id)) for each in every if each.choices)
            found = next((each for each, own in names if not set(own).isdisjoint(_EFFORTS)), None)
        return found

    def has(self, category: str) -> bool:
        """Return whether the agent has models, or efforts, to choose from."""
        is_listed = category == MODEL and bool(self.models)
        return is_listed or self.find_option(category) is not None

    def chosen(self, category: str) -> str:
        """Return the model or effort that is set; empty if the agent did not say."""
        if option := self.find_option(category):
            return str(option.value)
        return self.model if category == MODEL else ""

    def lists(self, category: str, value: str) -> bool:
        """Return whether the session can be set to this model or effort."""
        if option := self.find_option(category):
            return option.accepts(value)
        return category == MODEL and value in self.models

    def choose(self, category: str, value: str) -> tuple[str, dict[str, Any]]:
        """Return the request, without the session, that sets the model or the effort."""
        if option := self.find_option(category):
            return "session/set_config_option", {"configId": option.id, "value": value}
        return "session/set_model", {"modelId": value}

    def assume_chosen(self, category: str, value: str) -> None:
        """Take it that the model or effort is set to ``value``, as the agent agreed."""
        if option := self.find_option(category):
            self.options[option.id] = replace(option, value=value)
        elif category == MODEL:
            self.model = value

    def offered(self) -> dict[str, Any]:
        """Return what a person can choose: the data of a ``data-agent-options`` chunk."""
        models = _offer(self.find_option(MODEL)) or _listed(self.models, self.model)
        modes = _offer(self.find_option(MODE)) or _listed(self.modes, self.mode)
        found = {
            "models": models,
            "efforts": _offer(self.find_option(EFFORT)),
            "modes": modes,
            "commands": list(self.commands),
        }
        return {name: value for name, value in found.items() if value}


def _option(value: Update) -> Option | None:
    """Return an option as the agent describes it; ``None`` for one that can't be set."""
    option_id, current = text_of(value, "id"), value.get("currentValue")
    if not option_id or not isinstance(current, str | bool):
        return None
    title, category = text_of(value, "name")[:LONGEST] or option_id, text_of(value, "category")
    return Option(option_id, title, category, current, _values(value))


def _values(value: Update) -> tuple[Choice, ...]:
    """Return the values of an option, those of its groups in the order of the groups."""
    flat: dict[str, Choice] = {}
    for each in list_of(value, "options")[:MOST]:
        nested = _choices(each, "options", "value")
        flat |= nested or _choices({"options": [each]}, "options", "value")
    return tuple(flat.values())[:MOST]


def _choices(value: Update, key: str, name: str) -> dict[str, Choice]:
    found = {}
    for each in list_of(value, key)[:MOST]:
        if own := text_of(each, name)[:LONGEST]:
            title = text_of(each, "name")[:LONGEST] or own
            found[own] = Choice(own, title, text_of(each, "description")[:LONGEST])
    return found


def _offer(option: Option | None) -> list[dict[str, Any]]:
    return [_shown(each, each.value == option.value) for each in option.choices] if option else []


def _listed(choices: dict[str, Choice], current: str) -> list[dict[str, Any]]:
    return [_shown(each, each.value == current) for each in choices.values()]


def _shown(choice: Choice, is_current: bool) -> dict[str, Any]:
    return {
        "id": choice.value,
        "title": choice.title,
        "description": choice.description,
        "current": is_current,
    }
