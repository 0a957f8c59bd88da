"""The agents that Mesh knows by name, and what is particular to each.

An agent only has to ask for what it means to do: whether it does is its own affair. Those
named here are started so that they ask; of any other the person must know.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Agent:
    """An ACP agent: what it is called, and how it is started.

    ``careful`` and ``planning`` are environments in which it asks before it changes anything,
    and in which it changes nothing. ``runs_unasked`` are the paths in a project that it runs all
    the same; see ``Launch.refuses``. ``model_flag`` comes before a model's name.
    """

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


def _opencode(others: str) -> dict[str, str]:
    """Return the setting with which opencode lets tools that only read run, and no others.

    Each tool is named, because what the person's own settings say of one by its name would go
    before what is said here of all. What the project itself sets, such as MCP servers and tools,
    would be started without a question, so it does not count.
    """
    reading = ("glob", "grep", "list", "lsp", "read", "todoread", "todowrite")
    acting = (
        "bash",
        "codesearch",
        "edit",
        "external_directory",
        "skill",
        "task",
        "webfetch",
        "websearch",
    )
    rules = {"*": others} | dict.fromkeys(acting, others) | dict.fromkeys(reading, "allow")
    return {"OPENCODE_PERMISSION": json.dumps(rules), "OPENCODE_DISABLE_PROJECT_CONFIG": "1"}


_AGENTS = (
    Agent(
        name="gemini",
        title="Gemini CLI",
        # Named even though it is the default: the person's settings may say "auto_edit".
        command=("gemini", "--acp", "--approval-mode", "default"),
        model_flag="--model",
        sign_in="Run gemini in a terminal there, and sign in.",
    ),
    Agent(
        name="opencode",
        title="opencode",
        command=("opencode", "acp"),
        careful=_opencode("ask"),
        planning=_opencode("deny"),
        # Plugins are loaded whatever is set (1.18).
        runs_unasked=(".opencode/plugin/*", ".opencode/plugins/*"),
        sign_in="Run opencode auth login in a terminal there.",
    ),
)
BUILT_IN = {agent.kind: agent for agent in _AGENTS}
