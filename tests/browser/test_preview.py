"""The preview in the work panel: its frame, what is told of the sandbox, and its cards."""

import json
import re

import pytest
from playwright.sync_api import expect

from tests.browser import made_up

HANDLE = "main-0123456789abcdef"
ORIGIN = f"http://{HANDLE}.localhost:4321"
ENTRY = f"http://enter.{HANDLE}.localhost:4321"
APP = "<!doctype html><title>Shop</title><h1>The shop</h1>"
RUNNING = [("lifecycle", {"state": {"phase": "running", "port": 4321, "htmlSupport": True}})]


class Sandbox:
    """What the page is told of its sandbox; ``asked`` is what it asked for."""

    def __init__(self, page):
        self.page, self.asked, self.events = page, [], RUNNING
        self.refusal = None
        page.route("**/sandbox/**", self.answer)
        for origin in (ORIGIN, ENTRY):
            page.route(f"{origin}/**", lambda r: r.fulfill(body=APP, content_type="text/html"))

    def answer(self, route):
        path = route.request.url.partition("/sandbox/")[2]
        self.asked.append(path)
        if path == "events":
            told = "".join(f"event: {n}\ndata: {json.dumps(d)}\n\n" for n, d in self.events)
            return route.fulfill(body=told, content_type="text/event-stream")
        if self.refusal and path == "preview":
            return route.fulfill(status=409, json={"error": self.refusal})
        url = f"{ENTRY}/{HANDLE}#ticket=t{len(self.asked)}"
        return route.fulfill(json={"url": url, "origin": ORIGIN, "expiresIn": 60})

    def open(self, server):
        self.page.goto(f"{server.url}/home/threads/{made_up.THREAD}")
        server.wait_until_followed()
        self.page.get_by_role("button", name="Work panel").click()
        self.page.get_by_role("tab", name="Preview").click()


@pytest.fixture
def sandbox(server, page):
    server.add_thread(locked=True)
    return Sandbox(page)


def test_the_app_is_shown_in_a_frame_of_its_own_origin(server, page, sandbox):
    sandbox.open(server)

    frame = page.frame_locator(".preview__frame")
    expect(frame.get_by_role("heading", name="The shop")).to_be_visible()
    allowed = page.locator(".preview__frame").get_attribute("sandbox").split()
    assert "allow-top-navigation" not in allowed
    assert page.evaluate("document.querySelector('.preview__frame').contentDocument") is None


def test_before_the_first_message_there_is_no_preview(server, page):
    server.add_thread(locked=False)
    page.goto(f"{server.url}/home/threads/{made_up.THREAD}")

    expect(page.get_by_role("button", name="Work panel")).to_be_hidden()


def lifecycle(phase, **detail):
    """What the sandbox says of itself, in its own words."""
    return ("lifecycle", {"state": {"phase": phase, "at": 1, **detail}})


@pytest.mark.parametrize(
    ("event", "words"),
    [
        (("phase", {"kind": "claiming"}), "Reserving sandbox…"),
        (lifecycle("cloning"), "Cloning your repo…"),
        (lifecycle("checking-out", to="feature"), "Checking out the branch…"),
        (lifecycle("installing"), "Installing packages…"),
        (lifecycle("starting"), "Starting your preview…"),
        (
            lifecycle("crashed", reason="dev script exited with code 1", inSeconds=2.0),
            "Stopped; starting it again…",
        ),
    ],
)
def test_the_phase_of_the_sandbox_is_shown(server, page, sandbox, event, words):
    sandbox.events = [event]
    sandbox.open(server)

    expect(page.locator("#preview-phase")).to_have_text(words)
    expect(page.locator("#preview-card")).to_be_hidden()


def test_a_phase_that_nobody_knows_says_nothing(server, page, sandbox):
    sandbox.events = [("phase", {"kind": "installing"}), ("phase", {"kind": "<b>dancing</b>"})]
    sandbox.open(server)

    expect(page.locator("#preview-phase")).to_be_empty()
    expect(page.locator("#preview-card")).to_be_hidden()


