"""How much later does an edit show in the browser, through everything?

    python -m tests.bench.bench_hot_reload

Two pages of one Vite project are open in Chromium: one asks the dev server itself, one comes
through server, link and sandbox. Each edit of a file is timed from just before it is written until
its code has run in each page, by one clock. The numbers belong to a machine; what is added
and the ratio say more.
"""

from __future__ import annotations

import json
import tempfile
import time
from pathlib import Path

from playwright.sync_api import sync_playwright

from mesh.develop import TOOLS
from sandboxes.daemon.setup.announced_ports import PortSniffer
from tests.bench.bench_preview import median
from tests.chromium import CHROMIUM, QUIET
from tests.running import RunningMesh, say
from tests.sandboxes.daemon.projects import repository
from tests.waiting import until

ROUNDS = 40
PAUSE = 0.2  # seconds: Vite takes changes that follow at once for one
PROMISE_MS = 300
VITE = TOOLS / "node_modules" / "vite" / "bin" / "vite.js"
MAIN = """
window.seen ??= {{}};
window.seen["{number:04}"] ??= performance.timeOrigin + performance.now();
import.meta.hot.accept();
"""
FILES = {
    "package.json": json.dumps({"name": "page", "scripts": {"dev": f"node {VITE}"}}),
    "index.html": "<html><body><script type=module src=/main.js></script></body></html>",
    "main.js": MAIN.format(number=0),
    ".gitignore": "node_modules\n",
}


def main():
    if not VITE.exists():
        raise SystemExit("Vite is not there: make test installs it.")
    with tempfile.TemporaryDirectory(prefix="mesh-bench-") as folder:
        project = Path(folder) / "project"
        repository(project, FILES)
        mesh = RunningMesh(Path(folder) / "home", MESH_FOLDER=str(project))
        try:
            mesh.start().online()
            with sync_playwright() as playwright:
                measure(mesh, playwright)
        finally:
            mesh.close()


def measure(mesh, playwright):
    offer = begun(mesh)
    own = {"executable_path": str(CHROMIUM)} if CHROMIUM.exists() else {}
    browser = playwright.chromium.launch(args=QUIET, **own)
    through, direct = browser.new_page(), browser.new_page()
    connect(through, offer["url"])
    connect(direct, f"http://localhost:{announced(mesh)}/")
    (file,) = (mesh.home / "sandboxes").glob("*/repo/main.js")
    late = {direct: [], through: []}
    for number in range(1, ROUNDS + 1):
        # Whichever page is asked second, its own clock has said when it ran.
        began = time.time() * 1000
        overwrite(file, MAIN.format(number=number))
        for page, seen in late.items():
            seen.append(wait(page, f'window.seen["{number:04}"]') - began)
        time.sleep(PAUSE)
    browser.close()
    report(late[direct], late[through])


def overwrite(file, text):
    """Change the file in one write: Vite would see an empty one in between, now and then."""
    with file.open("r+") as stream:
        stream.write(text)


def connect(page, url):
    """Open the project's page, until Vite can tell it of changes."""
    with page.expect_console_message(lambda said: "connected." in said.text, timeout=60_000):
        page.goto(url)
    wait(page, "window.seen")


def wait(page, expression):
    """Return the first true value; by a timer, for a page that nobody sees paints nothing."""
    return until(lambda: page.evaluate(expression), within=60)


def begun(mesh):
    """Return what opens the preview of a thread that has a sandbox."""
    with mesh.client() as api:
        thread = api.post("/threads", json={}).json()["id"]
        say(api, thread, "hello", harnessId="demo")
        until(lambda: api.get(f"/threads/{thread}").json()["status"] == "completed", within=60)
        return api.post(f"/threads/{thread}/sandbox/preview").json()


def announced(mesh):
    """Return the dev server's own port, as its log says it."""
    logs = (mesh.home / "sandboxes").glob("*/tmp/*.log")
    ports = [PortSniffer().feed(log.read_text(errors="replace")) for log in logs]
    return next(found[0] for found in ports if found)


def report(direct, through):
    added = [far - near for near, far in zip(direct, through, strict=True)]
    ratio = median(through) / median(direct)
    print(f"{'an edit, directly':<28} p50 {median(direct):.1f} ms")
    print(f"{'an edit, through everything':<28} p50 {median(through):.1f} ms  × {ratio:.1f}")
    print(
        f"{'added':<28} p50 {median(added):.1f}  max {max(added):.1f} ms"
        f"  (promised: ≤ {PROMISE_MS} ms)"
    )


if __name__ == "__main__":
    main()
