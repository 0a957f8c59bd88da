"""The agents that people bring along (``deco_link --acp``) and Mesh knows: ``registry.toml``."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path, PurePath
from typing import Any, Final

from mesh.agent_programs.table import VARIABLE, AgentProgram, find_by_name, load

PATH: Final = Path(__file__).with_name("registry.toml")

# Programs that run a package, with the options that name it and those that have another value.
_RUNNERS: Final[dict[str, tuple[frozenset[str], frozenset[str]]]] = {
    "npx": (frozenset({"-p", "--package"}), frozenset()),
    "bunx": (frozenset({"-p", "--package"}), frozenset()),
    "uvx": (frozenset({"--from"}), frozenset({"-p", "--python", "-w", "--with"})),
}
_PYTHON: Final = re.compile(r"python(3(\.\d+)?)?", re.ASCII)
_PACKAGE: Final = re.compile(r"(@[\w.-]+/)?[\w.-]+", re.ASCII)  # without version and extras


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownAgent:
    """An agent that is no part of the catalog. ``names`` are those of its program, ``packages``
    those that contain it, ``environment`` as in ``AgentProgram``."""

    title: str
    names: tuple[str, ...]
    sign_in: str
    packages: tuple[str, ...] = ()
    environment: tuple[str, ...] = ()

    def sign_in_at(self, where: str) -> str:
        """Return how a person signs in; ``where`` is "there" or "on this machine"."""
        return self.sign_in.replace("{where}", where)


@lru_cache(maxsize=1)
def known_agents() -> tuple[KnownAgent, ...]:
    """Return the agents of the registry, in its order.

    Raises:
        ValueError: an entry is invalid; the text says which and why.
    """
    given = tomllib.loads(PATH.read_text(encoding="utf-8"))["agents"]
    return tuple(read_agent(entry) for entry in given)


def read_agent(entry: dict[str, Any]) -> KnownAgent:
    """Return the agent that ``entry`` describes.

    Raises:
        ValueError: it is invalid; the text says why.
    """
    title = entry.get("title")
    try:
        given: dict[str, Any] = {
            key: tuple(value) if isinstance(value, list) else value for key, value in entry.items()
        }
        agent = KnownAgent(**given)
    except TypeError as exc:  # an unknown key, or a missing one
        raise ValueError(f"{title}: {str(exc).partition('.__init__() ')[2] or exc}") from exc
    for name in agent.environment:
        if not isinstance(name, str) or not VARIABLE.fullmatch(name):
            raise ValueError(f"{title}: environment: {name!r} is no agent's variable")
    return agent


def recognize(command: Sequence[str]) -> AgentProgram | KnownAgent | None:
    """Return the agent that ``command`` starts: by its program's name, or by the package that
    ``npx``, ``uvx`` or ``python -m`` runs; ``None`` for any other."""
    if not command:
        return None
    name, words = PurePath(command[0]).name, command[1:]
    if name in _RUNNERS:
        return _find_by_package(_package_of(name, words))
    if _PYTHON.fullmatch(name):
        module = words[1] if len(words) > 1 and words[0] == "-m" else ""
        return _find_by_package(module.partition(".")[0].replace("_", "-"))
    known = (agent for agent in known_agents() if name in agent.names)
    return find_by_name(name) or next(known, None)


def _find_by_package(package: str) -> AgentProgram | KnownAgent | None:
    if not package:
        return None
    ours = (program for program in load() if package in (program.npm, program.pypi))
    known = (agent for agent in known_agents() if package in agent.packages)
    return next(ours, None) or next(known, None)


def _package_of(runner: str, words: Sequence[str]) -> str:
    """Return the package that a runner's command line names, without its version."""
    naming, valued = _RUNNERS[runner]
    rest = iter(words)
    for word in rest:
        option, equals, value = word.partition("=")
        if not word.startswith("-"):
            return _plain(word)
        if option in naming:
            return _plain(value if equals else next(rest, ""))
        if option in valued and not equals:
            next(rest, "")
    return ""


def _plain(package: str) -> str:
    found = _PACKAGE.match(package)
    return found[0] if found else ""
