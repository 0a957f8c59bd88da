"""How the page stands: on a phone, by keyboard, and what it costs."""

import gzip
import re

import pytest
from playwright.sync_api import expect

from tests.browser import made_up
from tests.browser.searching import search_in_vain_and_leave

CHAT = f"/home/threads/{made_up.THREAD}"


@pytest.fixture
def phone(browser):
    context = browser.new_context(
        viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True
    )
    yield context.new_page()
    context.close()


@pytest.fixture
def talked(server):
    wide = "| " + " | ".join(f"column{n}" for n in range(20)) + " |\n|" + "---|" * 20
    code = "```\n" + "x" * 400 + "\n```\n\n" + "y" * 400
    messages = [
        *made_up.conversation(),
        made_up.answer(made_up.text(f"{wide}\n\n{code}"), id="a-2"),
    ]
    server.add_thread(
        messages=messages, title="A title that is far too long for any phone's bar, so it is cut"
    )
    return server


@pytest.mark.parametrize("path", ["/home/", CHAT])
def test_on_a_phone_nothing_scrolls_sideways(phone, talked, path):
    phone.goto(talked.url + path)
    phone.locator("#composer").wait_for()
    wide = (
        "[document.documentElement, document.querySelector('#transcript')].map(n => n.scrollWidth)"
    )

    assert max(phone.evaluate(wide)) <= 390


def test_on_a_phone_every_target_is_large_enough(phone, talked):
    phone.goto(talked.url + CHAT)
    phone.locator(".bubble").first.wait_for()
    small = """() => [...document.querySelectorAll('.bar button, .composer button, label.level')]
      .filter((node) => node.checkVisibility() && node.getBoundingClientRect().height < 44)
      .map((node) => node.id || node.className)"""

    assert phone.evaluate(small) == []


def test_on_a_phone_the_list_is_a_sheet(phone, talked):
    phone.goto(talked.url + CHAT)
    expect(phone.locator("#search")).to_be_hidden()
    phone.get_by_role("button", name="Show chats").click()
    expect(phone.locator("#search")).to_be_visible()
    phone.keyboard.press("Escape")

    expect(phone.locator("#search")).to_be_hidden()
    expect(phone.get_by_role("button", name="Show chats")).to_be_focused()


def test_on_a_phone_the_approval_is_within_reach(phone, talked):
    phone.goto(talked.url + CHAT)
    talked.wait_until_followed()
    talked.say(*made_up.begin(), *made_up.ask("rm -rf build/ && " * 30))
    allow = phone.get_by_role("button", name="Allow", exact=True)
    expect(allow).to_be_in_viewport()
    assert allow.bounding_box()["height"] >= 44


def test_search_by_keyboard(page, server):
    server.add_thread("55555555-1111-4111-8111-111111111111", title="Upgrade Django")
    server.add_thread(title="Fix the login")
    page.goto(f"{server.url}/home/")
    page.keyboard.press("Control+k")
    page.keyboard.type("django up")
    expect(page.locator(".row:visible")).to_have_text(["Upgrade Django"])
    page.keyboard.press("Enter")

    expect(page).to_have_url(re.compile("55555555"))


def test_escape_leaves_the_search_and_shows_all(page, server):
    server.add_thread(title="Fix the login")
    page.goto(f"{server.url}/home/")
    search_in_vain_and_leave(page)


def test_control_l_goes_to_the_message_box(page, server):
    page.goto(f"{server.url}/home/")
    page.locator("#search").focus()
    page.keyboard.press("Control+l")

    expect(page.locator("#text")).to_be_focused()


def test_a_theme_is_kept_and_stands_before_the_first_paint(page, server):
    page.goto(f"{server.url}/home/")
    page.locator(".user").click()
    page.get_by_text("Dark", exact=True).click()
    assert page.locator("html").get_attribute("data-theme") == "dark"

    answer = page.reload()

    assert '<html lang="en" data-theme="dark">' in answer.text()


def test_nothing_is_refused_by_the_policy_and_nothing_is_written_to_the_console(page, talked):
    complaints = []
    page.on(
        "console",
        lambda message: message.type in ("error", "warning") and complaints.append(message.text),
    )
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.goto(talked.url + CHAT)
    page.locator(".hljs-keyword").first.wait_for()
    page.locator("#agent-pill").click()
    talked.say(*made_up.begin(), *made_up.ask("ls"))
    page.locator(".approval").wait_for()

    assert complaints == []


def test_a_cold_page_is_small(page, talked):
    talked.messages[made_up.THREAD] = [made_up.mine("hi"), made_up.answer(made_up.text("Hello."))]
    answers = []
    page.on("response", lambda answer: answers.append(answer))
    sockets = []
    page.on("websocket", lambda socket: sockets.append(socket))
    page.goto(talked.url + CHAT)
    page.get_by_text("Hello.").wait_for()
    page.wait_for_load_state("networkidle")

    fetched = [answer for answer in answers if not answer.url.startswith("data:")]
    weight = sum(len(gzip.compress(answer.body())) for answer in fetched)
    print(f"cold page: {len(fetched)} requests, {len(sockets)} socket, {weight / 1000:.0f} kB")
    assert len(fetched) + len(sockets) <= 15
    assert weight <= 150_000


CONTRAST = """([text, ground]) => {
  const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  const luminance = (name) => {
    const probe = document.body.appendChild(document.createElement("i"));
    probe.style.color = `var(--${name})`;
    canvas.fillStyle = getComputedStyle(probe).color;
    canvas.fillRect(0, 0, 1, 1);
    probe.remove();
    const [r, g, b] = [...canvas.getImageData(0, 0, 1, 1).data].map((value) => {
      const part = value / 255;
      return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const [dark, light] = [luminance(text), luminance(ground)].sort((a, b) => a - b);
  return (light + 0.05) / (dark + 0.05);
}"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_can_be_read_in_both_themes(page, server, scheme):
    page.emulate_media(color_scheme=scheme)
    page.goto(f"{server.url}/home/")
    grounds = ["canvas", "sunken", "raised", "hover", "bubble", "code"]
    pairs = [
        *(("text", ground, 4.5) for ground in grounds),
        *(("muted", ground, 4.5) for ground in grounds),
        ("on-accent", "accent", 4.5),
        ("accent", "canvas", 4.5),
        ("local", "local-soft", 4.5),
        ("muted", "local-soft", 4.5),
        ("needs", "needs-soft", 4.5),
        ("muted", "needs-soft", 4.5),
        ("bad", "bad-soft", 4.5),
        ("muted", "bad-soft", 4.5),
        ("control-line", "canvas", 3),
    ]

    found = {pair[:2]: page.evaluate(CONTRAST, pair[:2]) for pair in pairs}

    assert {p[:2]: found[p[:2]] for p in pairs if found[p[:2]] < p[2]} == {}


@pytest.mark.parametrize("width", [320, 360])
def test_a_small_phone_has_room_for_every_button_of_the_composer(page, server, width):
    server.rules = [{"id": "1", "words": "Run pytest"}]
    server.add_thread(messages=[made_up.mine("hi")])
    page.set_viewport_size({"width": width, "height": 640})
    page.goto(server.url + CHAT)
    server.wait_until_followed()
    server.say(*made_up.begin())
    page.locator("#text").fill("a draft")

    for name in ("rules-button", "stop", "send"):
        expect(page.locator(f"#{name}")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") == width