def test_a_server_that_did_not_start_says_why_and_is_tried_again(server, page, sandbox):
    sandbox.events = [
        ("log", {"source": "dev", "data": "one\ntwo\nError: port in use\n"}),
        ("lifecycle", {"state": {"phase": "start-failed", "reason": "dev exited with code 1"}}),
    ]
    sandbox.open(server)

    card = page.locator("#preview-card")
    expect(card).to_contain_text("The dev server did not start.")
    expect(card).to_contain_text("dev exited with code 1")
    expect(card).to_contain_text("Error: port in use")
    sandbox.events = RUNNING
    card.get_by_role("button", name="Try again").click()
    expect(card).to_be_hidden()
    assert "setup/start" in sandbox.asked


def test_the_log_is_shown_as_a_terminal_would(server, page, sandbox):
    lines = [
        "\x1b[2m10%\r\x1b[32mdone\x1b[0m",
        "built \u202ein 3 s",
        "\x1b[1mReady\x1b[0m on \x1b]8;;x\x07here",
    ]
    failed = {"state": {"phase": "start-failed", "reason": "dev exited with code 1"}}
    log = ("log", {"source": "dev", "data": "\n".join([*lines, ""])})
    sandbox.events = [log, ("lifecycle", failed)]
    sandbox.open(server)

    expect(page.locator("#preview-log summary")).to_have_text("Log · Ready on here")
    for place in ("#preview-log pre", "#preview-card pre"):
        expect(page.locator(place)).to_have_text("done\nbuilt ⟨U+202E⟩in 3 s\nReady on here")
        expect(page.locator(f"{place} .ansi-2")).to_have_text("done")


def test_a_machine_that_is_away_is_a_card_and_not_a_storm(server, page, sandbox):
    failed = {"kind": "failed", "reason": "unknown", "message": "Your machine is not connected."}
    sandbox.events = [("phase", failed)]
    sandbox.open(server)

    expect(page.locator("#preview-card")).to_contain_text("Your machine is not connected.")
    assert sandbox.asked.count("events") == 1


def test_a_refusal_is_shown_in_its_own_words(server, page, sandbox):
    sandbox.refusal = {"code": "not_begun", "message": "No sandbox yet.", "hint": "Send a message."}
    sandbox.open(server)

    expect(page.locator("#preview-card")).to_contain_text("No sandbox yet.")
    expect(page.locator("#preview-card")).to_contain_text("Send a message.")


def test_closing_ends_the_app_and_gives_the_focus_back(server, page, sandbox):
    sandbox.open(server)
    expect(page.locator(".preview__frame")).to_be_visible()

    page.get_by_role("button", name="Close the panel").click()

    expect(page.locator("#preview")).to_be_hidden()
    expect(page.locator(".preview__frame")).to_have_count(0)
    expect(page.get_by_role("button", name="Work panel")).to_be_focused()


def test_each_look_takes_a_ticket_of_its_own(server, page, sandbox):
    sandbox.open(server)
    expect(page.locator(".preview__frame")).to_be_visible()
    first = page.locator(".preview__frame").get_attribute("src")

    page.get_by_role("button", name="Reload the preview").click()

    expect(page.locator(".preview__frame")).not_to_have_attribute("src", first)


def test_on_a_phone_it_covers_the_page(server, page, sandbox):
    page.set_viewport_size({"width": 390, "height": 800})
    sandbox.open(server)

    expect(page.locator("#preview")).to_be_visible()
    box = page.locator("#preview").bounding_box()
    assert (box["x"], box["width"]) == (0, 390)


def test_it_opens_at_the_page_that_the_dev_server_announced(server, page, sandbox):
    sandbox.events = [lifecycle("running", port=8888, path="/lab?token=1&x")]
    sandbox.open(server)

    frame = page.locator(".preview__frame")
    expect(frame).to_have_attribute("src", re.compile(r"#ticket=t\d+&path=%2Flab%3Ftoken%3D1%26x$"))


def test_a_dev_server_that_the_whole_network_reaches_is_named(server, page, sandbox):
    sandbox.events = [lifecycle("running", port=3000, isOpen=True)]
    sandbox.open(server)

    expect(page.get_by_text("Everybody on your network can open this dev server")).to_be_visible()


