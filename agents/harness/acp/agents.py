"""The adapter's description of an ACP agent; built-in ones come from ``mesh.agent_programs``.

The protocol lets an agent ask before it acts, but does not force it to. Those in the table are
started and set so that they ask, also as a command of the person's own; of any other the person
must know.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from mesh.agent_programs import AgentProgram, OwnServers, find_by_agent_info, load, recognize

Levels = Mapping[str, Mapping[str, str | bool]]


@dataclass(frozen=True, slots=True)
class Agent:
    """An ACP agent: its names, and how it is started. See ``mesh.agent_programs.Acp``; for
    ``runs_unasked`` and ``variables`` also ``Launch``. ``levels`` are ``None`` for an agent that
    the table does not know."""

    name: str
    title: str
    command: tuple[str, ...]
    model_flag: str = ""
    careful_arguments: tuple[str, ...] = ()
    careful: Mapping[str, str] = field(default_factory=dict)
    planning: Mapping[str, str] = field(default_factory=dict)
    careful_session: Mapping[str, Any] = field(default_factory=dict)
    free: Mapping[str, str] = field(default_factory=dict)
    free_arguments: tuple[str, ...] = ()
    free_session: Mapping[str, Any] = field(default_factory=dict)
    own_questions: str = ""
    runs_unasked: tuple[str, ...] = ()
    sign_in: str = ""
    totals: bool = False
    levels: Levels | None = None
    is_listed: bool = False  # the table has it under this kind
    variables: tuple[str, ...] = ()
    own_servers: OwnServers | None = None

    @property
    def kind(self) -> str:
        return f"acp:{self.name}"


def built_in() -> dict[str, Agent]:
    """Return the built-in agents that speak ACP, by kind."""
    agents = (_agent(program) for program in load() if program.acp is not None)
    return {agent.kind: agent for agent in agents}


def _agent(program: AgentProgram) -> Agent:
    assert program.acp is not None
    agent = Agent(
        name=program.kind.removeprefix("acp:"),
        title=program.title,
        command=(program.name, *program.acp.arguments),
        model_flag=program.acp.model_flag,
        sign_in=program.sign_in_at("there"),
        is_listed=True,
    )
    return _held_as(agent, program)


def named(name: str, command: Sequence[str], variables: Sequence[str] = ()) -> Agent:
    """Return the agent that a person gave as ``acp:<name>``: how it is started, and which of their
    ``variables`` it may see besides what Mesh knows of its program."""
    known = recognize(command)
    agent = Agent(
        name=name,
        title=known.title if known else name,
        command=tuple(command),
        sign_in=known.sign_in_at("there") if known else "",
        variables=tuple(variables),
    )
    return _held_as(agent, known) if isinstance(known, AgentProgram) else agent


def known_as(agent: Agent, agent_info: str) -> Agent:
    """Return ``agent`` with what holds the one that introduces itself so.

    Only for an agent that the table does not know by its command: a script of the person's own may
    well start one that is there.
    """
    program = find_by_agent_info(agent_info) if agent.levels is None else None
    return agent if program is None else _held_as(agent, program)


def _held_as(agent: Agent, program: AgentProgram) -> Agent:
    """Return ``agent``, held at the levels as ``program``: by its modes and its environment."""
    if program.acp is None:
        return agent
    return replace(
        agent,
        careful_arguments=program.acp.careful_arguments,
        careful=program.acp.careful,
        planning=program.acp.planning,
        careful_session=program.acp.careful_session,
        free=program.acp.free,
        free_arguments=program.acp.free_arguments,
        free_session=program.acp.free_session,
        own_questions=program.acp.own_questions,
        runs_unasked=program.acp.runs_unasked,
        totals=program.acp.usage == "session",
        own_servers=program.acp.own_servers,
        levels=program.acp.levels,
    )
