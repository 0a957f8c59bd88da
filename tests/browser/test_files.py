"""Files that go out with a message: chosen, pasted, dropped, refused, sent and shown."""

import re

import pytest
from playwright.sync_api import expect

from tests.browser import made_up
from tests.pictures import picture
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
    words, image, notes = server.posts[0]["messages"][0]["parts"]
    assert words == {"type": "text", "text": "look"}
    assert (image["mediaType"], notes["filename"]) == ("image/png", "notes.md")
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

    note = "Scaled down from 4000 × 1000 to 2000 × 500 pixels"
    expect(chat.locator(".file__picture")).to_have_js_property("naturalWidth", 2000)
    expect(chat.locator(".file__note")).to_have_text(note)
    chat.keyboard.press("Enter")
    expect(chat.locator(".message--mine figcaption")).to_have_text(note)


def test_a_picture_that_the_browser_can_not_show_is_converted(chat, server):
    heic = picture("HEIF", (300, 200))
    attach(chat, {"name": "IMG_1.HEIC", "mimeType": "image/heic", "buffer": heic})

    expect(chat.locator(".file__picture")).to_have_js_property("naturalWidth", 300)
    expect(chat.locator(".file__note")).to_have_text("Converted from HEIC to JPEG")
    chat.keyboard.press("Enter")
    until(lambda: server.posts)
    assert server.posts[0]["messages"][0]["parts"][0]["filename"] == "IMG_1.jpg"


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
    server.wait_until_followed()  # the page has no request of its own under way
    page.evaluate(SLOW_REQUEST)
    until(lambda: page.evaluate("Boolean(window.slow)"))
    return page


def test_an_upload_may_take_minutes_while_it_moves(slow_upload):
    for _ in range(10):
        slow_upload.clock.run_for(50_000)
        slow_upload.evaluate("window.slow.moves()")
    slow_upload.evaluate("window.slow.ends()")

    until(lambda: slow_upload.evaluate("window.told.ok"))


def test_an_upload_that_does_not_move_is_given_up(slow_upload):
    slow_upload.clock.run_for(61_000)

    until(lambda: slow_upload.evaluate("window.told === 'unreachable'"))
    assert slow_upload.evaluate("window.slow.isAborted")


PASTE = """([text, kind]) => {
  const data = new DataTransfer();
  data.setData(kind, text);
  const box = document.querySelector("#text");
  const how = { clipboardData: data, bubbles: true, cancelable: true };
  const event = new ClipboardEvent("paste", how);
  if (box.dispatchEvent(event)) document.execCommand("insertText", false, text);
}"""
LINES = "\n".join(f"line {n}" for n in range(21))
LONG = "word " * 801


@pytest.fixture
def box(chat, server):
    """The message box of a chat, with some words in it."""
    server.wait_until_followed()
    chat.locator("#text").fill("before after")
    chat.locator("#text").evaluate("box => { box.focus(); box.setSelectionRange(7, 7); }")
    return chat.locator("#text")


def paste(page, text):
    page.evaluate(PASTE, [text, "text/plain"])


@pytest.mark.parametrize(
    ("text", "what"),
    [(LINES, "21 lines (157 B)"), (LONG, "one line (4.0 kB)")],
    ids=["lines", "long"],
)
def test_a_long_paste_is_offered_as_a_file_and_put_back(chat, server, box, text, what):
    paste(chat, text)
    expect(box).to_have_value(f"before {text}after")
    expect(chat.locator("#paste")).to_contain_text(f"You pasted {what}.")

    chat.get_by_role("button", name="Attach as a file").click()
    expect(chat.locator(".file--ready")).to_contain_text("pasted-text.txt")
    expect(box).to_have_value("before after")
    assert [data for _, data in server.files.values()] == [text.encode()]

    chat.get_by_role("button", name="Put it back").click()
    expect(box).to_have_value(f"before {text}after")
    expect(chat.locator("#paste")).to_be_hidden()
    until(lambda: server.files == {})


def test_a_pasted_file_goes_out_with_the_words(chat, server, box):
    paste(chat, LINES)
    chat.get_by_role("button", name="Attach as a file").click()
    expect(box).to_have_value("before after")
    expect(box).to_be_focused()
    chat.keyboard.press("Enter")

    until(lambda: server.posts)
    words, file = server.posts[0]["messages"][0]["parts"]
    assert (words["text"], file["filename"]) == ("before after", "pasted-text.txt")
    expect(chat.locator("#paste")).to_be_hidden()


@pytest.mark.parametrize("text", ["a few words", "\n".join("12345678901234567890")])
def test_a_short_paste_is_a_paste(chat, box, text):
    paste(chat, text)

    expect(box).to_have_value(f"before {text}after")
    expect(chat.locator("#paste")).to_be_hidden()


@pytest.mark.parametrize("how", ["Close", "edit"])
def test_the_offer_forces_nobody(chat, server, box, how):
    paste(chat, LINES)
    expect(chat.locator("#paste")).to_be_visible()
    if how == "Close":
        chat.get_by_role("button", name="Close").click()
    else:
        box.fill("something else")

    expect(chat.locator("#paste")).to_be_hidden()
    assert server.files == {}


def test_a_text_that_can_not_be_kept_stays_in_the_message(chat, server, box):
    refusal = {"code": "file_too_large", "message": "The file is too large.", "hint": "Cut it."}
    paste(chat, LINES)
    server.refusal = (413, refusal)
    chat.get_by_role("button", name="Attach as a file").click()

    expect(chat.locator("#paste")).to_contain_text("stays in the message. The file is too large.")
    expect(box).to_have_value(f"before {LINES}after")
    expect(chat.locator(".file")).to_have_count(0)


def test_an_agent_without_files_is_offered_none(page, server):
    page.context.add_cookies([{"name": "mesh_choice", "value": "demo:smart", "url": server.url}])
    server.chat = made_up.chat(active=("demo", "smart"))
    server.open(page)
    page.locator("#text").focus()
    paste(page, LINES)

    expect(page.locator("#text")).to_have_value(LINES)
    expect(page.locator("#paste")).to_be_hidden()


def test_the_person_s_own_undo_goes_past_it(chat, box):
    paste(chat, LINES)
    chat.get_by_role("button", name="Attach as a file").click()
    expect(box).to_have_value("before after")
    expect(box).to_be_focused()
    chat.keyboard.press("Control+z")

    expect(box).to_have_value(f"before {LINES}after")
