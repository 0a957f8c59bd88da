"""How each kind of harness is spoken to: a pure mapping per kind."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial

from agents.harness.acp import BUILT_IN, AcpAdapter, Agent
from agents.harness.base import Adapter
from agents.harness.claude_code import ClaudeCodeAdapter
from agents.harness.codex import CodexAdapter
from agents.harness.demo import DemoAdapter

Adapters = Mapping[str, Callable[[], Adapter]]

ADAPTERS: dict[str, Callable[[], Adapter]] = {
    "claude-code": ClaudeCodeAdapter,
    "codex": CodexAdapter,
    "demo": DemoAdapter,
    **{kind: partial(AcpAdapter, agent) for kind, agent in BUILT_IN.items()},
}


def with_agents(commands: Mapping[str, Sequence[str]]) -> Adapters:
    """Return ``ADAPTERS`` and, as ``acp:<name>``, the agents that a person named.

    ``commands`` are name → argv of a program that speaks ACP on stdio. A name of ours stays
    ours: its agent is known to ask before it acts.
    """
    agents = (Agent(name, name, tuple(command)) for name, command in commands.items() if command)
    named: dict[str, Callable[[], Adapter]] = {
        agent.kind: partial(AcpAdapter, agent) for agent in agents
    }
    return named | ADAPTERS
