"""The terminal in Chromium through server, link and sandbox, with a real shell."""

import re

import pytest
from playwright.sync_api import expect

from mesh import processes
from tests.waiting import PATIENCE, until

pytestmark = pytest.mark.browser


@pytest.fixture
def chat(mesh, page):
    """A page of a chat that has begun, on the shared Mesh."""
    yield begin(mesh, page)
    for violation in page.problems:
        pytest.fail(violation)


def begin(mesh, page):
    page.set_default_timeout(PATIENCE * 1000)
    page.problems = []
    page.on(
        "console",
        lambda one: "Content Security" in one.text and page.problems.append(one.text),
    )
    page.context.add_cookies([{"name": "mesh_session", "value": mesh.session(), "url": mesh.url}])
    page.goto(mesh.url)
    page.get_by_role("textbox").fill("hi")
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile("/home/threads/"))
    page.get_by_role("button", name="Work panel").click()
    page.get_by_role("tab", name="Terminal", exact=True).click()
    return page


def rows(page):
    return page.locator(".xterm-rows")


def shows(page, words):
    expect(rows(page)).to_contain_text(words, timeout=PATIENCE * 1000)


def run(page, line):
    page.locator(".xterm-helper-textarea").focus()
    page.keyboard.insert_text(line)
    page.keyboard.press("Enter")


def open_terminal(page):
    page.get_by_role("button", name="Open a terminal").click()
    page.locator(".xterm-helper-textarea").wait_for(state="attached")
    run(page, "echo re''ady")
    shows(page, "ready")


def test_a_shell_outlives_a_reload(chat):
    open_terminal(chat)
    run(chat, "kept=o''ne; echo $kept")
    chat.reload()
    shows(chat, "ready")
    run(chat, "echo again:$kept")
    shows(chat, "again:one")


def test_ctrl_c_ends_a_flood_and_much_output_arrives(chat):
    open_terminal(chat)
    run(chat, "yes")
    expect(rows(chat)).to_have_text(re.compile(r"^[y\s]+$"), timeout=PATIENCE * 1000)
    chat.keyboard.press("Control+c")
    run(chat, "echo sto''pped")
    shows(chat, "stopped")
    run(chat, "seq 100000; echo do''ne")
    shows(chat, "99999")
    shows(chat, "done")


def test_the_panel_has_its_own_key_and_colours_need_no_inline_style(chat):
    open_terminal(chat)
    run(chat, r"printf '\033[38;2;200;30;30mre\144\033[0m \033[38;5;208mor\141nge\033[0m\n'")
    shows(chat, "red orange")
    expect(rows(chat).get_by_text("red", exact=True).last).to_have_css(
        "color", re.compile(r"rgb\((?!0, 0, 0)")
    )
    chat.locator(".xterm-helper-textarea").focus()
    chat.keyboard.press("Escape")
    expect(chat.locator("#panel")).to_be_visible()


def test_a_terminal_with_a_program_in_it_is_closed_only_on_purpose(chat):
    open_terminal(chat)
    run(chat, "sh -c 'echo run''ning; sleep 1000'")
    shows(chat, "running")
    chat.get_by_role("button", name="Close the terminal").click()
    chat.get_by_role("button", name="End it").click()
    chat.get_by_role("button", name="Open a terminal").wait_for()


def test_many_lines_are_pasted_only_on_purpose(chat):
    open_terminal(chat)
    run(chat, "echo wai''ting; cat")
    shows(chat, "waiting")  # a shell takes pastes as a whole, this program does not
    chat.evaluate(PASTE, "one\ntwo\n")
    chat.get_by_text("Paste 2 lines?").wait_for()
    chat.get_by_role("button", name="Cancel").click()
    expect(rows(chat)).not_to_contain_text("two")


PASTE = """(text) => {
  const data = new DataTransfer();
  data.setData("text/plain", text);
  const options = { clipboardData: data, bubbles: true, cancelable: true };
  const event = new ClipboardEvent("paste", options);
  document.querySelector(".xterm-helper-textarea").dispatchEvent(event);
}"""


def test_two_terminals_and_an_end(chat):
    open_terminal(chat)
    chat.get_by_role("button", name="Open another terminal").click()
    expect(chat.locator(".shells__tab")).to_have_count(2)
    run(chat, "echo se''cond")
    shows(chat, "second")
    run(chat, "exit 3")
    chat.get_by_text("The shell has ended with exit code 3.").first.wait_for()
    chat.locator(".shells__tab").first.click()
    shows(chat, "ready")
    expect(rows(chat)).not_to_contain_text("second")


def test_the_keys_of_a_phone(chat):
    chat.set_viewport_size({"width": 390, "height": 780})
    open_terminal(chat)
    run(chat, "sh -c 'echo sta''rted; sleep 1000'")
    shows(chat, "started")
    keys = chat.get_by_role("toolbar", name="Keys of the terminal")
    box = keys.get_by_role("button", name="Esc").bounding_box()
    assert min(box["width"], box["height"]) >= 44
    keys.get_by_role("button", name="Ctrl", exact=True).click()
    chat.keyboard.type("c")
    run(chat, "stty si''ze; echo ba''ck")
    shows(chat, "back")


def test_it_goes_on_after_the_server_and_the_link_were_killed(breakable, page):
    mesh = breakable
    chat = begin(mesh, page)
    open_terminal(chat)
    run(chat, "kept=o''ne; echo $kept")
    mesh.kill_server()
    chat.get_by_text("Reconnecting").wait_for()
    mesh.start().online()
    run_when_back(chat, "echo server:$kept", "server:one")
    processes.end(*mesh.link(), within=PATIENCE)
    run_when_back(chat, "echo link:$kept", "link:one")


def run_when_back(page, line, words):
    """Type until it arrives: what goes into a connection that has just broken is lost."""

    def is_back():
        run(page, line)
        try:
            expect(rows(page)).to_contain_text(words, timeout=3000)
        except AssertionError:
            return False
        return True

    until(is_back, what=words)
