"""Files that go out with a message: chosen, pasted, dropped, refused, sent and shown."""

import re

import pytest
from playwright.sync_api import expect

from tests.browser import made_up
from tests.threads.test_files import PIXEL
from tests.waiting import until

CHAT = f"/home/threads/{made_up.THREAD}"
PICTURE = {"name": "a.png", "mimeType": "image/png", "buffer": PIXEL}
NOTES = {"name": "notes.md", "mimeType": "text/markdown", "buffer": b"# Notes"}
# Let something happen with a file of these bytes: no test can do it with a real mouse.
WITH_FILE = """([target, kind, types]) => {
  const data = new DataTransfer();
  data.items.add(new File(["# Notes"], "notes.md", { type: "text/markdown" }));
  for (const type of types) data.setData(type, "words");
  const event = kind === "paste"
    ? new ClipboardEvent(kind, { clipboardData: data, bubbles: true, cancelable: true })
    : new DragEvent(kind, { dataTransfer: data, bubbles: true, cancelable: true });
  document.querySelector(target).dispatchEvent(event);
}"""


@pytest.fixture
def chat(page, server):
    server.add_thread(locked=False)
    page.goto(server.url + CHAT)
    return page


def attach(page, *files):
    page.locator("#attach-input").set_input_files(list(files))


def test_files_are_kept_shown_and_sent_with_the_words(chat, server):
    attach(chat, PICTURE, NOTES)
    expect(chat.locator(".file--ready")).to_have_count(2)
    expect(chat.locator(".file__picture")).to_have_js_property("naturalWidth", 1)
    chat.locator("#text").fill("look")
    chat.keyboard.press("Enter")

    until(lambda: server.posts)
    words, picture, notes = server.posts[0]["messages"][0]["parts"]
    assert words == {"type": "text", "text": "look"}
    assert (picture["mediaType"], notes["filename"]) == ("image/png", "notes.md")
    expect(chat.locator(".message--mine img.picture")).to_have_js_property("naturalWidth", 1)
    expect(chat.locator(".message--mine .chip")).to_have_text("notes.md")
    expect(chat.locator("#files")).to_be_hidden()


def test_a_picture_may_go_alone(chat, server):
    attach(chat, PICTURE)
    chat.get_by_role("button", name="Send message").click()

    until(lambda: server.posts)
    assert [part["type"] for part in server.posts[0]["messages"][0]["parts"]] == ["file"]
    expect(chat.locator(".message--mine .bubble")).to_be_hidden()


def test_what_is_pasted_is_attached_unless_it_is_words(chat):
    chat.evaluate(WITH_FILE, ["#text", "paste", ["text/plain"]])
    chat.evaluate(WITH_FILE, ["#text", "paste", []])

    expect(chat.locator(".file")).to_have_count(1)
    expect(chat.locator(".file")).to_contain_text("notes.md")


def test_files_are_dropped_anywhere(chat):
    chat.evaluate(WITH_FILE, ["#transcript", "dragenter", []])
    expect(chat.locator("#drop")).to_have_text("Drop pictures or text files here")
    chat.evaluate(WITH_FILE, ["#transcript", "drop", []])

    expect(chat.locator("#drop")).to_be_hidden()
    expect(chat.locator(".file--ready")).to_contain_text("notes.md")


def test_attached_files_survive_a_reload_and_can_be_removed(chat):
    attach(chat, PICTURE)
    expect(chat.locator(".file--ready")).to_have_count(1)
    chat.reload()
    expect(chat.locator(".file--ready")).to_have_count(1)

    chat.get_by_role("button", name="Remove a.png").click()

    expect(chat.locator("#files")).to_be_hidden()
    expect(chat.locator("#text")).to_be_focused()
    chat.reload()
    expect(chat.locator("#files")).to_be_hidden()


def test_what_could_not_be_kept_says_why_and_is_tried_again(chat, server):
    error = {"code": "unreachable", "message": "It was not kept.", "hint": "Try again."}
    server.refusal = (503, error)
    attach(chat, NOTES)
    expect(chat.locator(".file--failed")).to_contain_text("It was not kept. Try again.")
    chat.locator("#text").fill("look")
    expect(chat.get_by_role("button", name="Send message")).to_be_disabled()

    server.refusal = None
    chat.get_by_role("button", name="Try notes.md again").click()

    expect(chat.locator(".file--ready")).to_have_count(1)
    expect(chat.get_by_role("button", name="Send message")).to_be_enabled()


