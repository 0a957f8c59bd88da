"""What a walk does, drawn from a seed: pure, so that a failing walk can be played again."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

AGENTS: Final = ("demo", "recorded", "decopilot")
LEVELS: Final = ("auto", "readonly")
# Whose processes break, and how each may.
BREAKS: Final = {
    "server": ("kill", "term", "freeze"),
    "link": ("kill", "term", "freeze"),
    "laptop": ("kill", "term", "freeze"),
    "sandbox": ("kill", "term", "freeze"),
    "agent": ("kill", "term", "freeze"),
}
# How often each action is drawn, against the others.
WEIGHTS: Final = {
    "new": 3,
    "speak": 6,
    "command": 6,
    "answer": 6,
    "stop": 2,
    "steer": 2,
    "break": 14,
    "pause": 4,
}
MOST_THREADS: Final = 6
MOST_FROZEN: Final = 10  # steps


@dataclass(frozen=True, slots=True)
class Step:
    """One action: ``what``, with ``words`` that are its details, and a pause of ``wait`` ms."""

    what: str
    words: tuple[str, ...] = ()
    wait: int = 0

    def __str__(self) -> str:
        return " ".join((self.what, *self.words, f"+{self.wait}"))


def read(line: str) -> Step:
    """Return the step that a line of a printed schedule stands for.

    Raises:
        ValueError: it stands for none.
    """
    what, *words = line.split()
    if not words or not words[-1].startswith("+"):
        raise ValueError(f"No step: {line}")
    return Step(what, tuple(words[:-1]), int(words[-1][1:]))


def draw(seed: int, length: int) -> list[Step]:
    """Return the schedule of that seed: about ``length`` steps, and then each frozen process's
    thaw."""
    return list(_Drawing(random.Random(seed)).steps(length))


class _Drawing:
    def __init__(self, dice: random.Random) -> None:
        self._dice = dice
        self._threads = 0
        self._frozen: dict[str, int] = {}  # whose, and in how many steps they are thawed

    def steps(self, length: int) -> Iterator[Step]:
        for agent in AGENTS:
            yield self._new(agent)
        for _ in range(length):
            yield from self._thaws()
            yield self._draw()
        yield from (self._step("thaw", who) for who in list(self._frozen))

    def _thaws(self) -> Iterable[Step]:
        self._frozen = {who: left - 1 for who, left in self._frozen.items()}
        for who in [who for who, left in self._frozen.items() if left <= 0]:
            del self._frozen[who]
            yield self._step("thaw", who)

    def _draw(self) -> Step:
        [what] = self._dice.choices(list(WEIGHTS), list(WEIGHTS.values()))
        match what:
            case "new" if self._threads < MOST_THREADS:
                return self._new(self._dice.choice(AGENTS))
            case "speak" | "command":
                level = self._dice.choice(LEVELS)
                return self._step(what, self._thread(), level)
            case "answer":
                return self._step(what, self._thread(), self._dice.choice(("allow", "deny")))
            case "stop" | "steer":
                return self._step(what, self._thread())
            case "break":
                return self._break()
        return Step("pause", (), self._dice.randrange(500, 3_000))

    def _break(self) -> Step:
        who = self._dice.choice(list(BREAKS))
        how = self._dice.choice(BREAKS[who])
        if who in self._frozen:  # what is frozen can only be killed
            how = "kill"
            del self._frozen[who]
        elif how == "freeze":
            self._frozen[who] = self._dice.randint(1, MOST_FROZEN)
        return self._step(how, who)

    def _new(self, agent: str) -> Step:
        self._threads += 1
        return self._step("new", agent)

    def _thread(self) -> str:
        return str(self._dice.randrange(self._threads))

    def _step(self, what: str, *words: str) -> Step:
        return Step(what, words, self._dice.choice((0, 0, 50, 200, 800)))
