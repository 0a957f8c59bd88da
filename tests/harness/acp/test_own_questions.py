"""At "auto", which questions of an agent come from its person's own settings."""

from __future__ import annotations

import pytest

from agents.harness.acp.permissions import Question, is_own

ONCE = Question(1, "c", (("allow_once", "y"), ("reject_once", "n")))
ALWAYS = Question(1, "c", (("allow_always", "a"), ("allow_once", "y"), ("reject_once", "n")))


@pytest.mark.parametrize(
    ("which", "question", "tool", "is_theirs"),
    [
        ("", ONCE, "Bash", False),
        ("all", ALWAYS, "Bash", True),
        ("all", ALWAYS, "mcp__mail__send", True),
        ("built_in", ALWAYS, "Bash", True),
        ("built_in", ALWAYS, "mcp__mail__send", False),
        ("once", ONCE, "Bash", True),
        ("once", ALWAYS, "Bash", False),
    ],
)
def test_which_are_theirs(which, question, tool, is_theirs):
    assert is_own(question, tool, which) is is_theirs
