"""How each kind of harness is spoken to: a pure mapping per kind."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Final

from agents.harness.acp import AcpAdapter, Agent, built_in
from agents.harness.base import Adapter
from agents.harness.claude_code import ClaudeCodeAdapter
from agents.harness.codex import CodexAdapter
from agents.harness.demo import DemoAdapter

Adapters = Mapping[str, Callable[[], Adapter]]


# Of programs with a protocol of their own.
OWN: Final[dict[str, Callable[[], Adapter]]] = {
    "claude-code": ClaudeCodeAdapter,
    "codex": CodexAdapter,
    "demo": DemoAdapter,
}


def built_in_adapters() -> Adapters:
    """Return the adapter of each agent that Mesh knows; those that speak ACP have one in common."""
    return {**OWN, **{kind: partial(AcpAdapter, agent) for kind, agent in built_in().items()}}


ADAPTERS: Final = built_in_adapters()


def with_agents(commands: Mapping[str, Sequence[str]]) -> Adapters:
    """Return the adapters of our own and, as ``acp:<name>``, the agents that a person named.

    ``commands`` are name → argv of a program that speaks ACP on stdio. A name of ours stays
    ours: its agent is known to ask before it acts.
    """
    agents = (Agent(name, name, tuple(command)) for name, command in commands.items() if command)
    named: dict[str, Callable[[], Adapter]] = {
        agent.kind: partial(AcpAdapter, agent) for agent in agents
    }
    return {**named, **built_in_adapters()}
