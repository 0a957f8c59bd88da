"""The permission table by mode and level: which tool runs, asks, or is refused."""

from __future__ import annotations

import re
from typing import Any, Literal

from agents.harness.base import AUTO, TurnInput
from agents.harness.lines import object_of, text_of
from agents.harness.questions import PLAN_READY, QUESTION, Answers
from mesh.lib.git_names import is_in_git

Decision = Literal["allow", "ask", "deny"]

# Tools that change nothing on the machine and reach nothing outside it.
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
        "TaskCreate",
        "TaskGet",
        "TaskList",
        "TaskUpdate",
        "TodoWrite",
        "ToolSearch",
    }
)

# Tools that ask even if the person's own settings allow them in a terminal: at "ask before edit"
# the rules of Mesh are stricter. The program prefers "ask" over "allow".
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

# Tools that the program would else ask about before it asks us at "auto". With these allowed, it
# asks only what the person's own rules and hooks ask, or what it protects itself.
ALLOW_RULES = tuple(rule for rule in ASK_RULES if not rule.startswith("mcp__"))
# Where a rule comes from; "flagSettings" are ours.
_OURS = "flagSettings"
_SETTINGS = {
    "userSettings": "your settings",
    "projectSettings": "the project's settings",
    "localSettings": "your settings for the project",
    "policySettings": "your organization's settings",
}

_PLAN_FILE = re.compile(r"\A/(?!.*/\.\./).+/\.claude/plans/[\w-]+\.md\Z")

DENIED = "The person did not allow this tool call. Offer other ways."
PLAN_ONLY = "Plan mode: nothing is changed or run. Present the plan instead."
PLAN_REFUSED = "The person does not agree to the plan yet. Stop here: they will say what to change."
PLAN_TO_CHANGE = "The person wants the plan changed. They said: "
SKIPPED = "The person did not answer. Go on with what seems best, or ask in other words."


def asks(turn: TurnInput) -> bool:
    """Return whether a person is asked in this turn: at any level but ``auto``, so that an unknown
    level of a newer server errs on the strict side."""
    return turn.approval_level != AUTO


def decide(tool: str, turn: TurnInput, *, is_planning: bool, tool_input: Any = None) -> Decision:
    """Return the decision when the program asks whether ``tool`` may run.

    A sub-agent (``Task``) may start without a question: each of its own tools asks. Tools that are
    questions themselves go to the person at every level.
    """
    if tool == QUESTION or (tool == PLAN_READY and is_planning):
        return "ask"
    if is_planning:
        is_fit = tool in READ_ONLY or _writes_the_plan(tool, tool_input, turn)
        return "allow" if is_fit else "deny"
    if not asks(turn) or tool in READ_ONLY:
        return "allow"
    return "ask"


def _writes_the_plan(tool: str, tool_input: Any, turn: TurnInput) -> bool:
    """Return whether the call writes the program's plan file, which is outside of the working
    folder."""
    if tool not in ("Edit", "Write") or not isinstance(tool_input, dict):
        return False
    path = text_of(tool_input, "file_path")
    is_plan = bool(_PLAN_FILE.search(path)) and not is_in_git(path)
    return is_plan and not path.startswith(f"{turn.folder}/")


def must_ask(tool: str, tool_input: Any, turn: TurnInput, *, is_planning: bool) -> bool:
    """Return whether ``tool`` may run in this turn only after a question: what the program is told
    to ask about. Its plan file it writes by itself."""
    if not (asks(turn) or is_planning) or (
        is_planning and _writes_the_plan(tool, tool_input, turn)
    ):
        return False
    return tool in ASK_RULES or tool.startswith("mcp__")


def asked_by_settings(request: dict[str, Any], turn: TurnInput) -> str:
    """Return why the person's own settings ask for a permission; empty if they don't."""
    kind, rule = text_of(request, "decision_reason_type"), object_of(request, "matched_ask_rule")
    source = text_of(request, "decision_reason_rule_source") if kind == "rule" else ""
    source = source if source not in ("", _OURS) else text_of(rule, "source")
    if kind == "hook":
        return f"A hook of Claude Code asks: {text_of(request, 'decision_reason')}".rstrip(": ")
    if source not in ("", _OURS):
        where, what = _SETTINGS.get(source, "your settings"), text_of(rule, "rule_content")
        named = f": {text_of(rule, 'tool_name')}({what})" if what else "."
        return f"A rule in {where} for Claude Code asks{named}"
    if kind == "subcommandResults" and not asks(turn):
        # It does not say which command: without a reason, one that a rule is about.
        why = text_of(request, "decision_reason")
        return why or "A rule in your settings for Claude Code asks about one of these commands."
    return ""


def denial(tool: str, reason: str) -> str:
    """Return the text that the model reads if a person denies ``tool``."""
    if tool == PLAN_READY:
        return f"{PLAN_TO_CHANGE}{reason}" if reason else PLAN_REFUSED
    text = SKIPPED if tool == QUESTION else DENIED
    return f"{text} They said: {reason}" if reason else text


def answered(tool_input: Any, answers: Answers) -> Any:
    """Return the input of a question with the person's answers, as the program expects it."""
    if not isinstance(tool_input, dict):
        return tool_input
    texts = {q: ", ".join(a) if isinstance(a, list) else a for q, a in answers.items()}
    return tool_input | {"answers": texts}
