"""Which of the person's variables an agent's program sees, besides those that all programs see."""

from __future__ import annotations

import re
from typing import Final

from mesh.agent_programs.table import find_by_name, load

_NAME: Final = re.compile(r"[A-Z0-9_]+", re.ASCII)


def is_passed(variable: str, *, program: str = "") -> bool:
    """Return whether the agent program named ``program`` may see ``variable``.

    A program that is not in the table (``deco_link --acp``) sees what any agent may see, because
    the keys that it needs are unknown. Variables of one agent's session are withheld from all.
    """
    programs = load()
    if any(_matches(variable, each.withheld) for each in programs):
        return False
    known = find_by_name(program)
    return any(_matches(variable, each.environment) for each in ([known] if known else programs))


def _matches(variable: str, patterns: tuple[str, ...]) -> bool:
    return _NAME.fullmatch(variable) is not None and any(
        variable.startswith(pattern[:-1]) if pattern.endswith("*") else variable == pattern
        for pattern in patterns
    )
