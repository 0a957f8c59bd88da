"""A new chat: whom it is with, on which branch, and what is missing before anybody can answer."""

import pytest
from playwright.sync_api import expect

from tests.browser import made_up
from tests.waiting import until


@pytest.fixture
def with_repository(server):
    server.chat = made_up.chat(source=made_up.source("repository"))
    server.branches = ["fix/login"]
    return server


def send(page, server):
    page.locator("#text").fill("hi")
    page.keyboard.press("Enter")
    until(lambda: server.posts)
    return server.posts[0]


def test_without_a_choice_no_branch_is_sent(page, with_repository):
    with_repository.open(page)

    expect(page.locator("#branch-words")).to_have_text("New branch")
    assert "branch" not in send(page, with_repository)


@pytest.mark.parametrize("name", ["deco/quiet-otter", "fix/login"])
def test_a_picked_branch_is_pinned_by_the_first_message(page, with_repository, name):
    with_repository.open(page)
    page.locator("#branch-pill").click()
    page.get_by_text(name, exact=True).click()

    expect(page.locator("#branch-menu")).to_be_hidden()
    expect(page.locator("#branch-words")).to_have_text(name)
    assert send(page, with_repository)["branch"] == name


def test_a_typed_branch_goes_before_a_picked_one(page, with_repository):
    with_repository.open(page)
    page.locator("#branch-pill").click()
    page.locator("#branch-typed").fill("topic/x")
    page.keyboard.press("Enter")

    expect(page.locator("#branch-words")).to_have_text("topic/x")
    assert send(page, with_repository)["branch"] == "topic/x"


def test_one_click_starts_the_sandbox_and_its_failure_disturbs_nobody(page, with_repository):
    """W7."""
    with_repository.open(page)
    page.locator("#branch-pill").click()
    page.get_by_text("fix/login", exact=True).click()
    page.locator("#agent-pill").click()
    page.get_by_text("Opus", exact=True).click()

    until(lambda: with_repository.vm_starts)
    assert with_repository.vm_starts == [
        {"virtualMcpId": "default", "branch": "fix/login", "sandboxProviderKind": "remote-user"}
    ]
    assert send(page, with_repository)["tier"] == "thinking"
    expect(page.get_by_text("It is away.")).to_have_count(0)


def test_without_a_branch_no_sandbox_is_started(page, server):
    server.open(page)
    page.locator("#agent-pill").click()
    page.get_by_text("Opus", exact=True).click()

    send(page, server)
    assert server.vm_starts == []


def test_the_agents_are_links_that_need_no_script(page, server):
    server.agents = [made_up.agent(), made_up.agent("shop", "Shop")]
    server.open(page)
    page.locator("#who-pill").click()

    expect(page.get_by_role("link", name="Shop")).to_have_attribute("href", "/home/?agent=shop")


def test_with_one_agent_there_is_nothing_to_choose(page, server):
    server.agents = [made_up.agent()]
    server.open(page)

    expect(page.locator("#who-pill")).to_have_count(0)
    expect(page.get_by_text("What shall we work on?")).to_be_visible()


def test_where_nobody_can_answer_it_says_what_to_connect(page, server):
    server.links = []
    server.chat = made_up.chat(needs_provider=True, machine=None)
    server.open(page)

    expect(page.get_by_role("heading", name="Home is ready for agents")).to_be_visible()
    expect(page.locator(".tile")).to_have_count(2)
    page.locator(".tile", has_text="Connect your desktop").click()
    expect(page.locator("#connect")).to_be_visible()


def test_the_way_is_free_as_soon_as_a_desktop_with_an_agent_is_there(page, server):
    """The empty state goes by itself; chat-ui.md §4."""
    server.chat = made_up.chat(needs_provider=True)
    server.open(page)
    expect(page.locator("#ready")).to_contain_text("Desktop connected")

    server.chat = made_up.chat()
    server.change_link(cause="")

    expect(page.get_by_text("What shall we work on?")).to_be_visible()
    expect(page.locator("#ready")).to_have_count(0)


def test_the_header_names_the_desktop_and_what_is_on_it(page, server):
    server.links = [made_up.machine(capabilities=("claude-code", "codex"))]
    server.open(page)

    desk = page.locator(".bar__desktop")
    expect(desk).to_have_attribute("title", "mbp: Claude Code, Codex")
    desk.click()
    expect(page.locator("#connect")).to_be_visible()


def test_a_locked_branch_is_no_dead_end(page, server):
    server.add_thread(branch="fix/login")
    server.open(page, f"/home/threads/{made_up.THREAD}")

    chip = page.locator(".branch")
    expect(chip).to_have_attribute(
        "title", "This chat stays on this branch. Start another chat on fix/login"
    )
    expect(chip).to_have_attribute("href", "/home/?branch=fix%2Flogin")
