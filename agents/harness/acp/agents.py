"""What the adapter has to know of one ACP agent; of ours, ``mesh.agent_programs`` does.

An agent only has to ask for what it means to do: whether it does is its own affair. Those of the
table are started so that they ask; of any other the person must know.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from mesh.agent_programs import AgentProgram, load


@dataclass(frozen=True, slots=True)
class Agent:
    """An ACP agent: what it is called, and how it is started. See ``mesh.agent_programs.Acp``;
    for ``runs_unasked`` also ``Launch.refuses``."""

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
    """Return the agents of the table that speak ACP, by their kind."""
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
