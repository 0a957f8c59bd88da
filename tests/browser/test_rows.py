"""What can be done to a chat in the list: rename, and delete with a way back."""

import pytest
from playwright.sync_api import expect

from tests.browser import made_up
from tests.waiting import until

OTHER = "66666666-6666-4666-8666-666666666666"


@pytest.fixture
def listed(page, server):
    """Return ``listed(path)``: a page with two chats in its list."""

    def open_it(path="/home/"):
        server.add_thread(OTHER, title="Old")
        server.add_thread(title="Fix it")
        page.clock.install()
        page.goto(server.url + path)

    return open_it


def row(page, title):
    return page.locator(".row", has_text=title)


def act(page, title, name):
    row(page, title).hover()
    row(page, title).locator(".row__more").click()
    page.get_by_role("button", name=name, exact=True).click()


def test_a_chat_is_renamed_where_it_stands(page, server, listed):
    listed()
    act(page, "Fix it", "Rename")
    page.get_by_label("New name").fill("Fix the login")
    page.keyboard.press("Enter")

    expect(row(page, "Fix the login")).to_be_visible()
    until(lambda: any(each["title"] == "Fix the login" for each in server.threads))


def test_escape_leaves_the_name_as_it_was(page, server, listed):
    listed()
    act(page, "Fix it", "Rename")
    page.get_by_label("New name").fill("Something else")
    page.keyboard.press("Escape")

    expect(row(page, "Fix it")).to_be_visible()
    assert {each["title"] for each in server.threads} == {"Fix it", "Old"}


def test_fresh_rows_do_not_take_a_name_that_is_being_written(page, server, listed):
    listed()
    act(page, "Fix it", "Rename")
    page.get_by_label("New name").fill("Half a na")

    with page.expect_response("**/live?*"):
        server.change(OTHER, status="running")
        page.clock.run_for(300)

    expect(page.get_by_label("New name")).to_have_value("Half a na")
    expect(page.get_by_label("New name")).to_be_focused()


def test_a_deletion_can_be_undone(page, server, listed):
    listed()
    act(page, "Old", "Delete")
    expect(row(page, "Old")).to_be_hidden()
    expect(page.locator("#toast")).to_contain_text("“Old” was deleted.")

    page.get_by_role("button", name="Undo").click()
    page.clock.run_for(10_000)

    expect(row(page, "Old")).to_be_visible()
    assert len(server.threads) == 2


def test_a_deletion_that_nobody_took_back_is_done(page, server, listed):
    listed()
    act(page, "Old", "Delete")
    page.clock.run_for(7_000)

    until(lambda: [each["title"] for each in server.threads] == ["Fix it"])
    expect(page.locator("#toast")).to_be_hidden()


def test_a_page_that_is_left_deletes_at_once(page, server, listed):
    listed()
    act(page, "Old", "Delete")
    page.goto("about:blank")

    until(lambda: len(server.threads) == 1)


def test_deleting_the_open_chat_opens_a_new_one(page, server, listed):
    listed(f"/home/threads/{made_up.THREAD}")
    act(page, "Fix it", "Delete")
    page.clock.run_for(7_000)

    expect(page).to_have_url(f"{server.url}/home/")


def test_what_is_before_the_persons_eyes_is_read(page, server):
    server.add_thread(unread=True)
    page.goto(f"{server.url}/home/")
    mark = page.locator(f"#row-{made_up.THREAD} .mark--unread")
    expect(mark).to_be_visible()

    page.locator(f"#row-{made_up.THREAD} .row__link").click()

    expect(mark).to_have_count(0)
    until(lambda: ("PUT", "seen", None) in server.asked)


def test_an_answer_that_ends_while_it_is_watched_is_read(page, server):
    server.add_thread()
    page.goto(f"{server.url}/home/threads/{made_up.THREAD}")
    server.wait_until_followed()
    assert not server.asked

    server.change(unread=True)

    until(lambda: ("PUT", "seen", None) in server.asked)
