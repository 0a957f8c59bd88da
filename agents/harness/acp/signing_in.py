"""How a person signs in to an agent, as the agent itself says it when it starts."""

from __future__ import annotations

import re
import shlex
from pathlib import PurePath
from typing import Any, Final

from agents.harness.acp.agents import Agent
from agents.harness.lines import list_of, object_of, text_of

Method = dict[str, Any]

MOST: Final = 3  # ways that are told
LONGEST: Final = 300  # characters of a command
_VARIABLE: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,80}", re.ASCII)


def way_of(agent: Agent, methods: list[Method]) -> str:
    """Return what a person has to do, as a sentence; empty if the agent does not say it.

    A command in a terminal is exact, so it goes before what the table says of the agent; the names
    of variables, and of ways that Mesh can't take, come after that.
    """
    commands = [found for each in methods if (found := _command(agent, each))]
    if commands:
        return f"Run {_either(commands)} in a terminal there."
    if agent.sign_in:
        return agent.sign_in
    if variables := [found for each in methods if (found := _variables(each))]:
        return f"Set {_either(variables)} there, and start the link again."
    names = [name for each in methods if (name := _printable(text_of(each, "name")))]
    return f"It offers to sign in by {_either(names)}." if names else ""


def _command(agent: Agent, method: Method) -> str:
    """Return the command line of a sign-in in a terminal; empty for any other.

    Only the agent's own program is named: nobody should run another because an agent says so.
    """
    given = object_of(object_of(method, "_meta"), "terminal-auth")
    if text_of(method, "type") == "terminal":
        words = [*agent.command, *_texts(method, "args")]
    elif PurePath(text_of(given, "command")).name == PurePath(agent.command[0]).name:
        method, words = given, [text_of(given, "command"), *_texts(given, "args")]
    else:
        return ""
    line = " ".join([*_settings(method), shlex.join(words)])
    return f"`{line}`" if line.isprintable() and "`" not in line and len(line) <= LONGEST else ""


def _settings(method: Method) -> list[str]:
    """Return the variables that the command needs, which are told as an object or as a list."""
    pairs = [(text_of(each, "name"), text_of(each, "value")) for each in list_of(method, "env")]
    pairs += [(name, text_of(object_of(method, "env"), name)) for name in object_of(method, "env")]
    return [f"{name}={shlex.quote(value)}" for name, value in pairs if _VARIABLE.fullmatch(name)]


def _variables(method: Method) -> str:
    """Return the variables that a method wants to be set, such as a key."""
    named = [text_of(each, "name") for each in list_of(method, "vars")]
    named += [text_of(method, "varName")]
    return " and ".join(name for name in named if _VARIABLE.fullmatch(name))


def _either(words: list[str]) -> str:
    return " or ".join(dict.fromkeys(words[:MOST]))


def _printable(name: str) -> str:
    return f"“{name}”" if 0 < len(name) <= 80 and name.isprintable() else ""


def _texts(value: Method, key: str) -> list[str]:
    found = value.get(key)
    return [each for each in found if isinstance(each, str)] if isinstance(found, list) else []
