"""The model and the effort that a person chose, as a session is set to them before its prompt."""

from __future__ import annotations

from collections import deque
from typing import Any, Final

from agents.harness.acp.agents import Agent
from agents.harness.acp.launch import model_of
from agents.harness.acp.session import EFFORT, MODEL, SessionFacts
from agents.harness.base import TurnInput
from agents.harness.cli_adapter import other_effort, other_model
from agents.harness.failures import plain
from agents.harness.lines import text_of

Request = tuple[str, dict[str, Any]]
# The model first: it decides which efforts there are.
_ORDER: Final = (MODEL, EFFORT)


class Choices:
    """What is still to be set for one turn, and what the session's program began with.

    A program that does not take a choice still answers: the person is told.
    """

    def __init__(self, agent: Agent) -> None:
        self._agent = agent
        self._wanted: dict[str, str] = {}
        self._unset: deque[str] = deque()
        self._before: dict[str, str] = {}  # what was set before we changed it
        self._launched = ""  # the model with which the program was started
        self._setting = ""

    @property
    def is_setting(self) -> bool:
        """Whether a request of ours is open."""
        return bool(self._setting)

    def launch(self, turn: TurnInput) -> None:
        """Note that the program was started for ``turn``."""
        self._launched, self._before, self._setting = model_of(self._agent, turn), {}, ""

    def key_model(self, turn: TurnInput, facts: SessionFacts) -> str:
        """Return the model that a program's key names: none that its session can be set to."""
        model = model_of(self._agent, turn)
        can_set = facts.lists(MODEL, model) if model else MODEL in self._before
        return self._launched if can_set else model

    def begin(self, turn: TurnInput, facts: SessionFacts) -> None:
        """Plan what is to be set for ``turn``."""
        chosen = {MODEL: model_of(self._agent, turn), EFFORT: turn.effort}
        # Without a choice, it works again with what it began with.
        self._wanted = {name: chosen[name] or self._before.get(name, "") for name in _ORDER}
        self._unset, self._setting = deque(name for name in _ORDER if self._wanted[name]), ""

    def next(self, facts: SessionFacts) -> Request | str | None:
        """Return the next request, or a sentence for the person; ``None`` once all is set."""
        while self._unset:
            name = self._unset.popleft()
            wanted, now = self._wanted[name], facts.chosen(name)
            # A program that lists no models was started with the chosen one, as far as it can be.
            if now == wanted or (name == MODEL and not facts.has(name)):
                continue
            if not facts.lists(name, wanted):
                return self._told(name, now)
            self._before.setdefault(name, now)
            self._setting = name
            return facts.choose(name, wanted)
        return None

    def take(self, facts: SessionFacts, result: dict[str, Any]) -> str:
        """Take the response; return what the person should know, if anything."""
        name, self._setting = self._setting, ""
        facts.take_options(result)
        is_told = isinstance(result.get("configOptions"), list)
        if not is_told:
            facts.assume_chosen(name, self._wanted[name])
        now = facts.chosen(name)
        return "" if now == self._wanted[name] else self._told(name, now)

    def refuse(self, facts: SessionFacts, error: dict[str, Any]) -> str:
        """Take an error; return what the person should know."""
        name, self._setting = self._setting, ""
        why = plain(text_of(error, "message"))
        return " ".join(part for part in (self._told(name, facts.chosen(name)), why) if part)

    def _told(self, name: str, now: str) -> str:
        if name == MODEL:
            return other_model(self._wanted[name], now)
        return other_effort(self._agent.title, self._wanted[name], now)
