"""The chat context: one answer for the page and for the handler of a message."""

from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID, uuid4

import pytest

from agents.context import ELSEWHERE, NO_FILES, Keys, LastPick, chat_context
from agents.models import Agent
from links.selectors import LinkView

AGENT = Agent(slug="default", title="Mesh")
HERE = uuid4()
READY = {"claude-code": {"state": "ready", "version": "2.1.330", "detail": ""}}


@dataclass
class Pinned:
    harness_id: str = ""
    link_id: UUID | None = None


def link(**changes):
    given = {
        "id": HERE,
        "name": "walnut",
        "machine_id": "m",
        "state": "online",
        "cause": "",
        "capabilities": ("decopilot-sandbox", "claude-code"),
        "harnesses": READY,
        "cli_version": "1",
        "protocol_version": 1,
        "created_at": datetime(2026, 1, 5, tzinfo=UTC),
        "seen_at": None,
    }
    return LinkView(**given | changes)


def context(*links, pins=None, choice="", agent=AGENT, machine="", keys=None):
    wanted = LastPick(choice=choice, link_id=str(machine))
    return chat_context(agent=agent, links=links, pins=pins, wanted=wanted, keys=keys)


def states(chat):
    return {section.kind: section.state for section in chat.sections}


def test_only_agents_that_can_be_run_are_shown():
    assert states(context(link())) == {
        "decopilot": "unavailable",
        "claude-code": "enabled",
        "codex": "unavailable",
        "acp:gemini": "unavailable",
        "acp:opencode": "unavailable",
        "demo": "enabled",
    }


def test_an_agent_that_few_people_have_is_listed_where_its_program_was_found():
    found = link(harnesses={"acp:qwen": {"state": "not_signed_in"}})

    assert states(context(found))["acp:qwen"] == "unavailable"
    assert "acp:copilot" not in states(context(found))
    assert context(link(), pins=Pinned(harness_id="acp:qwen")).find("acp:qwen")


@pytest.mark.parametrize(
    ("links", "active"),
    [
        pytest.param([link()], ("claude-code", "smart"), id="claude is ready"),
        pytest.param([link(capabilities=())], ("demo", "fast"), id="claude is missing"),
        pytest.param([link(state="offline")], ("claude-code", "smart"), id="offline, had claude"),
        pytest.param([], ("claude-code", "smart"), id="no machine"),
    ],
)
def test_the_agent_that_answers_when_none_was_picked(links, active):
    assert context(*links).active == active


@pytest.mark.parametrize(
    ("choice", "active"),
    [
        ("demo:fast", ("demo", "fast")),
        ("demo:smart", ("demo", "fast")),  # it has one tier
        ("claude-code:thinking", ("claude-code", "thinking")),
        ("claude-code:huge", ("claude-code", "smart")),
        ("codex:fast", ("codex", "fast")),
        ("acp:opencode:fast", ("acp:opencode", "smart")),  # it has one tier
        ("decopilot:fast", ("decopilot", "fast")),  # also while there is no key
        ("decopilot-laptop", ("claude-code", "smart")),
        ("", ("claude-code", "smart")),
    ],
)
def test_the_last_pick_counts_if_it_can(choice, active):
    assert context(link(), choice=choice).active == active


def test_a_pick_stays_shown_while_it_is_unavailable():
    """U-I"""
    chat = context(link(state="offline", cause="network"), choice="claude-code:fast")

    assert chat.active == ("claude-code", "fast")
    assert chat.find("claude-code").reason.startswith(
        "walnut is offline. It has lost its connection"
    )
    assert not chat.allows("claude-code", "fast")


def test_a_locked_thread_keeps_agent_and_machine_but_not_the_tier():
    other = link(id=uuid4(), name="other")
    pins = Pinned("claude-code", HERE)

    chat = context(other, link(), pins=pins, choice="demo:thinking")

    assert chat.locked
    assert chat.active == ("claude-code", "thinking")
    assert states(chat) == {
        "decopilot": "locked",
        "claude-code": "enabled",
        "codex": "locked",
        "acp:gemini": "locked",
        "acp:opencode": "locked",
        "demo": "locked",
    }
    assert chat.find("claude-code").machine.name == "walnut"


def test_empty_pins_lock_nothing():
    chat = context(link(), pins=Pinned())

    assert (chat.locked, states(chat)["demo"]) == (False, "enabled")


def test_a_thread_whose_machine_was_removed_says_so():
    chat = context(link(), pins=Pinned("claude-code", uuid4()))

    section = chat.find("claude-code")
    assert section.state == "unavailable"
    assert "removed" in section.reason
    assert "new chat" in section.action


def test_a_thread_of_an_agent_that_can_not_be_run_here_is_shown_as_such():
    chat = context(link(), pins=Pinned("decopilot", HERE))

    assert chat.active == ("decopilot", "smart")
    assert chat.find("decopilot").state == "unavailable"