def test_an_agent_that_takes_none_says_so_before_anything_is_sent(chat, server):
    attach(chat, PICTURE)
    expect(chat.locator(".file--ready")).to_have_count(1)
    chat.locator("#agent-pill").click()
    chat.locator("#tier-demo-fast").click()

    expect(chat.locator("#files")).to_contain_text("Demo can't take pictures. Choose another")
    expect(chat.get_by_role("button", name="Send message")).to_be_disabled()
    expect(chat.locator("#attach")).to_be_disabled()
    expect(chat.locator("#attach")).to_have_attribute("title", "Demo takes no files")
    chat.locator("#text").press("Enter")
    assert server.posts == []


def test_a_refused_message_comes_back_with_its_files(chat, server):
    attach(chat, NOTES)
    expect(chat.locator(".file--ready")).to_have_count(1)
    error = {"code": "link_offline", "message": "mbp is offline.", "hint": "Wake it up."}
    server.refusal = (409, error)
    chat.locator("#text").fill("look")
    chat.keyboard.press("Enter")
    chat.get_by_role("button", name="Edit").click()

    expect(chat.locator("#text")).to_have_value("look")
    expect(chat.locator(".file--ready")).to_contain_text("notes.md")


def test_a_new_chat_takes_files_along(page, server):
    page.goto(f"{server.url}/home/")
    attach(page, PICTURE)
    expect(page.locator(".file--ready")).to_have_count(1)
    page.keyboard.press("Enter")

    expect(page).to_have_url(re.compile(made_up.NEW_THREAD))
    until(lambda: server.posts)
    assert server.posts[0]["messages"][0]["parts"][0]["filename"] == "a.png"


def test_a_photo_is_made_as_small_as_models_see_it(chat, server):
    photo = chat.evaluate("""async () => {
      const canvas = Object.assign(document.createElement("canvas"), { width: 4000, height: 1000 });
      canvas.getContext("2d").fillRect(0, 0, 4000, 1000);
      const blob = await new Promise((done) => canvas.toBlob(done, "image/png"));
      return [...new Uint8Array(await blob.arrayBuffer())];
    }""")
    attach(chat, {"name": "big.png", "mimeType": "image/png", "buffer": bytes(photo)})

    expect(chat.locator(".file__picture")).to_have_js_property("naturalWidth", 2576)


def test_a_picture_of_an_answer_opens_and_no_other_address_is_a_link(page, server):
    shown = {"type": "file", "mediaType": "image/png", "filename": "x"}
    parts = [
        {**shown, "url": "/api/home/decopilot/files/0"},
        {**shown, "url": "https://evil.example/a.png"},
        {**shown, "url": "javascript:alert(1)"},
    ]
    server.files["0"] = ("image/png", PIXEL)
    server.add_thread(messages=[made_up.mine("hi"), made_up.answer(*parts)])
    page.goto(server.url + CHAT)

    expect(page.locator(".message--answer img")).to_have_count(1)
    expect(page.locator(".message--answer a")).to_have_count(1)
    expect(page.locator(".message--answer .chip")).to_have_count(2)


# A request whose progress the test tells: ``moves()``, then ``ends()``.
SLOW_REQUEST = """() => {
  window.XMLHttpRequest = class {
    constructor() { this.upload = {}; window.slow = this; }
    open() {}
    setRequestHeader() {}
    send() {}
    abort() { this.isAborted = true; this.onabort(); this.onloadend(); }
    moves() { this.upload.onprogress({}); }
    ends() {
      Object.assign(this, { status: 200, responseText: '{"ok":1}' });
      this.onload();
      this.onloadend();
    }
  };
  window.told = "waiting";
  import("/static/mesh/dom.js").then(({ api }) =>
    api("POST", "/x", new Blob(["x"])).then(
      (answer) => { window.told = answer; },
      (refused) => { window.told = refused.code; },
    ));
}"""


@pytest.fixture
def slow_upload(page, server):
    """A page on which an upload is under way, and whose clock the test moves."""
    page.clock.install()
    server.add_thread(locked=False)
    page.goto(server.url + CHAT)
    page.evaluate(SLOW_REQUEST)
    page.wait_for_function("window.slow")
    return page


def test_an_upload_may_take_minutes_while_it_moves(slow_upload):
    for _ in range(10):
        slow_upload.clock.run_for(50_000)
        slow_upload.evaluate("window.slow.moves()")
    slow_upload.evaluate("window.slow.ends()")

    slow_upload.wait_for_function("window.told.ok")


def test_an_upload_that_does_not_move_is_given_up(slow_upload):
    slow_upload.clock.run_for(61_000)

    slow_upload.wait_for_function("window.told === 'unreachable'")
    assert slow_upload.evaluate("window.slow.isAborted")
