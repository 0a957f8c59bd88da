"""Which tool runs, is asked for, or is refused."""

from dataclasses import replace

import pytest

from agents.harness.claude_code.permissions import answered, asked_by_settings, decide, denial
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
    ("auto", "plan", "ExitPlanMode", "ask"),
    ("auto", "plan", "AskUserQuestion", "ask"),
    ("auto", "default", "AskUserQuestion", "ask"),
    ("readonly", "default", "AskUserQuestion", "ask"),
    ("auto", "plan", "ToolOfNextYear", "deny"),
]


@pytest.mark.parametrize(("level", "mode", "tool", "decision"), CASES)
def test_decide(level, mode, tool, decision):
    """U-M"""
    given = turn(toolApprovalLevel=level, mode=mode)

    assert decide(tool, given, is_planning=mode == "plan") == decision


@pytest.mark.parametrize(("level", "decision"), [("auto", "allow"), ("readonly", "ask")])
def test_an_agreed_plan_is_carried_out_at_the_level_of_the_turn(level, decision):
    given = turn(toolApprovalLevel=level, mode="plan")

    assert decide("Bash", given, is_planning=False) == decision


@pytest.mark.parametrize(
    ("path", "decision"),
    [
        ("/home/ada/.claude/plans/a-b.md", "allow"),
        ("/home/ada/.claude/plans/../settings.json", "deny"),
        ("/home/ada/.claude/../x/.claude/plans/a.md", "deny"),
        ("/home/ada/.claude/settings.json", "deny"),
        ("/folder/.claude/plans/a.md", "deny"),
        (".claude/plans/a.md", "deny"),
        (None, "deny"),
    ],
)
def test_while_planning_only_the_plan_is_written(path, decision):
    given = replace(turn(mode="plan"), folder="/folder")

    assert decide("Write", given, is_planning=True, tool_input={"file_path": path}) == decision


@pytest.mark.parametrize(
    ("tool", "reason", "words"),
    [
        ("Bash", "", "did not allow"),
        ("Bash", "Too risky.", "They said: Too risky."),
        ("ExitPlanMode", "", "does not agree"),
        ("ExitPlanMode", "Add tests.", "wants the plan changed. They said: Add tests."),
        ("AskUserQuestion", "", "did not answer"),
    ],
)
def test_what_the_model_reads_of_a_denial(tool, reason, words):
    assert words in denial(tool, reason)


def test_answers_go_into_the_input_of_the_question():
    given = answered({"questions": []}, {"Which?": "this", "And?": ["a", "b"]})

    assert given == {"questions": [], "answers": {"Which?": "this", "And?": "a, b"}}


RULE = {"source": "userSettings", "tool_name": "Bash", "rule_content": "rm *"}
OURS = {"source": "flagSettings", "tool_name": "Bash"}


@pytest.mark.parametrize(
    ("told", "because"),
    [
        pytest.param({}, "", id="it asks by itself"),
        pytest.param(
            {"decision_reason_type": "rule", "decision_reason_rule_source": "projectSettings"},
            "A rule in the project's settings for Claude Code asks.",
            id="a rule",
        ),
        pytest.param(
            {"decision_reason_type": "other", "matched_ask_rule": RULE},
            "A rule in your settings for Claude Code asks: Bash(rm *)",
            id="a rule beside another reason",
        ),
        pytest.param({"matched_ask_rule": OURS}, "", id="a rule of ours"),
        pytest.param(
            {"decision_reason_type": "hook", "decision_reason": "Look first."},
            "A hook of Claude Code asks: Look first.",
            id="a hook",
        ),
        pytest.param(
            {"decision_reason_type": "hook"}, "A hook of Claude Code asks", id="a silent hook"
        ),
        pytest.param(
            {"decision_reason_type": "safetyCheck", "decision_reason": "A sensitive file."},
            "",
            id="a file that it protects",
        ),
        pytest.param(
            {"decision_reason_type": "subcommandResults"},
            "A rule in your settings for Claude Code asks about one of these commands.",
            id="one of several commands",
        ),
        pytest.param({"decision_reason_type": 7, "matched_ask_rule": "x"}, "", id="other types"),
    ],
)
def test_why_the_persons_settings_ask_at_auto(told, because):
    assert asked_by_settings(told, turn()) == because


def test_where_more_is_asked_several_commands_need_no_rule():
    told = {"decision_reason_type": "subcommandResults"}

    assert asked_by_settings(told, turn(toolApprovalLevel="readonly")) == ""
