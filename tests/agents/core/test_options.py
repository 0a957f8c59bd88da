"""What a pick pins, and back; the case numbers are those of chat-ui.md."""

import pytest

from agents.core.options import (
    OPTION_PINS,
    default_harness,
    effective_option,
    has_local_cli,
    parse_choice,
    parse_option,
    pins_for_option,
    pins_to_option,
)


@pytest.mark.parametrize(
    ("harness", "kind", "option"),
    [
        pytest.param("decopilot", "agent-sandbox", "decopilot", id="in the cloud"),
        pytest.param("decopilot", "cluster", "decopilot", id="in the cloud, by its old name"),
        pytest.param("decopilot", "docker", "decopilot", id="in a container"),
        pytest.param("decopilot", None, "decopilot", id="wherever"),
        pytest.param("decopilot", "remote-user", None, id="on the laptop: no longer offered"),
        pytest.param("claude-code", "remote-user", "claude-code-laptop", id="claude"),
        pytest.param("claude-code", "user-desktop", "claude-code-laptop", id="by an old name"),
        pytest.param("codex", "remote-user", "codex-laptop", id="codex"),
        pytest.param("demo", "remote-user", "demo-laptop", id="demo"),
        pytest.param("claude-code", None, None, id="claude nowhere"),
        pytest.param("claude-code", "docker", None, id="claude in a container"),
        pytest.param("gemini", "remote-user", None, id="unknown harness"),
        pytest.param(None, "remote-user", None, id="no harness"),
        pytest.param(None, None, None, id="nothing"),
    ],
)
def test_from_pins_to_option(harness, kind, option):
    """U-G"""
    assert pins_to_option(harness, kind) == option


@pytest.mark.parametrize("option", OPTION_PINS)
def test_there_and_back(option):
    """U-G: the round trip over the whole table."""
    assert pins_to_option(*pins_for_option(option)) == option


@pytest.mark.parametrize(
    ("value", "option"),
    [
        ("codex-laptop", "codex-laptop"),
        ("decopilot-laptop", None),  # removed: the server picks
        ("__proto__", None),
        ("", None),
        (None, None),
        (["decopilot"], None),
    ],
)
def test_a_stored_pick_may_be_stale(value, option):
    assert parse_option(value) == option


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
def test_who_answers_when_nobody_is_named(capabilities, harness):
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
    ("pick", "has_files", "option"),
    [
        pytest.param(None, True, None, id="nothing picked"),
        pytest.param(None, False, None, id="nothing picked, no files"),
        pytest.param("decopilot", False, "decopilot", id="decopilot needs no files"),
        pytest.param("codex-laptop", True, "codex-laptop", id="files: the pick"),
        pytest.param("codex-laptop", False, "decopilot", id="no files: decopilot"),
        pytest.param("demo-laptop", False, "decopilot", id="no files: no demo either"),
    ],
)
def test_the_effective_option(pick, has_files, option):
    """chat-ui.md §1: shown and sent."""
    assert effective_option(pick, has_files=has_files) == option


@pytest.mark.parametrize("option", OPTION_PINS)
def test_with_files_every_pick_is_what_it_says(option):
    assert effective_option(option, has_files=True) == option


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
