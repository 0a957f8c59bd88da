"""Enter, in every field: it acts once, never while an input method composes, and never by touch
where it writes a new line."""

import pytest
from playwright.sync_api import expect

from tests.browser import made_up
from tests.browser.test_approvals import question
from tests.browser.test_queue import RUNS, waits
from tests.waiting import until

CHAT = f"/home/threads/{made_up.THREAD}"


def on_chat(page, server, *chunks):
    server.add_thread(messages=[made_up.mine("go")], title="Go", status="running")
    page.goto(server.url + CHAT)
    server.wait_until_followed()
    if chunks:
        server.say(*made_up.begin(), *chunks)


def composer(page, server):
    on_chat(page, server)
    return page.locator("#text"), lambda: server.posts


def queue_edit(page, server):
    on_chat(page, server, made_up.delta("working"))
    server.say(*waits("first", 0), run=RUNS[0])
    page.get_by_role("button", name="Edit: first").click()
    return page.get_by_role("textbox", name="Edit the message"), lambda: server.asked


def reason(page, server):
    on_chat(page, server, *made_up.ask("rm -rf /"))
    page.get_by_role("button", name="Deny with a reason").click()
    return page.get_by_role("textbox", name="Why not?"), lambda: server.answers


def own_answer(page, server):
    on_chat(page, server, *question())
    own = page.get_by_role("textbox", name="Something else")
    return own, page.locator(".ask__question", has_text="How many?").count


def rename(page, server):
    on_chat(page, server)
    if page.get_by_role("button", name="Show chats").is_visible():
        page.get_by_role("button", name="Show chats").click()
    page.locator(".row__more").click()
    page.get_by_role("button", name="Rename", exact=True).click()
    return page.get_by_label("New name"), lambda: server.threads[0]["title"] != "Go"


def search(page, server):
    server.add_thread(messages=[made_up.mine("go")], title="Go")
    server.open(page)
    return page.locator("#search"), page.locator(".message").count


def branch(page, server):
    server.chat = made_up.chat(source=made_up.source("repository"))
    server.open(page)
    page.locator("#branch-pill").click()
    return page.locator("#branch-typed"), page.locator("#branch-menu").is_hidden


FIELDS = [composer, queue_edit, reason, own_answer, rename, search, branch]
LINES = [composer, queue_edit, reason, own_answer]


def press_as_a_composition_does(page, *, is_told):
    """Press the Enter that ends a composition: Chrome and Firefox tell, Safari sends its number."""
    if is_told:
        key = "{ key: 'Enter', isComposing: true, bubbles: true, cancelable: true }"
        page.evaluate(f"document.activeElement.dispatchEvent(new KeyboardEvent('keydown', {key}))")
        return
    session = page.context.new_cdp_session(page)
    key = {"key": "Enter", "code": "Enter", "windowsVirtualKeyCode": 229}
    session.send("Input.dispatchKeyEvent", {"type": "rawKeyDown", **key})
    session.send("Input.dispatchKeyEvent", {"type": "keyUp", **key})


@pytest.mark.parametrize("is_told", [True, False], ids=["isComposing", "number 229"])
@pytest.mark.parametrize("field", FIELDS, ids=lambda field: field.__name__)
def test_the_enter_that_ends_a_composition_does_nothing_and_the_next_one_acts(
    page, server, field, is_told
):
    box, has_acted = field(page, server)
    box.fill("go")
    box.focus()
    press_as_a_composition_does(page, is_told=is_told)
    expect(box).to_be_focused()
    expect(box).to_have_value("go")
    assert not has_acted()

    box.fill("go on" if field is not search else "go")
    page.keyboard.press("Enter")

    until(has_acted)


@pytest.fixture
def touch(browser):
    """A page on a phone."""
    size = {"width": 390, "height": 844}
    context = browser.new_context(viewport=size, has_touch=True, is_mobile=True)
    page = context.new_page()
    yield page
    context.close()


@pytest.mark.parametrize("field", LINES, ids=lambda field: field.__name__)
def test_by_touch_enter_writes_a_new_line_and_with_control_it_acts(touch, server, field):
    box, has_acted = field(touch, server)
    box.fill("one")
    box.press("End")
    touch.keyboard.press("Enter")
    touch.keyboard.type("two")
    expect(box).to_have_value("one\ntwo")
    assert not has_acted()

    touch.keyboard.press("Control+Enter")

    until(has_acted)


@pytest.mark.parametrize("key", ["Shift+Enter", "Enter"])
def test_with_a_keyboard_shift_decides(page, server, key):
    box, has_acted = composer(page, server)
    box.fill("one")
    page.keyboard.press(key)

    if key == "Enter":
        until(has_acted)
    else:
        expect(box).to_have_value("one\n")


def test_by_touch_a_name_of_one_line_is_still_given_with_enter(touch, server):
    box, has_acted = rename(touch, server)
    box.fill("Gone")
    touch.keyboard.press("Enter")

    until(has_acted)