def test_one_that_answers_nowhere_is_told_with_its_last_lines_and_what_to_do(server, page, sandbox):
    detail = {
        "reason": "npm run dev runs.",
        "hint": "Write port = 3000.",
        "lastLines": ["building"],
    }
    sandbox.events = [lifecycle("unseen", **detail)]
    sandbox.open(server)

    card = page.locator("#preview-card")
    expect(card).to_contain_text("Nothing answers yet.")
    for words in ("npm run dev runs.", "Write port = 3000.", "building"):
        expect(card).to_contain_text(words)
    expect(page.locator("#preview-note")).to_be_hidden()


def several(port):
    return lifecycle("running", port=port, htmlSupport=True, ports=[3000, 5173, 8081])


def test_the_ports_of_a_project_are_a_menu(server, page, sandbox):
    sandbox.events = [several(5173)]
    sandbox.open(server)
    menu = page.get_by_role("combobox", name="Port that the preview shows")

    expect(menu).to_have_value("5173")
    expect(menu.locator("option")).to_have_text(["Port 3000", "Port 5173", "Port 8081"])
    with page.expect_request("**/sandbox/port") as asked:
        menu.select_option("8081")
    assert asked.value.post_data_json == {"port": 8081}


def test_one_that_can_not_be_shown_says_why(server, page, sandbox):
    sandbox.events = [several(5173)]
    sandbox.open(server)
    error = {"code": "not_a_web_server", "message": "What listens there is no web server."}
    page.route("**/sandbox/port", lambda r: r.fulfill(status=409, json={"error": error}))
    menu = page.get_by_role("combobox", name="Port that the preview shows")

    menu.select_option("3000")

    expect(page.locator("#preview-phase")).to_have_text(error["message"])
    expect(menu).to_have_value("5173")


def test_one_port_is_no_menu(server, page, sandbox):
    sandbox.open(server)
    expect(page.frame_locator(".preview__frame").get_by_role("heading")).to_be_visible()

    expect(page.locator("#preview-port")).to_be_hidden()


SETTINGS = {"port": None, "dev": "npm run web", "revision": "r1"}


def unseen_with(page, answer):
    """Open a card with the form, whose requests ``answer`` answers; return its form."""
    page.route("**/sandbox/settings", answer)
    return page.locator(".preview__fix")


def test_the_fix_is_written_into_the_project_s_settings(server, page, sandbox):
    sandbox.events = [lifecycle("unseen", reason="npm run web runs.")]
    form = unseen_with(page, lambda route: route.fulfill(json=SETTINGS))
    sandbox.open(server)

    expect(form.get_by_label("Command")).to_have_value("npm run web")
    form.get_by_label("Port").fill("4000")
    with page.expect_request(lambda r: r.method == "POST" and "settings" in r.url) as asked:
        form.get_by_role("button", name="Write into mesh.toml and start").click()

    assert asked.value.post_data_json == {"port": 4000, "dev": "npm run web", "revision": "r1"}


def test_what_can_t_be_written_is_said_and_nothing_typed_is_lost(server, page, sandbox):
    error = {"code": "invalid_settings", "message": "mesh.toml can't be read.", "hint": "Mend it."}

    def answer(route):
        is_write = route.request.method == "POST"
        route.fulfill(status=409, json={"error": error}) if is_write else route.fulfill(
            json=SETTINGS
        )

    sandbox.events = [lifecycle("unseen", reason="npm run web runs.")]
    form = unseen_with(page, answer)
    sandbox.open(server)
    expect(form.get_by_role("button")).to_be_enabled()
    form.get_by_label("Port").fill("4000")
    form.get_by_role("button").click()

    expect(form.get_by_role("alert")).to_have_text("mesh.toml can't be read. Mend it.")
    expect(form.get_by_label("Port")).to_have_value("4000")


@pytest.mark.parametrize("width", [390, 1280])
def test_the_form_fits_into_the_card(server, page, sandbox, width):
    page.set_viewport_size({"width": width, "height": 800})
    sandbox.events = [lifecycle("unseen", reason="npm run web runs.", lastLines=["building"])]
    form = unseen_with(page, lambda route: route.fulfill(json=SETTINGS))
    sandbox.open(server)
    expect(form.get_by_role("button")).to_be_enabled()

    card, inside = page.locator("#preview-card").bounding_box(), form.bounding_box()
    assert inside["x"] >= card["x"]
    assert inside["x"] + inside["width"] <= card["x"] + card["width"]
