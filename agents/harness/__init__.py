"""How each kind of harness is spoken to: a pure mapping per kind."""

from __future__ import annotations

from collections.abc import Callable

from agents.harness.base import Adapter
from agents.harness.claude_code import ClaudeCodeAdapter
from agents.harness.demo import DemoAdapter

ADAPTERS: dict[str, Callable[[], Adapter]] = {
    "claude-code": ClaudeCodeAdapter,
    "demo": DemoAdapter,
}
