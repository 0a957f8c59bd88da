"""The work panel's frame: how it opens, what it remembers, what it says of an absent machine."""

import json

import pytest
from playwright.sync_api import expect

from tests.browser import made_up

CHAT = f"/home/threads/{made_up.THREAD}"
EVENTS = 'event: lifecycle\ndata: {"state": null}\n\n'


@pytest.fixture
def chat(server, page):
    """An open chat whose sandbox answers nothing but its events."""
    server.add_thread(locked=True, machine=made_up.as_json(made_up.machine()))

    def answer(route):
        if route.request.url.endswith("/events"):
            return route.fulfill(body=EVENTS, content_type="text/event-stream")
        error = {"code": "daemon_unreachable", "message": "Daemon unreachable", "hint": ""}
        return route.fulfill(status=502, json={"error": error})

    page.route("**/sandbox/**", answer)
    page.goto(server.url + CHAT)
    server.wait_until_followed()
    return page


def open_it(page):
    page.get_by_role("button", name="Work panel").click()
    expect(page.get_by_role("tablist", name="Work")).to_be_visible()


def width_of(page):
    return page.locator("#panel").bounding_box()["width"]


def test_nothing_of_it_is_loaded_before_it_is_opened(chat):
    loaded = "performance.getEntriesByType('resource').map(({ name }) => name)"
    assert not [name for name in chat.evaluate(loaded) if "panel" in name]

    open_it(chat)

    assert [name for name in chat.evaluate(loaded) if "panel." in name]


def test_it_opens_and_closes_by_keyboard_and_gives_the_focus_back(chat):
    chat.locator("#text").focus()
    chat.keyboard.press("Control+j")
    expect(chat.locator("#panel [role=tab][aria-selected=true]")).to_be_focused()

    chat.keyboard.press("Escape")

    expect(chat.locator("#panel")).to_be_hidden()
    expect(chat.get_by_role("button", name="Work panel")).to_be_focused()


def test_each_tab_names_its_page(chat):
    open_it(chat)
    tabs = chat.get_by_role("tab").all()
    for tab in tabs:
        tab.click()
        page = chat.locator(f"#{tab.get_attribute('aria-controls')}")
        expect(page).to_be_visible()
        expect(page).to_have_attribute("aria-labelledby", tab.get_attribute("id"))
        expect(chat.locator("[role=tabpanel]:visible")).to_have_count(1)


def test_arrow_keys_walk_the_tabs_around(chat):
    open_it(chat)
    names = [tab.get_attribute("data-tab") for tab in chat.get_by_role("tab").all()]
    chat.locator("#panel [role=tab][aria-selected=true]").focus()
    chat.keyboard.press("Home")
    walked = []
    for _ in names:
        walked.append(chat.evaluate("document.activeElement.dataset.tab"))
        chat.keyboard.press("ArrowRight")

    assert walked == names
    expect(chat.locator(f"#panel-tab-{names[0]}")).to_be_focused()


def test_the_width_is_moved_by_keyboard_and_remembered(chat):
    open_it(chat)
    border = chat.get_by_role("separator", name="Width of the panel")
    before = width_of(chat)
    border.focus()
    chat.keyboard.press("ArrowRight")
    chat.keyboard.press("ArrowRight")
    narrower = width_of(chat)
    assert narrower == before - 64

    chat.reload()

    expect(chat.get_by_role("tablist", name="Work")).to_be_visible()  # it stands as it was left
    assert width_of(chat) == narrower


def test_the_border_is_dragged_and_leaves_room_for_the_conversation(chat):
    open_it(chat)
    box = chat.get_by_role("separator", name="Width of the panel").bounding_box()
    chat.mouse.move(box["x"] + 4, 300)
    chat.mouse.down()
    chat.mouse.move(10, 300)
    chat.mouse.up()

    assert chat.locator("#main").bounding_box()["width"] >= 320
    chat.mouse.move(chat.locator("#panel").bounding_box()["x"], 300)
    chat.mouse.down()
    chat.mouse.move(chat.viewport_size["width"] - 2, 300)
    chat.mouse.up()
    assert width_of(chat) == 320


def test_on_a_phone_it_is_a_sheet_over_what_can_not_be_reached_meanwhile(chat):
    chat.set_viewport_size({"width": 390, "height": 800})
    open_it(chat)
    assert chat.evaluate("[main.inert, sidebar.inert]") == [True, True]
    small = """[...document.querySelectorAll('.panel__bar button')]
      .filter((node) => node.getBoundingClientRect().height < 44).map((node) => node.outerHTML)"""
    assert chat.evaluate(small) == []
    assert chat.evaluate("document.documentElement.scrollWidth") == 390

    chat.get_by_role("button", name="Close the panel").click()

    assert chat.evaluate("[main.inert, sidebar.inert]") == [False, False]
    expect(chat.get_by_role("button", name="Work panel")).to_be_focused()


