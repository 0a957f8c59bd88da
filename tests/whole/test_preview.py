"""A real Vite project, seen and hot-reloaded in Chromium through server, link and sandbox."""

from __future__ import annotations

import json

import pytest
from playwright.sync_api import expect

from mesh.develop import TOOLS
from tests.running import RunningMesh, say
from tests.sandboxes.daemon.projects import repository
from tests.waiting import until

pytestmark = [pytest.mark.browser, pytest.mark.real_cli]

VITE = TOOLS / "node_modules" / "vite" / "bin" / "vite.js"
FILES = {
    "package.json": json.dumps({"name": "page", "scripts": {"dev": f"node {VITE}"}}),
    "index.html": "<html><body><h1></h1><script type=module src=/main.js></script></body></html>",
    # Hot: a reload would lose what the page counts.
    "main.js": """
        window.loads = (window.loads || 0) + 1;
        document.querySelector("h1").textContent = "one";
        document.cookie = "app=1";
        import.meta.hot.accept();
    """,
    ".gitignore": "node_modules\n",
    # An app may look at whatever its pages and the browser ask of its origin.
    "public/sw.js": """
        const seen = [];
        addEventListener("install", () => skipWaiting());
        addEventListener("activate", (event) => event.waitUntil(clients.claim()));
        addEventListener("fetch", (event) => {
          seen.push(event.request.url);
          event.respondWith(fetch(event.request));
        });
        addEventListener("message", (event) => event.source.postMessage(seen));
    """,
}

# A form as Django and Flask make one: its token must come back with the cookie.
FORM = {
    "mesh.toml": 'dev = ["python3", "server.py"]',
    "server.py": """
import http.server, http.cookies, os, urllib.parse
PAGE = "<html><head></head><body><h1>{}</h1><form method=post><button name=t value=s3>Send</button>"
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self, said="form"):
        page = (PAGE + "<script>document.cookie = 'script=1; path=/'</script>").format(said)
        self.send_response(200)
        self.send_header("content-type", "text/html")
        self.send_header("set-cookie", "csrf=s3; Path=/; HttpOnly; SameSite=Lax")
        self.end_headers()
        self.wfile.write(page.encode())
    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"])).decode()
        cookies = http.cookies.SimpleCookie(self.headers.get("cookie", ""))
        given = {name: one.value for name, one in cookies.items()}
        is_own = self.headers["origin"] == "http://" + self.headers["host"]
        token = urllib.parse.parse_qs(body).get("t")
        is_taken = is_own and token == [given.get("csrf")] and given.get("script") == "1"
        self.do_GET("accepted" if is_taken else f"refused {given} {self.headers['origin']}")
http.server.ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT"])), Handler).serve_forever()
""",
}


@pytest.fixture
def files():
    return FILES


@pytest.fixture
def mesh(tmp_path, files):
    """A Mesh whose agent works in the project's folder."""
    repository(tmp_path / "project", files)
    running = RunningMesh(tmp_path / "home", MESH_FOLDER=str(tmp_path / "project"))
    try:
        running.start().online()
        yield running
    finally:
        running.close()


@pytest.fixture
def thread(mesh):
    """A thread that has said something, and so has a sandbox."""
    with mesh.client() as api:
        thread = api.post("/threads", json={}).json()["id"]
        assert say(api, thread, "hello", harnessId="demo").status_code == 202
        until(lambda: api.get(f"/threads/{thread}").json()["status"] == "completed", within=60)
    return thread


def test_the_project_is_served_and_an_edit_is_seen_without_a_reload(mesh, thread, page):
    page.context.add_cookies([{"name": "mesh_session", "value": mesh.session(), "url": mesh.url}])
    page.goto(f"{mesh.url}/home/threads/{thread}")
    page.get_by_role("button", name="Work panel").click()
    page.get_by_role("tab", name="Preview").click()
    frame = page.frame_locator(".preview__frame")
    expect(frame.get_by_role("heading", name="one")).to_be_visible(timeout=60_000)
    expect(page.locator("#preview")).to_have_attribute("data-phase", "running")
    inside = page.frames[-1]
    assert "mesh" not in inside.evaluate("document.cookie")

    (main,) = (mesh.home / "sandboxes").glob("*/repo/main.js")
    main.write_text(main.read_text().replace('"one"', '"two"'))

    expect(frame.get_by_role("heading", name="two")).to_be_visible()
    assert inside.evaluate("window.loads") == 2  # run anew in the same page: hot, not reloaded
    assert "app" not in {one["name"] for one in page.context.cookies(mesh.url)}


def show_preview(mesh, thread, page):
    page.context.add_cookies([{"name": "mesh_session", "value": mesh.session(), "url": mesh.url}])
    page.goto(f"{mesh.url}/home/threads/{thread}")
    page.get_by_role("button", name="Work panel").click()
    page.get_by_role("tab", name="Preview").click()


def tab_of(page):
    """Open the preview in a tab of its own, where an app may have a service worker."""
    with page.context.expect_page() as opening:
        page.locator("[data-preview=window]").click()
    expect(opening.value.get_by_role("heading", name="one")).to_be_visible(timeout=60_000)
    return opening.value


def test_in_a_tab_of_its_own_it_has_no_ticket_and_holds_no_page_of_mesh(mesh, thread, page):
    show_preview(mesh, thread, page)

    tab = tab_of(page)

    opener, referrer = tab.evaluate("[window.opener, document.referrer]")
    assert opener is None
    assert not [text for text in (tab.url, referrer) if "ticket" in text or "enter." in text]


def test_the_app_s_service_worker_sees_nothing_of_the_entry(mesh, thread, page):
    show_preview(mesh, thread, page)
    tab_of(page).evaluate("""async () => {
      const taken = new Promise((done) => {
        navigator.serviceWorker.oncontrollerchange = done;
      });
      await navigator.serviceWorker.register("/sw.js", { scope: "/" });
      await taken;
    }""")

    seen = tab_of(page).evaluate("""() => new Promise((resolve) => {
      navigator.serviceWorker.onmessage = ({ data }) => resolve([location.origin, data]);
      navigator.serviceWorker.controller.postMessage("what have you seen?");
    })""")

    origin, urls = seen
    assert f"{origin}/" in urls  # the browser did pass it, once it had entered
    assert not [url for url in urls if "ticket" in url or "/.mesh/" in url]
    assert {url.rpartition("/")[0] for url in urls if not url.startswith(origin)} == set()


@pytest.mark.parametrize("files", [FORM], ids=["a form"])
@pytest.mark.parametrize(
    "flags",
    [
        pytest.param([], id="cookies of third parties allowed"),
        pytest.param(["--test-third-party-cookie-phaseout"], id="and blocked"),
    ],
)
def test_a_form_that_compares_a_cookie_is_taken_in_the_frame_and_in_a_tab(
    mesh, thread, browser_type, browser_type_launch_args, flags
):
    args = [*browser_type_launch_args.get("args", []), *flags]
    with browser_type.launch(**{**browser_type_launch_args, "args": args}) as browser:
        page = browser.new_page()
        show_preview(mesh, thread, page)
        frame = page.frame_locator(".preview__frame")
        frame.get_by_role("button", name="Send").click(timeout=60_000)
        expect(frame.get_by_role("heading")).to_have_text("accepted")

        with page.context.expect_page() as opening:
            page.locator("[data-preview=window]").click()
        tab = opening.value
        tab.get_by_role("button", name="Send").click(timeout=60_000)
        expect(tab.get_by_role("heading")).to_have_text("accepted")
