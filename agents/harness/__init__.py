"""The adapters: one pure protocol mapping for each kind of harness."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Final

from agents.harness.acp import AcpAdapter, built_in, named
from agents.harness.base import Adapter
from agents.harness.claude_code import ClaudeCodeAdapter
from agents.harness.codex import CodexAdapter
from agents.harness.demo import DemoAdapter

Adapters = Mapping[str, Callable[[], Adapter]]


# Programs with a protocol of their own.
OWN: Final[dict[str, Callable[[], Adapter]]] = {
    "claude-code": ClaudeCodeAdapter,
    "codex": CodexAdapter,
    "demo": DemoAdapter,
}


def built_in_adapters() -> Adapters:
    """Return the adapter of each built-in agent; those that speak ACP share one class."""
    return {**OWN, **{kind: partial(AcpAdapter, agent) for kind, agent in built_in().items()}}


ADAPTERS: Final = built_in_adapters()


def with_agents(
    commands: Mapping[str, Sequence[str]], variables: Mapping[str, Sequence[str]] | None = None
) -> Adapters:
    """Return the built-in adapters and, as ``acp:<name>``, a person's own agents.

    ``commands`` maps names to the argv of a program that speaks ACP on stdio, ``variables`` to
    what it may see of the person's environment besides what Mesh knows of it. A built-in name
    can't be replaced: its agent is known to ask before it acts.
    """
    agents = [
        named(name, command, (variables or {}).get(name, ()))
        for name, command in commands.items()
        if command
    ]
    own: dict[str, Callable[[], Adapter]] = {
        agent.kind: partial(AcpAdapter, agent) for agent in agents
    }
    return {**own, **built_in_adapters()}
