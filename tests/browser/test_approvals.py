"""A tool asks; the card shows all of what it asks for, and how far the answer has come."""

import re

import pytest
from playwright.sync_api import expect

from tests.browser import made_up
from tests.waiting import until


@pytest.fixture
def asked(page, server):
    """Return ``asked(*chunks)``: a page on which a run has asked."""

    def ask(*chunks):
        server.add_thread(messages=[made_up.mine("clean up")], title="Clean up")
        page.goto(f"{server.url}/home/threads/{made_up.THREAD}")
        server.wait_until_followed()
        server.say(*made_up.begin(), *chunks)
        page.locator(".approval").wait_for()
        return page

    return ask


@pytest.mark.parametrize("decision", ["Allow", "Deny"])
def test_an_answer_goes_out_once_and_its_stations_are_shown(asked, server, decision):
    page = asked(*made_up.ask("rm -rf build/"))
    expect(page.locator(".approval pre")).to_have_text("rm -rf build/")
    page.get_by_role("button", name=decision, exact=True).click()

    until(lambda: server.answers)
    word = decision.lower()
    assert server.answers == [{"thread": made_up.THREAD, "approval": "ask-1", "decision": word}]
    expect(page.locator(".approval")).to_contain_text("Allowed." if word == "allow" else "Denied.")
    server.say(made_up.answered("answered", word))
    expect(page.locator(".approval")).to_contain_text("on its way")
    server.say(made_up.answered("delivered", word))
    expect(page.locator(".approval")).to_contain_text("The machine has your answer")
    server.say(made_up.answered("applied", word))
    expect(page.locator(".approval")).to_have_count(0)


def test_title_and_favicon_call_the_person(asked, page):
    asked(*made_up.ask("ls"))

    expect(page).to_have_title("(1) Clean up · Mesh")
    assert "f5a524" in page.locator("link[rel=icon]").get_attribute("href")


def test_the_card_takes_no_focus_from_who_is_writing(asked, server, page):
    asked(*made_up.ask("ls"))

    expect(page.locator("#text")).to_be_focused()


def test_a_long_command_must_be_seen_before_it_is_allowed(asked, server):
    page = asked(*made_up.ask("\n".join(f"echo {number}" for number in range(80))))
    allow = page.get_by_role("button", name="Allow", exact=True)
    expect(allow).to_be_disabled()
    expect(page.get_by_role("button", name="Deny", exact=True)).to_be_enabled()

    page.get_by_role("button", name="Show all of it").click()

    expect(allow).to_be_enabled()
    expect(page.locator(".approval pre")).to_contain_text("echo 79")


def test_several_questions_come_one_after_the_other(asked, server):
    page = asked(
        *made_up.ask("first", id="t-1", approval="ask-1"),
        *made_up.ask("second", id="t-2", approval="ask-2"),
    )
    expect(page.locator(".approval")).to_contain_text("1 of 2")
    page.get_by_role("button", name="Allow", exact=True).click()

    expect(page.locator(".approval pre")).to_have_text("second")
    expect(page.locator(".approval")).to_be_focused()


def test_a_refused_answer_can_be_given_again(asked, server):
    page = asked(*made_up.ask("ls"))
    server.refusal = (
        409,
        {"code": "run_over", "message": "The run has ended.", "hint": "Send a new message."},
    )
    page.get_by_role("button", name="Allow", exact=True).click()

    expect(page.locator(".approval [role=alert]")).to_have_text(
        "The run has ended. Send a new message."
    )
    expect(page.get_by_role("button", name="Allow", exact=True)).to_be_visible()


def test_when_the_run_is_over_nothing_is_asked_any_more(asked, server):
    page = asked(*made_up.ask("ls"))
    server.say({"type": "abort"}, *made_up.end("cancelled"))

    expect(page.locator(".approval")).to_have_count(0)
    expect(page.locator(".tool")).to_contain_text("Stopped")
    expect(page).to_have_title(re.compile("^Clean up"))
