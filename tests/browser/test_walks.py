"""A person's ways through a chat: by keyboard, on small and zoomed screens, in other scripts, with
a long past, on a slow network, back and forward, in two tabs and on two devices."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

from tests.browser import made_up
from tests.waiting import until

CHAT = f"/home/threads/{made_up.THREAD}"
NEW = f"/home/threads/{made_up.NEW_THREAD}"
OTHER = "66666666-6666-4666-8666-666666666666"
SLOW_3G = {
    "offline": False,
    "latency": 400,  # milliseconds
    "downloadThroughput": 400 * 1024 / 8,
    "uploadThroughput": 400 * 1024 / 8,
}


def press(page, *keys):
    for key in keys:
        page.keyboard.press(key)


def tab_to(page, locator, *, key="Tab", most=60):
    """Press Tab until ``locator`` has the focus, which must be visible there."""
    for _ in range(most):
        if locator.evaluate("node => node === document.activeElement"):
            ring = locator.evaluate("node => getComputedStyle(node).outlineStyle")
            assert ring != "none", f"no ring around {locator}"
            return
        page.keyboard.press(key)
    raise AssertionError(f"Tab does not lead to {locator}")


def fits(page):
    """Return whether nothing is wider than the window."""
    return page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_by_keyboard_alone(page, server):
    server.add_thread(OTHER, title="Old")
    server.open(page)
    expect(page.locator("#text")).to_be_focused()
    page.keyboard.type("clean up")
    press(page, "Enter")
    until(lambda: server.posts)
    expect(page.locator("#title")).to_be_visible()
    server.wait_until_followed(made_up.NEW_THREAD)
    server.say(*made_up.begin(), *made_up.ask("rm -rf build"), thread=made_up.NEW_THREAD)

    allow = page.get_by_role("button", name="Allow", exact=True)
    expect(allow).to_be_visible()
    tab_to(page, allow, key="Shift+Tab")
    press(page, "Enter")
    until(lambda: server.answers)
    assert server.answers[0]["decision"] == "allow"
    server.say(made_up.answered("applied"), made_up.delta("x"), thread=made_up.NEW_THREAD)

    stop = page.get_by_role("button", name="Stop the agent")
    page.locator("#text").focus()
    tab_to(page, stop)
    press(page, "Enter")
    until(lambda: server.cancelled)
    server.say({"type": "abort"}, *made_up.end("cancelled"), thread=made_up.NEW_THREAD)
    expect(page.locator("#text")).to_be_focused()

    tab_to(page, page.get_by_role("button", name="Rename or delete Old"), key="Shift+Tab")
    press(page, "Enter")
    expect(page.get_by_role("button", name="Rename", exact=True)).to_be_focused()
    press(page, "Enter")
    page.keyboard.type("Older")
    press(page, "Enter")
    until(lambda: any(each["title"] == "Older" for each in server.threads))

    press(page, "Control+k")
    expect(page.locator("#search")).to_be_focused()
    page.keyboard.type("older")
    expect(page.locator(".row:visible")).to_have_count(1)
    press(page, "ArrowDown")
    expect(page.locator(f"#row-{OTHER} .row__link")).to_be_focused()
    press(page, "Tab", "Enter")
    expect(page.get_by_role("button", name="Rename", exact=True)).to_be_focused()
    tab_to(page, page.get_by_role("button", name="Delete", exact=True))
    press(page, "Enter")
    expect(page.get_by_role("button", name="Undo")).to_be_focused()
    expect(page.locator(f"#row-{OTHER}")).to_be_hidden()

    tab_to(page, page.locator(".user"))
    press(page, "Enter")
    tab_to(page, page.get_by_role("link", name="Your machines"))
    press(page, "Enter")
    expect(page.get_by_role("heading", name="machines")).to_be_visible()


SCREENS = {
    "a phone": {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True},
    "200 % zoom": {"viewport": {"width": 640, "height": 480}, "device_scale_factor": 2},
}


@pytest.mark.parametrize("screen", SCREENS.values(), ids=SCREENS)
def test_on_a_small_screen(browser, server, screen):
    context = browser.new_context(**screen)
    page = context.new_page()
    server.add_thread(OTHER, title="Old")
    server.add_thread(messages=made_up.conversation(), title="Fix it", status="running")
    server.open(page, CHAT)
    server.wait_until_followed()
    assert fits(page)
    page.locator("#text").fill("and then?")
    page.get_by_role("button", name="Send message").click()
    until(lambda: server.posts)
    server.say(*made_up.begin(), *made_up.ask("rm -rf build"))
    allow = page.get_by_role("button", name="Allow", exact=True)
    expect(allow).to_be_in_viewport()
    expect(page.locator("#text")).to_be_in_viewport()
    assert fits(page)
    allow.click()
    until(lambda: server.answers)

    page.get_by_role("button", name="Show chats").click()
    expect(page.get_by_role("button", name="Rename or delete Old")).to_be_in_viewport()
    assert fits(page)
    page.get_by_role("link", name="Old", exact=True).click()
    expect(page.locator("#title")).to_have_text("Old")
    context.close()


HEBREW, ARABIC = "תקן את ההפניה ב־login.py", "أصلح هذا"
RIGHT_TO_LEFT = f"""{HEBREW}:

- {ARABIC}

```python
print("{ARABIC}")
```
"""


def direction(locator):
    """Return "rtl" or "ltr": on which side of the last character the first one stands."""
    return locator.evaluate(
        """node => {
          const text = document.createTreeWalker(node, NodeFilter.SHOW_TEXT);
          const nodes = [];
          while (text.nextNode()) if (text.currentNode.data.trim()) nodes.push(text.currentNode);
          const at = (node, offset) => {
            const range = document.createRange();
            range.setStart(node, offset);
            range.setEnd(node, offset + 1);
            return range.getBoundingClientRect().left;
          };
          const last = nodes.at(-1);
          const ends = [at(nodes[0], 0), at(last, last.data.trimEnd().length - 1)];
          return ends[0] > ends[1] ? "rtl" : "ltr";
        }"""
    )


def test_right_to_left(page, server):
    said = [made_up.mine(HEBREW), made_up.answer(made_up.text(RIGHT_TO_LEFT))]
    server.add_thread(messages=said, title=HEBREW)
    server.open(page, CHAT)

    answer = page.locator(".message--answer")
    assert direction(answer.locator("p").first) == "rtl"
    assert direction(answer.locator("li").first) == "rtl"
    assert direction(answer.locator("pre code")) == "ltr"
    assert direction(page.locator(".bubble")) == "rtl"
    assert direction(page.locator(".row__title")) == "rtl"
    assert direction(page.locator("#title")) == "rtl"
    mark = "node => getComputedStyle(node.parentNode).direction"
    assert answer.locator("li").first.evaluate(mark) == "rtl"
    page.locator("#text").fill(HEBREW)
    assert page.locator("#text").evaluate("node => getComputedStyle(node).direction") == "rtl"
    page.locator("#text").fill("and in English")
    assert page.locator("#text").evaluate("node => getComputedStyle(node).direction") == "ltr"


def test_three_hundred_messages(page, server):
    said = []
    for n in range(150):
        said.append(made_up.mine(f"question {n}", f"m-{n}"))
        said.append(made_up.answer(made_up.text(f"answer {n}"), id=f"a-{n}"))
    server.add_thread(messages=said, title="Long")
    server.open(page, CHAT)
    expect(page.locator(".message").last).to_be_in_viewport()
    assert page.locator(".message").count() < 200

    for _ in range(300):
        if page.get_by_text("question 0", exact=True).count():
            break
        page.locator("#transcript").evaluate("node => { node.scrollTop = 0; }")
    expect(page.locator(".bubble")).to_have_text([f"question {n}" for n in range(150)])
    expect(page.locator(".earlier")).to_be_hidden()
    page.locator("#text").fill("one more")
    press(page, "Enter")

    expect(page.locator(".message--mine").last).to_be_in_viewport()


@pytest.fixture
def slow(page):
    session = page.context.new_cdp_session(page)
    session.send("Network.enable")
    session.send("Network.emulateNetworkConditions", SLOW_3G)
    return page


def test_the_first_picture_without_any_script_says_what_comes(page, server):
    server.add_thread(messages=made_up.conversation(), title="Fix it")
    held = []
    page.route("**/page.js", lambda route: held.append(route))
    page.goto(server.url + CHAT, wait_until="commit")
    until(lambda: page.evaluate("1") and held)

    hint = "node => [getComputedStyle(node, '::after')].map((it) => it.content + it.opacity)[0]"
    until(lambda: page.locator("#messages").evaluate(hint) == '"Loading the conversation…"1')
    expect(page.locator("#title")).to_have_text("Fix it")
    expect(page.locator("#text")).to_be_editable()
    held[0].continue_()
    expect(page.locator(".message").last).to_be_visible()
    assert "Loading" not in page.locator("#messages").evaluate(hint)


def test_on_slow_3g(slow, server):
    server.add_thread(messages=made_up.conversation(), title="Fix it")
    slow.goto(server.url + CHAT, wait_until="commit", timeout=60_000)
    expect(slow.locator("#text")).to_be_visible()
    expect(slow.locator("#title")).to_have_text("Fix it")
    slow.locator("#text").press_sequentially("typed early")

    expect(slow.locator("body")).to_have_attribute("data-ready", "", timeout=90_000)
    expect(slow.locator("#text")).to_have_value("typed early")
    expect(slow.locator(".message").last).to_be_in_viewport()
    press(slow, "Enter")
    expect(slow.locator(".message--sending")).to_have_count(1)
    until(lambda: server.posts)
    expect(slow.locator(".message--sending")).to_have_count(0)


def begin_chat(page, server):
    """Make the empty page a chat by its first message, and keep that at the server."""
    server.open(page)
    page.keyboard.type("a new one")
    press(page, "Enter")
    until(lambda: server.posts)
    page.wait_for_url(f"**{NEW}")
    server.messages[made_up.NEW_THREAD] = [
        made_up.mine("a new one", server.posts[0]["messages"][0]["id"])
    ]


def test_back_and_forward(page, server):
    server.add_thread(OTHER, messages=[made_up.mine("long ago")], title="Old")
    begin_chat(page, server)
    page.locator(f"#row-{OTHER} a").click()
    expect(page.locator(".bubble")).to_have_text("long ago")
    page.locator("#text").fill("half a thought")

    page.go_back()
    expect(page.locator(".bubble")).to_have_text("a new one")
    expect(page.locator("#text")).to_have_value("")
    page.go_back()
    expect(page.locator("#welcome")).to_be_attached()
    expect(page.locator(".bubble")).to_have_count(0)
    page.go_forward()
    expect(page.locator(".bubble")).to_have_text("a new one")
    page.go_forward()
    expect(page.locator(".bubble")).to_have_text("long ago")
    expect(page.locator("#text")).to_have_value("half a thought")


def test_forward_before_the_page_s_script_has_run(page, server):
    begin_chat(page, server)
    page.reload()  # so that Back and Forward change the address alone, and the script reloads
    expect(page.locator("body")).to_have_attribute("data-ready", "")
    held = []
    page.route("**/page.js", lambda route: held.append(route), times=1)
    with page.expect_request("**/page.js"):
        page.evaluate("history.back()")
    expect(page.locator("#welcome")).to_be_attached()

    page.evaluate("history.forward()")
    page.wait_for_url(f"**{NEW}", wait_until="commit")
    held[0].continue_()

    expect(page.locator(".bubble")).to_have_text("a new one")


@pytest.fixture(params=["two tabs", "two devices"])
def two(request, page, browser, server):
    """Two pages on one chat: of one browser, or of two."""
    context = page.context if request.param == "two tabs" else browser.new_context()
    other = context.new_page()
    server.add_thread(messages=[made_up.mine("go")], title="Go")
    for each in (page, other):
        server.open(each, CHAT)
    yield page, other
    if context != page.context:
        context.close()


def test_two_pages_show_one_chat(two, server):
    first, second = two
    second.locator("#text").fill("of the second")
    first.locator("#text").fill("hello")
    press(first, "Enter")
    until(lambda: server.posts)
    expect(second.locator(".bubble")).to_have_text(["go", "hello"])
    expect(second.locator("#text")).to_have_value("of the second")

    server.say(*made_up.begin(), *made_up.ask("rm -rf build"))
    for page in two:
        expect(page.locator(".approval")).to_be_visible()
    second.get_by_role("button", name="Allow", exact=True).click()
    until(lambda: server.answers)
    server.say(made_up.answered("answered"))
    expect(first.get_by_role("button", name="Allow", exact=True)).to_have_count(0)
    server.say(made_up.answered("applied"), *made_up.end())
    for page in two:
        expect(page.locator(".approval")).to_have_count(0)
        expect(page.locator("#stop")).to_be_hidden()

    server.change(title="Renamed")
    for page in two:
        expect(page.locator("#title")).to_have_text("Renamed")
        expect(page).to_have_title(re.compile("Renamed"))
