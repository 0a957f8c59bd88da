"""Which tool runs, is asked for, or is refused."""

import pytest

from agents.harness.claude_code.permissions import decide
from tests.harness.driver import turn

CASES = [
    ("auto", "default", "Bash", "allow"),
    ("auto", "default", "mcp__mail__send", "allow"),
    ("readonly", "default", "Read", "allow"),
    ("readonly", "default", "Grep", "allow"),
    ("readonly", "default", "Bash", "ask"),
    ("readonly", "default", "Write", "ask"),
    ("readonly", "default", "WebFetch", "ask"),
    ("readonly", "default", "mcp__mail__send", "ask"),
    ("readonly", "default", "ToolOfNextYear", "ask"),
    ("level-of-next-year", "default", "Bash", "ask"),
    ("auto", "plan", "Read", "allow"),
    ("auto", "plan", "Bash", "deny"),
    ("readonly", "plan", "Write", "deny"),
    ("auto", "plan", "ExitPlanMode", "plan"),
    ("auto", "plan", "ToolOfNextYear", "deny"),
]


@pytest.mark.parametrize(("level", "mode", "tool", "decision"), CASES)
def test_decide(level, mode, tool, decision):
    """U-M"""
    assert decide(tool, turn(toolApprovalLevel=level, mode=mode)) == decision