def test_on_a_phone_it_does_not_open_by_itself(chat, server):
    open_it(chat)
    chat.set_viewport_size({"width": 390, "height": 800})
    chat.reload()
    server.wait_until_followed()
    chat.locator("body[data-ready]").wait_for()

    expect(chat.locator("#panel")).to_be_hidden()


def test_an_absent_machine_is_named_with_the_reason_until_it_is_back(chat, server):
    open_it(chat)
    chat.get_by_role(
        "tab", name="Preview"
    ).click()  # Files has a note of its own: nothing answers it
    note = chat.locator(".panel__known")
    expect(note).to_be_hidden()

    server.change_link(state="offline", cause="asleep")
    expect(note).to_contain_text("mbp is offline (asleep).")

    server.change_link(state="online", cause="")
    expect(note).to_be_hidden()


def test_an_event_of_the_page_opens_it_at_a_tab(chat):
    detail = json.dumps({"tab": "preview"})
    chat.evaluate(f"dispatchEvent(new CustomEvent('mesh:panel', {{ detail: {detail} }}))")

    expect(chat.get_by_role("tab", name="Preview")).to_have_attribute("aria-selected", "true")


def test_what_is_remembered_may_be_anything(chat, server):
    key = f"mesh:panel:{made_up.THREAD}"
    for text in ("[]", "nonsense", '{"tab": 7, "width": "wide", "isOpen":true}'):
        chat.evaluate("([key, text]) => localStorage.setItem(key, text)", [key, text])
        chat.reload()
        chat.locator("body[data-ready]").wait_for()
        if not chat.locator("#panel").is_visible():
            open_it(chat)
        expect(chat.locator("#panel [role=tab][aria-selected=true]")).to_have_count(1)
        assert width_of(chat) >= 320


TEXT = {"path": "src/app.py", "kind": "text", "isWhole": True, "version": "v", "size": 9}
LINES = "\n".join(f"line {number}" for number in range(1, 301))


@pytest.fixture
def with_files(server, page):
    """A chat whose sandbox has one file; ``asked`` is what the page wanted to see."""
    asked = []

    def answer(route):
        path = route.request.url.partition("/sandbox/")[2]
        asked.append(path)
        if path == "events":
            return route.fulfill(body=EVENTS, content_type="text/event-stream")
        if path.startswith("files/text"):
            return route.fulfill(json={**TEXT, "content": LINES})
        if path.startswith("files/marks"):
            return route.fulfill(json={"files": []})
        entries = [{"name": "src", "path": "src", "kind": "folder"}]
        if "path=src" in path:
            entries = [{"name": "app.py", "path": "src/app.py", "kind": "file"}]
        folder = {"path": "", "folder": "/w", "base": "", "leftOut": 0}
        return route.fulfill(json={**folder, "entries": entries})

    page.route("**/sandbox/**", answer)
    return asked


def show(server, page, *parts):
    server.add_thread(locked=True, messages=[made_up.mine("hi"), made_up.answer(*parts)])
    page.goto(server.url + CHAT)
    server.wait_until_followed()


def test_a_path_with_a_line_in_an_answer_opens_the_file_there(server, page, with_files):
    show(server, page, made_up.text("See `src/app.py:200`, not `a.b` or `example.com:80`."))
    links = page.locator("#messages a.path")
    expect(links).to_have_text(["src/app.py:200"])

    links.focus()
    page.keyboard.press("Enter")

    here = page.locator(".viewer__line--here")
    expect(here).to_have_text("line 200")
    expect(here).to_be_in_viewport()
    assert "files/text?path=src%2Fapp.py" in with_files
    page.get_by_role("button", name="Back to the files").click()
    expect(page.get_by_role("treeitem", selected=True)).to_contain_text("app.py")


@pytest.mark.parametrize(
    ("text", "is_file"),
    [
        ("src/app.py", True),
        ("./a/b.test.ts:3:7", True),
        ("/abs/file.rs:12-14", True),
        ("README.md:3", True),
        ("README.md", False),
        ("os.path", False),
        ("127.0.0.1:8000", False),
        ("http://a.b/c.html", False),
        ("and/or", False),
        ("git status", False),
        ("x" * 400 + "/a.py", False),
    ],
)
def test_what_is_taken_for_a_file(server, page, with_files, text, is_file):
    show(server, page, made_up.text(f"See `{text}` here."))
    expect(page.locator("#messages code")).to_have_text(text)

    expect(page.locator("#messages a.path")).to_have_count(int(is_file))
