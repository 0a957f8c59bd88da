"""The menu of the agent's commands, above a message that begins with "/"."""

import pytest
from playwright.sync_api import expect

from tests.waiting import until

COMMANDS = [
    {"name": "init", "description": "Guided setup of AGENTS.md", "hint": ""},
    {"name": "review", "description": "Review changes", "hint": "commit|branch|pr"},
    {"name": "memory show", "description": "Shows the memory", "hint": ""},
    {"name": "compact", "description": "Shortens the conversation", "hint": "[how]"},
]


@pytest.fixture
def typed(page, server):
    """Return ``typed(text)``: a new chat in whose box ``text`` was typed."""
    server.commands = list(COMMANDS)

    def type_it(text):
        page.goto(f"{server.url}/home/")
        page.locator("#text").click()
        page.keyboard.type(text)
        return page.locator("#commands")

    return type_it


def names(menu):
    return [text.split(" ")[0] for text in menu.locator(".slash__name").all_inner_texts()]


def test_a_slash_offers_what_the_agent_announces(page, server, typed):
    menu = typed("/")

    expect(menu.get_by_role("option")).to_have_count(4)
    expect(menu).to_contain_text("Guided setup of AGENTS.md")
    (asked,) = [path for method, path, _ in server.asked if method == "GET"]
    assert "harnessId=claude-code" in asked
    expect(page.get_by_role("combobox", name="Message")).to_have_attribute("aria-expanded", "true")


def test_it_is_filtered_while_one_types_and_closes_for_words(page, typed):
    menu = typed("/re")
    expect(menu.get_by_role("option")).to_have_count(1)

    page.keyboard.type("xyz")
    expect(menu).to_be_hidden()


@pytest.mark.parametrize("key", ["Enter", "Tab"])
def test_the_keyboard_chooses_and_nothing_is_sent(page, server, typed, key):
    menu = typed("/")
    expect(menu).to_be_visible()

    page.keyboard.press("ArrowDown")
    page.keyboard.press(key)

    expect(page.locator("#text")).to_have_value("/review ")
    expect(menu).to_be_hidden()
    assert not server.posts


def test_arrows_wrap_and_are_told(page, typed):
    expect(typed("/")).to_be_visible()

    page.keyboard.press("ArrowUp")

    expect(page.locator("#text")).to_have_attribute("aria-activedescendant", "command-3")
    expect(page.locator("#command-3")).to_have_attribute("aria-selected", "true")


def test_a_command_typed_in_full_is_sent(page, server, typed):
    expect(typed("/init")).to_be_visible()

    page.keyboard.press("Enter")

    until(lambda: server.posts)
    assert server.posts[0]["messages"][0]["parts"][0]["text"] == "/init"


def test_a_path_is_words(page, server, typed):
    menu = typed("/etc/hosts is broken")
    expect(menu).to_be_hidden()

    page.keyboard.press("Enter")

    until(lambda: server.posts)
    assert server.posts[0]["messages"][0]["parts"][0]["text"] == "/etc/hosts is broken"


def test_escape_closes_it_until_the_next_message(page, typed):
    menu = typed("/")
    expect(menu).to_be_visible()

    page.keyboard.press("Escape")
    page.keyboard.type("r")
    expect(menu).to_be_hidden()

    page.locator("#text").fill("")
    page.keyboard.type("/")
    expect(menu).to_be_visible()


def test_a_click_chooses_and_keeps_the_focus(page, typed):
    typed("/").get_by_text("/memory show").click()

    expect(page.locator("#text")).to_have_value("/memory show ")
    expect(page.locator("#text")).to_be_focused()


def test_nothing_is_shown_for_an_agent_that_has_none(server, typed):
    server.commands.clear()

    menu = typed("/")

    until(lambda: server.asked)
    expect(menu).to_be_hidden()


def test_a_message_without_a_slash_asks_nothing(page, server, typed):
    typed("hello /init")

    assert not [path for _, path, _ in server.asked if "agent-options" in path]
    expect(page.locator("#commands")).to_have_count(0)
