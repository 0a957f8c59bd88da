"""A new laptop by the page's own command, as a person does it: copy, run, approve, work."""

import json
import os
import re
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.waiting import PATIENCE, until

pytestmark = pytest.mark.browser


class Terminal:
    """The other computer: it has uv, a Claude Code that is signed in, and nothing of ours."""

    def __init__(self, home):
        self.home, self.lines, self.process = home, [], None
        claude = home / "bin" / "claude"
        claude.parent.mkdir()
        claude.write_text("""#!/bin/sh\necho '{"loggedIn": true, "email": "ada@mesh.example"}'\n""")
        claude.chmod(0o755)

    def run(self, command):
        assert command.startswith("uv venv")
        environ = {k: v for k, v in os.environ.items() if not k.startswith(("MESH_", "PYTHON"))}
        self.process = subprocess.Popen(
            ["/bin/sh", "-c", f"{command} --name 'new laptop'"],
            cwd=self.home,
            env=environ
            | {
                "HOME": str(self.home),
                "UV_CACHE_DIR": environ.get("UV_CACHE_DIR", str(Path.home() / ".cache" / "uv")),
                "MESH_HOME": str(self.home),
                "PATH": f"{self.home}/bin:{Path(sys.executable).parent}:{environ['PATH']}",
                "PYTHONUNBUFFERED": "1",
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,  # the shell's signals reach the program only as a group's
        )
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        for line in self.process.stdout:
            self.lines.append(line.rstrip())

    def code(self):
        """The code that it shows."""
        shown = until(lambda: self._is_over() or self._find(), within=60, what=self.lines)
        assert isinstance(shown, re.Match), self.lines
        return shown[1]

    def _find(self):
        return re.search(r"enter the code   (\S+)", "\n".join(self.lines))

    def _is_over(self):
        return self.process.poll() is not None

    def end(self):
        if self.process and self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGTERM)
            self.process.wait(20)


@pytest.fixture
def terminal(tmp_path):
    terminal = Terminal(tmp_path)
    yield terminal
    terminal.end()


@pytest.fixture
def page(mesh, page):
    """The owner's browser."""
    page.context.add_cookies([{"name": "mesh_session", "value": mesh.session(), "url": mesh.url}])
    return page


def link(mesh, terminal, page):
    """Copy the dialog's command, run it on the other computer, and approve it."""
    page.goto(mesh.url)
    page.locator(".user").click()
    page.get_by_role("button", name="Connect a desktop").click()

    terminal.run(page.locator("#connect-uv").inner_text())
    code = terminal.code()
    approving = page.context.new_page()
    approving.goto(f"{mesh.url}/identity/o/device?code={code}")
    expect(approving.locator("body")).to_contain_text("new laptop")
    approving.get_by_role("button", name="Approve").click()
    expect(page.locator("#connect")).to_be_hidden(timeout=30_000)


def test_copy_run_approve_and_the_dialog_closes(mesh, terminal, page):
    link(mesh, terminal, page)

    expect(page.locator("#machines")).to_contain_text("new laptop")
    (token_file,) = (terminal.home / "link" / "tokens").glob("*.json")
    assert json.loads(token_file.read_text())["access"] not in "\n".join(terminal.lines)


def test_a_machine_is_checked_and_signed_out_on_its_page(mesh, terminal, page):
    link(mesh, terminal, page)
    page.locator(".user").click()
    page.get_by_role("link", name="Your machines").click()
    desk = page.locator(".desk", has_text="new laptop").first
    expect(desk).to_contain_text("online")
    desk.get_by_role("button", name="Check new laptop now").click()
    expect(page.locator(".notes")).to_contain_text("new laptop answered in")

    desk.get_by_role("button", name="Sign new laptop out").click()
    page.get_by_role("dialog").get_by_role("button", name="Sign new laptop out").click()

    expect(page.locator(".notes")).to_contain_text("new laptop was signed out")
    assert terminal.process.wait(PATIENCE) == 3
    until(lambda: "This machine was signed out" in "\n".join(terminal.lines))
    expect(desk).to_contain_text("signed out")
