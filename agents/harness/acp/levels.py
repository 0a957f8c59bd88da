"""An approval level in an agent's own terms: what its session is set to before each prompt."""

from __future__ import annotations

from typing import Any, Final, Literal

from agents.harness.acp.agents import Agent
from agents.harness.acp.session import MODE, SessionFacts
from agents.harness.base import AUTO, PLAN, TurnInput

Level = Literal["plan", "readonly", "auto"]
READONLY: Final = "readonly"
# What agents that the table does not know call a mode that asks before each change, or one that
# changes nothing. Some have addresses as ids, whose last word counts.
_ASKING: Final = ("ask", "default", "manual", "read-only")
_PLANNING: Final = (PLAN,)


def level_of(turn: TurnInput) -> Level:
    """Return the level of a turn; one that is not known asks."""
    if turn.mode == PLAN:
        return "plan"
    return "auto" if turn.approval_level == AUTO else "readonly"


def is_known_not_to_plan(agent: Agent) -> bool:
    """Return whether the table says that the agent has nothing for "Plan only"."""
    return agent.levels is not None and PLAN not in agent.levels and not agent.planning


def is_known_not_to_ask(agent: Agent) -> bool:
    """Return whether the table says that the agent does not ask before each change."""
    return agent.levels is not None and READONLY not in agent.levels and not agent.careful


def may_not_ask(agent: Agent, facts: SessionFacts) -> bool:
    """Return whether nothing says that the agent asks before each change: neither the table nor,
    of an agent that it does not know, the name of one of the session's modes."""
    if agent.levels is not None:
        return is_known_not_to_ask(agent)
    return not agent.careful and not _named(facts, _ASKING)


def held(agent: Agent, facts: SessionFacts) -> list[Level]:
    """Return the levels that the agent can hold, as far as the table and its session say."""
    found: list[Level] = ["auto"]
    if not may_not_ask(agent, facts):
        found.append("readonly")
    if wanted(agent, "plan", facts) is not None:
        found.append("plan")
    return found


def wanted(agent: Agent, level: Level, facts: SessionFacts) -> dict[str, str | bool] | None:
    """Return what the session must be set to: its mode, and options by their ids.

    ``None``: the agent has nothing for the level. One that the table does not know plans, and asks,
    in a mode that is called so, and else works in the mode in which its session began.
    """
    if agent.levels is not None:
        return None if level == PLAN and is_known_not_to_plan(agent) else _of_table(agent, level)
    if level == PLAN:
        return {MODE: mode} if (mode := _named(facts, _PLANNING)) else None
    mode = _named(facts, _ASKING) if level == READONLY else ""
    return {MODE: mode or _usual_mode(facts)} if mode or facts.default_mode else {}


def _named(facts: SessionFacts, names: tuple[str, ...]) -> str:
    """Return the session's mode of the first of these names that it has; empty if it has none."""
    ids = {_short(each): each for each in reversed(facts.list_modes())}
    return next((ids[name] for name in names if name in ids), "")


def _short(mode: str) -> str:
    return mode.replace("#", "/").rpartition("/")[2].lower()


def _usual_mode(facts: SessionFacts) -> str:
    """Return the mode in which the session began, unless it was resumed while it planned."""
    if _short(facts.default_mode) not in _PLANNING:
        return facts.default_mode
    others = (each for each in facts.list_modes() if _short(each) not in _PLANNING)
    return _named(facts, _ASKING) or next(others, facts.default_mode)


def is_looser(agent: Agent, level: Level, facts: SessionFacts) -> bool:
    """Return whether the session is, by the agent's last word, looser than a level that asks.

    One that plans where it has to ask is not: an agent may begin a plan by itself.
    """
    if level == "auto" or _holds(wanted(agent, level, facts), facts):
        return False
    return level == PLAN or not _holds(wanted(agent, "plan", facts) or None, facts)


def _holds(setting: dict[str, str | bool] | None, facts: SessionFacts) -> bool:
    return setting is not None and all(facts.current(name) == setting[name] for name in setting)


def _of_table(agent: Agent, level: Level) -> dict[str, str | bool]:
    return dict((agent.levels or {}).get(level, {}))


def request(facts: SessionFacts, name: str, value: str | bool) -> tuple[str, dict[str, Any]]:
    """Return the method that sets the mode or an option, and its parameters."""
    option = facts.find_option(MODE) if name == MODE else facts.options.get(name)
    if name == MODE and (option is None or facts.modes):
        return "session/set_mode", {"modeId": value}
    params: dict[str, Any] = {"configId": option.id if option else name, "value": value}
    if isinstance(value, bool):
        params["type"] = "boolean"
    return "session/set_config_option", params
