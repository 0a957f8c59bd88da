"""Where a person reads a name that somebody else chose, what nobody sees is marked."""

import pytest
from playwright.sync_api import expect

from tests.browser import made_up
from tests.browser.test_approvals import asked, offered  # noqa: F401 - a fixture

TURNED = "a\u202egnp"
SHOWN = "a⟨U+202E⟩gnp"
ENGLAND = "🏴\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f"


MARGINS = """node => {
  const words = document.createRange();
  words.selectNodeContents(node);
  const [inner, outer] = [words, node].map((each) => each.getBoundingClientRect());
  return { left: inner.left - outer.left, right: outer.right - inner.right };
}"""


@pytest.fixture
def named(page, server):
    """Return ``named(title)``: the page of a chat of that title."""

    def open_chat(title, **more):
        server.add_thread(messages=[made_up.mine("hi")], title=title, **more)
        page.goto(f"{server.url}/home/threads/{made_up.THREAD}")
        server.wait_until_followed()
        return page

    return open_chat


def allow(page):
    return page.get_by_role("button", name="Allow", exact=True)


@pytest.mark.parametrize(
    ("command", "listed"),
    [
        pytest.param("ls \u202ex", "⟨U+202E⟩ changes the direction of the text", id="turned"),
        pytest.param("ls\u00a0x", "⟨U+00A0⟩ a space of another kind", id="a space"),
        pytest.param("ls \u2060x", "⟨U+2060⟩ can’t be seen", id="not seen"),
        pytest.param("ls \u2028x", "⟨U+2028⟩ can’t be seen", id="a line separator"),
        pytest.param("ls \U000e0041x", "⟨U+E0041⟩ can’t be seen", id="a tag"),
        pytest.param("ls \x1b[8m", "⟨U+001B⟩ a control character", id="an escape"),
        pytest.param("curl pаypal.com", "⟨а U+0430⟩ looks like “a”", id="a letter"),
    ],
)
def test_what_is_marked_is_looked_at_before_it_is_allowed(asked, command, listed):  # noqa: F811
    page = asked(*made_up.ask(command))
    expect(allow(page)).to_be_disabled()
    expect(page.get_by_role("button", name="Deny", exact=True)).to_be_enabled()
    expect(page.locator("div.approval__odd")).to_contain_text("1 character here can’t be seen")

    page.get_by_role("button", name="Show what is marked").click()

    expect(page.get_by_role("list", name="Marked characters")).to_contain_text(listed)
    expect(allow(page)).to_be_enabled()
    expect(page.locator(".approval pre .odd")).to_have_count(1)


def test_what_is_both_long_and_marked_is_opened_twice(asked):  # noqa: F811
    page = asked(*made_up.ask("\n".join([*(f"echo {n}" for n in range(80)), "\u202e"])))
    page.get_by_role("button", name="Show all of it").click()
    expect(allow(page)).to_be_disabled()

    page.get_by_role("button", name="Show what is marked").click()

    expect(allow(page)).to_be_enabled()


@pytest.mark.parametrize(
    "command",
    [
        pytest.param("git commit -m 'А с нами: правки'", id="Russian"),
        pytest.param("touch می\u200cخواهم.txt שלום.txt", id="Persian and Hebrew"),
        pytest.param(
            f"echo 👩\u200d💻 ❤\ufe0f {ENGLAND}",
            id="emoji",
        ),
    ],
)
def test_what_people_write_is_allowed_at_once(asked, command):  # noqa: F811
    page = asked(*made_up.ask(command))

    expect(allow(page)).to_be_enabled()
    expect(page.locator(".approval pre")).to_have_text(command)


def test_a_rule_shows_on_card_and_list_what_it_is_made_from(asked, server):  # noqa: F811
    rule = f"the command “{TURNED}” in the working folder, exactly as it stands"
    page = asked(*made_up.ask("ls"))
    server.say(offered({"command": TURNED}, rule=rule))
    words = f"the command “{SHOWN}” in the working folder, exactly as it stands"
    expect(page.locator(".approval__rule")).to_contain_text(words)

    rules = {"rules": [{"id": "r-1", "words": rule}]}
    server.say({"type": "data-rules", "data": rules, "transient": True}, run=None)
    page.get_by_role("button", name="1 rule").click()

    expect(page.locator(".rules__row")).to_contain_text(words)
    expect(page.locator(".rules__row .odd")).to_have_attribute(
        "title", "changes the direction of the text that follows"
    )


def test_a_row_marks_white_space_that_is_no_plain_one(named, server):
    page = named("Clean up")
    call = {"toolCallId": "t-1", "toolName": "Bash", "dynamic": True}
    server.say(
        *made_up.begin(),
        {
            "type": "tool-input-available",
            **call,
            "input": {"command": "rm a\u00a0b\u2028c\ufeff  d"},
        },
        {"type": "tool-output-available", "toolCallId": "t-1", "output": f"{TURNED}\u00a0x"},
    )
    where = page.locator(".tool__where")
    expect(where).to_have_text("rm a⟨U+00A0⟩b⟨U+2028⟩c⟨U+FEFF⟩ d")
    page.locator(".tool summary").click()

    expect(page.locator(".tool__body")).to_contain_text(f"{SHOWN}\u00a0x")


def test_a_title_is_marked_wherever_it_stands(named, page):
    named(TURNED)

    expect(page.locator("#title")).to_have_text(SHOWN)
    expect(page.locator(".row__title")).to_have_text(SHOWN)
    expect(page).to_have_title(f"{SHOWN} · Mesh")
    page.get_by_role("button", name="Rename or delete").click()
    page.get_by_role("button", name="Rename", exact=True).click()
    expect(page.get_by_role("textbox", name="New name")).to_have_value(TURNED)  # as it is
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Rename or delete").click()
    page.get_by_role("button", name="Delete", exact=True).click()
    expect(page.locator("#toast")).to_contain_text(f"“{SHOWN}” was deleted.")


def test_a_title_in_hebrew_is_set_apart_and_left_as_it_is(named, page):
    named("תקן את הכניסה!")

    expect(page.locator("#title")).to_have_text("תקן את הכניסה!")
    assert page.title() == "\u2068תקן את הכניסה!\u2069 · Mesh"
    isolation = "node => getComputedStyle(node.querySelector('bdi')).unicodeBidi"
    assert page.locator("#title").evaluate(isolation) == "isolate"


def test_code_in_an_answer_shows_what_nobody_sees_and_prose_stays_as_it_is(named, server):
    page = named("Clean up")
    text = f"Run `{TURNED}` now, می\u200cخواهم.\n\n```sh\nls \u200bx\n```"
    server.say(*made_up.begin(), made_up.delta(text))

    expect(page.locator(".part--text p code")).to_have_text(SHOWN)
    expect(page.locator(".part--text pre")).to_contain_text("ls ⟨U+200B⟩x")
    expect(page.locator(".part--text p").first).to_contain_text("می\u200cخواهم")


def test_a_paragraph_runs_as_its_first_letter_does(named, server):
    page = named("Clean up")
    server.say(*made_up.begin(), made_up.delta("שלום עולם.\n\nHello."))
    paragraphs = page.locator(".part--text p")
    expect(paragraphs).to_have_count(2)

    hebrew, english = (paragraphs.nth(n).evaluate(MARGINS) for n in (0, 1))
    assert hebrew["left"] > hebrew["right"]
    assert english["left"] < english["right"]
