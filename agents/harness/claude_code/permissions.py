"""Which tool runs, which is asked for, which is refused: one table by mode and level."""

from __future__ import annotations

from typing import Literal

from agents.harness.base import AUTO, PLAN, TurnInput

Decision = Literal["allow", "ask", "deny", "plan"]

# What changes nothing on the machine and reaches nobody outside it.
READ_ONLY = frozenset(
    {
        "Glob",
        "Grep",
        "LS",
        "ListAgents",
        "NotebookRead",
        "Read",
        "ReportFindings",
        "Task",
        "Agent",
        "TaskGet",
        "TaskList",
        "TodoWrite",
        "ToolSearch",
    }
)

# Asked for even where the person's own settings allow them in a terminal: at "ask before
# edit" the rules of Mesh are the stricter ones. The program prefers "ask" over "allow".
ASK_RULES = (
    "Bash",
    "Edit",
    "MultiEdit",
    "NotebookEdit",
    "PowerShell",
    "WebFetch",
    "WebSearch",
    "Write",
    "mcp__*",
)

DENIED = "The person did not allow this tool call. Offer other ways."
PLAN_ONLY = "Plan mode: nothing is changed or run. Present the plan instead."
PLAN_SHOWN = "The plan is shown to the person. Stop here: they will say how to go on."


def asks(turn: TurnInput) -> bool:
    """Say whether a person is asked in this turn: at any level but ``auto``, so that a level
    from a newer server is rather too strict than too lax."""
    return turn.approval_level != AUTO and turn.mode != PLAN


def decide(tool: str, turn: TurnInput) -> Decision:
    """Return what is to be done when the program asks whether ``tool`` may run.

    A sub-agent (``Task``) may start freely: each of its own tools is asked for in turn.
    """
    if turn.mode == PLAN:
        if tool == "ExitPlanMode":
            return "plan"
        return "allow" if tool in READ_ONLY else "deny"
    if not asks(turn) or tool in READ_ONLY:
        return "allow"
    return "ask"
