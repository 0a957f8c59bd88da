"""The partials of the chat, each with made-up inputs; markup in data stays text."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from django.template.loader import render_to_string

from agents.core.options import Fine
from tests.browser import made_up

ORGANIZATION = SimpleNamespace(slug="home")


def row(**fields):
    context = {"row": made_up.summary(**fields), "organization": ORGANIZATION, "thread": None}
    return render_to_string("_partials/thread_row.html", context)


@pytest.mark.parametrize(
    ("status", "shown"),
    [
        pytest.param("requires_action", "needs you", id="asks for the person"),
        pytest.param("running", "running", id="works"),
        pytest.param("queued", "waiting", id="waits for its machine"),
        pytest.param("failed", "failed", id="failed"),
    ],
)
def test_a_row_says_its_state_in_words(status, shown):
    assert f'<span class="unseen">{shown}</span>' in row(status=status)


@pytest.mark.parametrize("status", ["idle", "completed", "cancelled"])
def test_a_row_at_rest_has_no_mark(status):
    assert "mark" not in row(status=status)


def test_an_unread_row_says_so_unless_it_is_open():
    thread = made_up.summary(unread=True)
    shown = {"row": thread, "organization": ORGANIZATION, "thread": None}

    assert "unread" in render_to_string("_partials/thread_row.html", shown)
    shown["thread"] = thread
    assert "unread" not in render_to_string("_partials/thread_row.html", shown)


def test_a_title_is_text():
    assert "&lt;b&gt;bold" in row(title="<b>bold")


def test_threads_stand_in_their_groups_and_empty_groups_are_left_out():
    threads = [
        made_up.summary(id=made_up.THREAD, title="Old", status="completed"),
        made_up.summary(id=made_up.NEW_THREAD, title="Asks", status="requires_action"),
    ]
    context = {"threads": threads, "organization": ORGANIZATION, "thread": None}
    html = render_to_string("_partials/thread_list.html", context)

    assert html.index("Needs you") < html.index("Asks") < html.index("Done") < html.index("Old")
    assert "Running" not in html


def test_an_empty_list_teaches():
    context = {"threads": [], "organization": ORGANIZATION, "thread": None}

    assert "No chats yet." in render_to_string("_partials/thread_list.html", context)


@pytest.mark.parametrize(
    ("state", "cause", "words"),
    [
        pytest.param("online", "", "online", id="online"),
        pytest.param("offline", "network", "offline · asleep or no network", id="no network"),
        pytest.param("offline", "stopped", "offline · deco_link was stopped", id="stopped"),
        pytest.param("offline", "moon phase", "offline · moon phase", id="a newer cause"),
        pytest.param("unknown", "", "not seen yet", id="nothing alarming while unknown"),
    ],
)
def test_a_machine_says_its_state_and_cause(state, cause, words):
    machine = made_up.machine(state=state, cause=cause)
    html = render_to_string("_partials/machine.html", {"machine": machine})

    assert f'<span class="machine__state">{words}</span>' in html
    assert html == render_to_string("_partials/machine.html", {"machine": vars(machine)})


def test_a_scratch_folder_is_no_branch():
    thread = made_up.summary(branch=f"thread:{made_up.THREAD}")

    assert "branch" not in render_to_string("_partials/thread_machine.html", {"thread": thread})


def section(**fields):
    shown = made_up.section("claude-code", "Claude Code", ("Haiku", "Sonnet", "Opus"), **fields)
    context = {"section": shown, "chat": made_up.chat(shown), "organization": ORGANIZATION}
    return render_to_string("_partials/agent_section.html", context)


def test_a_local_section_is_green_and_says_where():
    """U-C2: colour is never the only sign."""
    html = section()

    assert "agent--local" in html
    assert "· on mbp" in html
    assert "#i-laptop" in html


def test_a_section_of_the_cloud_has_no_local_sign():
    """U-C1."""
    html = section(is_local=False)

    assert "agent--local" not in html
    assert "#i-cloud" in html
    assert "· on" not in html


def test_the_chosen_tier_is_checked():
    """U-C5."""
    assert section().count(" checked>") == 1


@pytest.mark.parametrize("state", ["locked", "unavailable"])
def test_a_section_that_cannot_be_picked_says_why_and_what_to_do(state):
    """U-C3."""
    html = section(state=state, reason="It is away.", action="Wake it up.")

    assert 'disabled aria-disabled="true"' in html
    assert "It is away. Wake it up." in html


def test_a_lock_offers_a_new_chat_with_that_agent():
    html = section(state="locked", reason="Fixed for this thread.")

    assert 'href="/home/?choice=claude-code:smart">New chat with Claude Code' in html


def pill(chat):
    return render_to_string("_partials/agents.html", {"chat": chat, "organization": ORGANIZATION})


def test_the_pill_of_a_local_agent_is_green_and_named():
    """U-E2, U-E4."""
    html = pill(made_up.chat(active=("claude-code", "thinking")))

    assert 'class="pill pill--local"' in html
    assert 'aria-label="Agent: Claude Code · Opus on mbp"' in html


def test_the_pill_of_the_cloud_is_not_green():
    """U-E1."""
    cloud = made_up.section("decopilot", "Decopilot", ("Fast", "Smart", "Thinking"), is_local=False)

    assert "pill--local" not in pill(made_up.chat(cloud, active=("decopilot", "smart")))


def test_without_any_agent_the_pill_says_so():
    chat = SimpleNamespace(sections=(), active=None, fine=Fine(), locked=False, machine=None)

    assert "No agent available" in pill(chat)
    assert "Connect your desktop" in pill(chat)


KINDS = (("decopilot", False), ("claude-code", True), ("codex", True))


def three(*, locked=""):
    """Return a chat with three sections; all but ``locked`` are locked, where it is given."""
    states = {kind: "locked" if locked and kind != locked else "enabled" for kind, _ in KINDS}
    sections = [
        made_up.section(kind, kind.title(), ("A", "B", "C"), is_local=local, state=states[kind])
        for kind, local in KINDS
    ]
    return made_up.chat(*sections, locked=bool(locked))


def test_three_sections_are_three_blocks():
    """U-D1."""
    assert pill(three()).count('data-testid="agent-section"') == 3


def test_a_lock_disables_exactly_the_others():
    """U-D2."""
    html = pill(three(locked="claude-code"))

    assert html.count("disabled aria-disabled") == 2
    assert 'id="agent-claude-code" data-testid' in html


def test_the_pill_of_decopilot_says_its_tier():
    """U-E5."""
    cloud = made_up.section("decopilot", "Decopilot", ("Fast", "Smart", "Thinking"), is_local=False)

    assert "Decopilot · Smart" in pill(made_up.chat(cloud, active=("decopilot", "smart")))


def test_a_pick_that_is_unavailable_stays_on_the_pill_and_says_so():
    """U-I."""
    away = made_up.section(
        "claude-code", "Claude Code", ("Haiku", "Sonnet", "Opus"), state="unavailable"
    )

    html = pill(made_up.chat(away))
    assert "pill--off" in html
    assert "Claude Code · Sonnet on mbp, not available" in html


def test_several_machines_are_a_choice_of_their_own():
    machines = (made_up.machine(), made_up.machine(name="<b>", id="2", state="offline"))

    html = pill(made_up.chat(machines=machines))
    assert html.count('name="machine"') == 2
    assert html.count(" checked>") == 2  # a machine and a tier
    assert "&lt;b&gt;" in html
    assert 'name="machine"' not in pill(made_up.chat())


def test_every_row_belongs_to_a_form_that_needs_no_script():
    html = pill(made_up.chat(machines=(made_up.machine(), made_up.machine(id="2"))))

    assert html.count("<input ") == html.count('form="choose"') - 1  # and the button in noscript


@pytest.mark.parametrize("name", ["404.html", "500.html", "enter_refused.html"])
def test_error_pages_need_neither_person_nor_database(name):
    """No test here may touch the database: pytest-django refuses it without the mark."""
    assert "<h1>" in render_to_string(name, {})


@pytest.mark.parametrize("name", ["threads/home.html", "404.html"])
def test_no_page_has_inline_script_or_style(name):
    context = {
        "organization": ORGANIZATION,
        "user": SimpleNamespace(username="ada", get_full_name="", is_staff=False),
        "threads": [made_up.summary()],
        "links": [made_up.machine()],
        "chat": made_up.chat(),
        "data": {"title": "</script><script>alert(1)"},
    }
    html = render_to_string(name, context)

    assert " style=" not in html
    assert "<style" not in html
    assert " onclick" not in html
    assert "<script>" not in html


def connecting(*machines):
    return render_to_string("_partials/connect_state.html", {"links": machines})


@pytest.mark.parametrize(
    ("harnesses", "said"),
    [
        pytest.param({}, "Looking for agents", id="not looked at yet"),
        pytest.param({"codex": {"state": "ready"}}, "Available: Codex", id="one is ready"),
        pytest.param({"codex": {"state": "absent"}}, "No CLI agent was found", id="none is there"),
        pytest.param(
            {"codex": {"state": "timed_out"}}, "No CLI agent was found", id="none answers"
        ),
    ],
)
def test_a_desktop_that_came_online_says_what_it_can_do(harnesses, said):
    assert said in connecting(made_up.machine(harnesses=harnesses))


def test_a_desktops_name_is_text():
    assert "&lt;b&gt; is online" in connecting(made_up.machine(name="<b>"))


def test_a_phone_finds_the_server_by_a_qr_code():
    context = {"server": "https://mesh.example", "links": [], "offer": made_up.OFFER}
    html = render_to_string("_partials/connect.html", context)

    assert 'aria-label="QR code of https://mesh.example"' in html
    assert "<path" in html
    assert "style=" not in html
    assert "QR code" not in render_to_string("_partials/connect.html", {"links": []})
