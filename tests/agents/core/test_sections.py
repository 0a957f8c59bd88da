"""Which sections there are; the case numbers are those of chat-ui.md."""

import pytest

from agents.catalog import load_catalog
from agents.core.sections import LOCKED, Machine, all_sections, usable_sections, with_levels
from agents.core.tiers import read_catalog

OFFLINE = {"is_online": False, "capabilities": ["claude-code", "codex"]}
CLAUDE = {"is_online": True, "capabilities": ["decopilot-sandbox", "claude-code"]}
CODEX = {"is_online": True, "capabilities": ["codex"]}
BOTH = {"is_online": True, "capabilities": ["codex", "claude-code"]}


def usable(has_any_key, link):
    """Return the usable sections; the demo, which the cases do not know, left out."""
    sections = usable_sections(load_catalog(), has_any_key=has_any_key, **link)
    return [section for section in sections if section.kind != "demo"]


@pytest.mark.parametrize(
    ("has_any_key", "link", "expected"),
    [
        pytest.param(False, OFFLINE, {}, id="U-A1"),
        pytest.param(True, OFFLINE, {"decopilot": False}, id="U-A2"),
        pytest.param(False, CLAUDE, {"claude-code": True}, id="U-A3"),
        pytest.param(False, CODEX, {"codex": True}, id="U-A4"),
        pytest.param(
            True, BOTH, {"decopilot": False, "claude-code": True, "codex": True}, id="U-A5"
        ),
    ],
)
def test_which_are_usable_and_local(has_any_key, link, expected):
    sections = usable(has_any_key, link)

    assert {section.kind: section.is_local for section in sections} == expected
    assert [section.kind for section in sections] == list(expected)  # in this order


@pytest.mark.parametrize(
    ("has_any_key", "link", "title", "labels", "model_ids"),
    [
        pytest.param(
            True,
            OFFLINE,
            "Decopilot",
            ["Fast", "Smart", "Thinking"],
            [None, None, None],
            id="U-A6",
        ),
        pytest.param(
            False,
            CLAUDE,
            "Claude Code",
            ["Haiku", "Sonnet", "Opus"],
            ["claude-code:haiku", "claude-code:sonnet", "claude-code:opus"],
            id="U-A7",
        ),
        pytest.param(
            False,
            CODEX,
            "Codex",
            ["GPT-5.4 Mini", "GPT-5.3 Codex", "GPT-5.5"],
            ["codex:gpt-5.4-mini", "codex:gpt-5.3-codex", "codex:gpt-5.5"],
            id="U-A8",
        ),
    ],
)
def test_titles_labels_and_models(has_any_key, link, title, labels, model_ids):
    (section,) = usable(has_any_key, link)

    assert section.title == title
    assert [tier.key for tier in section.tiers] == ["fast", "smart", "thinking"]
    assert [tier.label for tier in section.tiers] == labels
    assert [tier.model_id for tier in section.tiers] == model_ids
    assert [tier.description for tier in section.tiers] == [
        "Quicker responses",
        "Balanced quality",
        "Deeper reasoning",
    ]


@pytest.mark.parametrize(("is_online", "there"), [(True, True), (False, False)])
def test_the_demo_needs_only_a_machine(is_online, there):
    sections = usable_sections(
        load_catalog(), has_any_key=False, is_online=is_online, capabilities=[]
    )

    assert ("demo" in [section.kind for section in sections]) is there


def machine(**changes):
    given = {
        "id": "1",
        "name": "walnut",
        "state": "online",
        "cause": "",
        "capabilities": (),
        "programs": {},
    }
    return Machine(**given | changes)


def section_of(kind, machine, **changes):
    sections = all_sections(load_catalog(), has_any_key=False, machine=machine, **changes)
    return next(section for section in sections if section.kind == kind)


