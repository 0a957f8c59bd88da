"""Who answers; the case numbers are those of chat-ui.md."""

import pytest

from agents.core.options import (
    default_harness,
    effective_harness,
    has_local_cli,
    parse_choice,
)


@pytest.mark.parametrize(
    ("is_online", "capabilities", "answer"),
    [
        pytest.param(False, ["claude-code"], False, id="offline, even with the capability"),
        pytest.param(True, [], False, id="none"),
        pytest.param(True, ["decopilot-sandbox"], False, id="only files"),
        pytest.param(True, ["claude-code"], True, id="claude"),
        pytest.param(True, ["codex"], True, id="codex"),
        pytest.param(True, ["codex", "claude-code"], True, id="both"),
        pytest.param(True, ["acp:gemini"], True, id="an ACP agent"),
    ],
)
def test_local_cli(is_online, capabilities, answer):
    """U-F"""
    assert has_local_cli(is_online=is_online, capabilities=capabilities) is answer


@pytest.mark.parametrize(
    ("capabilities", "harness"),
    [
        pytest.param(None, "claude-code", id="no machine known"),
        pytest.param(["claude-code"], "claude-code", id="claude is there"),
        pytest.param(["codex"], "codex", id="codex is there"),
        pytest.param(["acp:opencode", "acp:gemini"], "acp:gemini", id="in the popover's order"),
        pytest.param([], "demo", id="nobody is there"),
    ],
)
def test_the_agent_that_answers_when_none_is_named(capabilities, harness):
    assert default_harness(capabilities) == harness


@pytest.mark.parametrize(
    ("facts", "harness"),
    [
        pytest.param({"has_any_key": True}, "claude-code", id="a machine's own agent first"),
        pytest.param({"has_any_key": True, "is_online": False}, "decopilot", id="it is away"),
        pytest.param({"is_online": False}, "claude-code", id="away, and no key"),
        pytest.param({"has_files": False}, "decopilot", id="no files"),
    ],
)
def test_a_key_answers_where_no_machine_can(facts, harness):
    assert default_harness(["claude-code"], **facts) == harness


@pytest.mark.parametrize(
    ("harness", "facts", "answers"),
    [
        ("decopilot", {"is_local": False, "has_files": False}, "decopilot"),
        ("codex", {"is_local": True, "has_files": True}, "codex"),
        ("codex", {"is_local": True, "has_files": False}, "decopilot"),
    ],
    ids=["needs no files", "files", "no files"],
)
def test_for_an_agent_without_files_decopilot_answers(harness, facts, answers):
    """chat-ui.md §1: shown and sent."""
    assert effective_harness(harness, **facts) == answers


@pytest.mark.parametrize(
    ("value", "pair"),
    [
        ("claude-code:smart", ("claude-code", "smart")),
        ("acp:gemini:fast", ("acp:gemini", "fast")),
        ("claude-code", ("", "")),
        ("", ("", "")),
        (None, ("", "")),
    ],
)
def test_a_choice_is_kind_and_tier(value, pair):
    assert parse_choice(value) == pair