def test_a_thread_of_an_agent_nobody_knows_has_no_active_section_of_it():
    chat = context(link(), pins=Pinned("gone", HERE))

    assert set(states(chat).values()) == {"locked"}
    assert not chat.allows("gone", "smart")


@pytest.mark.parametrize(
    ("kind", "tier", "may"),
    [
        ("claude-code", "smart", True),
        ("claude-code", "huge", False),
        ("demo", "fast", True),
        ("codex", "smart", False),
    ],
)
def test_what_may_be_sent_is_what_is_shown_enabled(kind, tier, may):
    assert context(link()).allows(kind, tier) is may


@pytest.mark.parametrize(
    ("models", "state", "tiers"),
    [
        ({"fast": "f", "smart": "s", "thinking": "t"}, "enabled", ["fast", "smart", "thinking"]),
        ({"smart": "s"}, "enabled", ["smart"]),
        ({}, "unavailable", ["fast", "smart", "thinking"]),
    ],
)
def test_decopilot_is_offered_at_the_tiers_that_have_a_model(models, state, tiers):
    keys = Keys(has_any=True, models=models)
    chat = context(choice="decopilot:thinking", keys=keys)
    section = chat.find("decopilot")

    assert (section.state, [tier.key for tier in section.tiers]) == (state, tiers)
    assert chat.active == ("decopilot", tiers[-1])
    for tier in ("fast", "smart", "thinking"):
        assert chat.allows("decopilot", tier) is keys.answers_at(tier)


# The agent's files

TALKER = Agent(slug="talker", title="Talker", metadata={"files": "none"})
AWAY = uuid4()
WITH_FOLDER = Agent(slug="f", title="F", metadata={"folder": "/code", "folderLink": str(HERE)})


def test_an_agent_without_files_has_nobody_on_a_machine():
    """W3, UI-D4: no row that can be clicked without effect."""
    chat = context(link(), agent=TALKER, choice="claude-code:smart")

    assert set(states(chat).values()) == {"unavailable"}
    assert chat.find("claude-code").reason == NO_FILES
    assert not chat.allows("claude-code", "smart")


def test_a_folder_is_worked_on_by_its_machine_alone():
    chat = context(link(id=AWAY, name="other"), link(), agent=WITH_FOLDER, machine=AWAY)

    assert chat.machine.name == "walnut"
    assert chat.machines == ()


def test_a_folder_on_someone_elses_machine_says_so():
    chat = context(link(id=AWAY), agent=WITH_FOLDER)

    assert chat.find("claude-code").reason == ELSEWHERE


def test_an_agent_may_begin_with_a_program_of_its_own():
    agent = Agent(slug="a", title="A", default_choice="codex:fast")

    assert context(link(), agent=agent).active == ("codex", "fast")
    assert context(link(), agent=agent, choice="demo:fast").active == ("demo", "fast")


# Machines


def test_one_machine_is_no_choice():
    assert context(link()).machines == ()


def test_of_several_machines_the_first_counts_until_one_is_picked():
    links = link(), link(id=AWAY, name="birch", capabilities=())

    assert [machine.name for machine in context(*links).machines] == ["walnut", "birch"]
    assert context(*links).find("claude-code").machine.name == "walnut"
    assert context(*links, machine=AWAY).find("claude-code").state == "unavailable"
    assert context(*links, machine=AWAY).machine.name == "birch"


def test_a_picked_machine_that_went_away_is_not_swapped_for_another():
    """U-I"""
    chat = context(link(), link(id=AWAY, name="birch", state="offline"), machine=AWAY)

    assert chat.machine.name == "birch"
    assert chat.find("claude-code").state == "unavailable"


@pytest.mark.parametrize("machine", ["", "nonsense", uuid4()])
def test_a_pick_that_is_nobodys_counts_as_none(machine):
    assert context(link(), machine=machine).machine.name == "walnut"


def test_a_locked_thread_has_no_machine_to_choose():
    chat = context(link(), link(id=AWAY), pins=Pinned("claude-code", HERE), machine=AWAY)

    assert (chat.machine.id, chat.machines) == (str(HERE), ())


# Without any provider


@pytest.mark.parametrize(
    ("links", "agent", "keys", "needs"),
    [
        pytest.param([link()], AGENT, Keys(), False, id="a machine has an agent"),
        pytest.param([], AGENT, Keys(has_any=True), False, id="a key"),
        pytest.param([], AGENT, Keys(), True, id="neither"),
        pytest.param([link(state="offline")], AGENT, Keys(), True, id="offline"),
        pytest.param([link(capabilities=("x",))], AGENT, Keys(), True, id="only the demo"),
        pytest.param([link()], TALKER, Keys(), True, id="the agent has no files"),
    ],
)
def test_when_a_provider_has_to_be_connected_first(links, agent, keys, needs):
    """chat-ui.md §4"""
    assert context(*links, agent=agent, keys=keys).needs_provider is needs