@pytest.mark.parametrize(
    ("machine", "reason", "action"),
    [
        pytest.param(None, "No machine is connected.", "deco_link", id="no machine"),
        pytest.param(machine(state="unknown"), "Waiting for walnut.", "deco_link", id="unknown"),
        pytest.param(
            machine(state="offline", cause="It sleeps.", capabilities=("claude-code",)),
            "walnut is offline. It sleeps.",
            "Wake it up",
            id="offline",
        ),
        pytest.param(
            machine(programs={"claude-code": "absent"}),
            "Claude Code was not found on walnut.",
            "npm install -g @anthropic-ai/claude-code",
            id="not installed",
        ),
        pytest.param(machine(), "Claude Code was not found on walnut.", "npm", id="no report"),
        pytest.param(
            machine(programs={"claude-code": "not_signed_in"}),
            "Claude Code is not signed in on walnut.",
            "/login",
            id="not signed in",
        ),
        pytest.param(
            machine(programs={"claude-code": "timed_out"}),
            "Claude Code did not answer on walnut.",
            "by hand",
            id="too slow",
        ),
    ],
)
def test_what_can_not_be_picked_says_why_and_what_to_do(machine, reason, action):
    section = section_of("claude-code", machine)

    assert (section.state, section.reason) == ("unavailable", reason)
    assert action in section.action


def test_what_can_be_picked_needs_no_reason():
    section = section_of("claude-code", machine(capabilities=("claude-code",)))

    assert (section.state, section.reason, section.action) == ("enabled", "", "")
    assert section.machine.name == "walnut"


def test_a_locked_thread_has_one_section_that_is_not_locked():
    """U-D2"""
    sections = all_sections(
        load_catalog(),
        has_any_key=True,
        machine=machine(capabilities=("claude-code", "codex")),
        locked_kind="claude-code",
    )

    states = {section.kind: section.state for section in sections}
    assert states.pop("claude-code") == "enabled"
    assert set(states) >= {"decopilot", "codex", "demo"}
    assert set(states.values()) == {"locked"}
    assert {s.reason for s in sections if s.state == "locked"} == {LOCKED}


def test_a_locked_threads_own_section_may_be_unavailable():
    """U-I"""
    assert section_of("claude-code", None, locked_kind="claude-code").state == "unavailable"


def test_a_level_that_would_be_refused_can_not_be_chosen_and_says_why():
    reason = "Mistral Vibe has no mode in which it changes nothing."

    assert section_of("acp:vibe", None).missing_levels == {"plan": reason}
    assert section_of("claude-code", None).missing_levels == {}
    assert section_of("acp:fast-agent", None).missing_levels == {}


def test_what_an_agent_has_at_a_level_is_said_before_a_message_is_sent():
    notes = section_of("acp:fast-agent", None).level_notes

    assert notes["readonly"].startswith("fast-agent never asks before a command")
    assert section_of("claude-code", None).level_notes == {}


def test_of_an_agent_that_is_not_known_its_program_decides():
    tier = {"key": "smart", "label": "Own", "description": "Its own", "icon": "zap"}
    entry = {"kind": "acp:mine", "title": "Mine", "needs": "capability", "tiers": [tier]}

    sections = all_sections(read_catalog({"agents": [entry]}), has_any_key=False, machine=None)

    assert sections[0].level_notes.keys() == {"readonly", "plan"}


@pytest.mark.parametrize(
    ("levels", "note", "missing"),
    [
        pytest.param(["auto"], "may not ask", True, id="neither"),
        pytest.param(["auto", "readonly"], "a mode that asks", True, id="it asks"),
        pytest.param(["auto", "readonly", "plan"], "a mode that asks", False, id="both"),
    ],
)
def test_once_its_program_has_run_that_is_known(levels, note, missing):
    tier = {"key": "smart", "label": "Own", "description": "Its own", "icon": "zap"}
    entry = {"kind": "acp:mine", "title": "Mine", "needs": "capability", "tiers": [tier]}
    (section,) = all_sections(read_catalog({"agents": [entry]}), has_any_key=False, machine=None)

    known = with_levels(section, levels)

    reason = {"plan": "Mine has no mode in which it changes nothing."}
    assert (list(known.level_notes), known.missing_levels) == (
        ["readonly"],
        reason if missing else {},
    )
    assert note in known.level_notes["readonly"]
    assert with_levels(section, None) == section


def test_what_a_program_says_changes_nothing_about_an_agent_that_is_known():
    section = section_of("acp:vibe", None)

    assert with_levels(section, ["auto", "readonly", "plan"]) == section
