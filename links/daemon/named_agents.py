"""The agents that a person names: ``--acp NAME=COMMAND`` and ``--acp-env NAME=VARIABLE,…``."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import groupby

from links.daemon.config import Agent
from links.wire.messages import ACP
from mesh import agent_programs

OPTIONS = ("--acp", "--acp-env")


def read_agents(
    commands: Sequence[str],
    variables: Sequence[str] = (),
    *,
    options: tuple[str, str] = OPTIONS,
) -> tuple[Agent, ...]:
    """Return the agents that the values of the two ``options`` describe.

    Raises:
        ValueError: a value is invalid; the text says which and why.
    """
    agents: dict[str, Agent] = {}
    ours = {program.kind for program in agent_programs.load()}  # these ask before they act
    for text in commands:
        agent = _agent(text, options[0])
        if agent.kind in ours or agent.name in agents:
            raise ValueError(f"{options[0]} {text}: an agent of this name exists already.")
        agents[agent.name] = agent
    for text in variables:
        name, found = _variables(text, options[1])
        if name not in agents:
            raise ValueError(f"{options[1]} {text}: no agent of this name is given: {options[0]}.")
        seen = dict.fromkeys((*agents[name].variables, *found))
        agents[name] = replace(agents[name], variables=tuple(seen))
    return tuple(agents.values())


def split(text: str) -> list[str]:
    """Return the values in ``text``, which semicolons or line ends separate; quotes keep both.

    Raises:
        ValueError: a quote is open.
    """
    return [found for words in _between_semicolons(text) if (found := _joined(words))]


def _between_semicolons(text: str) -> Iterator[list[str]]:
    lexer = shlex.shlex(text, posix=True, punctuation_chars=";\n")
    lexer.commenters, lexer.whitespace = "", " \t\r"
    lexer.whitespace_split = True
    for is_between, words in groupby(lexer, key=lambda word: not word.strip(";\n")):
        if not is_between:
            yield list(words)


def _joined(words: list[str]) -> str:
    # A name needs no quotes, and the command after it keeps its own.
    name, equals, first = words[0].partition("=")
    return f"{name}{equals}{shlex.join([first, *words[1:]])}" if equals else " ".join(words)


def _agent(text: str, option: str) -> Agent:
    name, _, command = text.partition("=")
    try:
        agent = Agent(name, tuple(shlex.split(command)))
    except ValueError as exc:
        raise ValueError(f"{option} {text}: a quote is not closed.") from exc
    if not ACP.fullmatch(agent.kind) or not agent.command:
        raise ValueError(f"{option} {text}: use NAME=COMMAND, with a name of a-z, 0-9 and -.")
    return agent


def _variables(text: str, option: str) -> tuple[str, list[str]]:
    name, _, listed = text.partition("=")
    found = [variable.strip() for variable in listed.split(",")]
    for variable in found:
        if not agent_programs.is_nameable(variable):
            raise ValueError(
                f"{option} {text}: {variable!r} can't be passed to an agent. Use NAME=VARIABLE,…"
                " with names of variables; those of Mesh (MESH_*, DJANGO_*, DECO_*, DATABASE_*,"
                " REDIS_*) are not for agents."
            )
    return name, found
