"""The adapter's description of an ACP agent; built-in ones come from ``mesh.agent_programs``.

The protocol lets an agent ask before it acts, but does not force it to. Built-in agents are
started so that they ask; for any other the person must know.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from mesh.agent_programs import AgentProgram, load


@dataclass(frozen=True, slots=True)
class Agent:
    """An ACP agent: its names, and how it is started. See ``mesh.agent_programs.Acp``; for
    ``runs_unasked`` also ``Launch.refuses``."""

    name: str
    title: str
    command: tuple[str, ...]
    model_flag: str = ""
    careful: Mapping[str, str] = field(default_factory=dict)
    planning: Mapping[str, str] = field(default_factory=dict)
    runs_unasked: tuple[str, ...] = ()
    sign_in: str = ""

    @property
    def kind(self) -> str:
        return f"acp:{self.name}"


def built_in() -> dict[str, Agent]:
    """Return the built-in agents that speak ACP, by kind."""
    agents = (_agent(program) for program in load() if program.acp is not None)
    return {agent.kind: agent for agent in agents}


def _agent(program: AgentProgram) -> Agent:
    assert program.acp is not None
    return Agent(
        name=program.kind.removeprefix("acp:"),
        title=program.title,
        command=(program.name, *program.acp.arguments),
        model_flag=program.acp.model_flag,
        careful=program.acp.careful,
        planning=program.acp.planning,
        runs_unasked=program.acp.runs_unasked,
        sign_in=program.sign_in_at("there"),
    )
