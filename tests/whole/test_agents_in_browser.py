"""Claude Code, Codex, Gemini CLI and opencode, each through everything and in a real browser:
page, server, link, sandbox and the real program; only the model is a stand-in."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest
from playwright.sync_api import expect

from mesh import processes
from tests.harness import real
from tests.harness.cli import a_home, need
from tests.running import RunningMesh
from tests.standin import serving_in_thread
from tests.waiting import until

pytestmark = [pytest.mark.real_cli, pytest.mark.browser]

PROGRAMS = {
    "claude-code": ("claude", real.claude_env),
    "codex": ("codex", real.codex_env),
    "acp:gemini": ("gemini", real.gemini_env),
    "acp:opencode": ("opencode", real.opencode_env),
}
# What the model has its agent do that needs to be asked for. In Codex's read-only sandbox
# commands run unasked, for they can change nothing.
ACTS = dict.fromkeys(PROGRAMS, "bash: touch made") | {"codex": "write: made x"}
PATIENCE = 60_000  # milliseconds: a program may take seconds to start


@pytest.fixture(scope="module")
def person():
    with a_home() as home:
        yield home


@pytest.fixture(scope="module")
def mesh(tmp_path_factory, person):
    """A running Mesh whose machine has all four programs, each signed in by a key."""
    folder = Path(need("claude")).parent
    with serving_in_thread() as standin:
        environ = {}
        for program, env_of in PROGRAMS.values():
            need(program)
            environ |= env_of(person, standin.url)
        # Codex counts as signed in by what it has kept, not by a key in the environment.
        (person / ".codex/auth.json").write_text('{"OPENAI_API_KEY": "stand-in"}')
        environ["PATH"] = f"{folder}:{os.environ['PATH']}"
        running = RunningMesh(tmp_path_factory.mktemp("mesh") / "home", **environ)
        try:
            running.start().online()
            until(lambda: set(PROGRAMS) <= capabilities(running), within=60, what="probed")
            yield running
        finally:
            running.close()


def capabilities(mesh):
    with mesh.client() as api:
        return set(api.get(f"{mesh.url}/api/links/me").json().get("capabilities", []))


class Chat:
    """A new chat with one agent, as a person has it on the page."""

    def __init__(self, page, mesh, kind):
        self.page, self.mesh, self.kind = page, mesh, kind
        self.made = None
        cookie = {"name": "mesh_session", "value": mesh.session(), "url": mesh.url}
        page.context.add_cookies([cookie])
        page.goto(f"{mesh.url}/home/?choice={kind}:smart")
        page.locator("#level").select_option("readonly")

    def say(self, text):
        self.page.get_by_role("textbox").first.fill(text)
        self.page.keyboard.press("Enter")

    def hears(self, text):
        answer = self.page.locator(".message--answer").last
        expect(answer).to_contain_text(text, timeout=PATIENCE)
        expect(self.page.locator("#stop")).to_be_hidden(timeout=PATIENCE)

    def decide(self, button):
        self.page.locator(".approval").get_by_role("button", name=button, exact=True).click(
            timeout=PATIENCE
        )

    def files(self):
        """The names of what is in this thread's working folder, and of no other's."""
        found = self.mesh.home.glob("sandboxes/*/repo/made")
        return [path.name for path in found]

    def end_the_program(self):
        """What a restart of the machine does: sandbox and program are gone, the thread is not."""
        for pid, started in self.mesh.sandboxes():
            processes.end(pid, started, within=10)


@pytest.fixture(params=PROGRAMS)
def chat(request, page, mesh):
    return Chat(page, mesh, request.param)


def test_it_answers_acts_when_allowed_is_stopped_and_taken_up_again(chat, person):
    page = chat.page
    chat.say("say: hello from the machine")
    chat.hears("hello from the machine")
    expect(page.locator("#agent-pill")).to_be_visible()

    chat.say(ACTS[chat.kind])
    chat.decide("Deny")
    expect(page.locator(".tool[data-state=denied]").last).to_be_visible(timeout=PATIENCE)
    expect(page.locator("#stop")).to_be_hidden(timeout=PATIENCE)
    assert chat.files() == []

    chat.say(ACTS[chat.kind])
    chat.decide("Allow")
    expect(page.locator(".tool[data-state=ok]").last).to_be_visible(timeout=PATIENCE)
    expect(page.locator("#stop")).to_be_hidden(timeout=PATIENCE)
    assert chat.files() == ["made"]
    page.reload()
    expect(page.locator(".tool[data-state=ok]").last).to_be_attached(timeout=PATIENCE)

    chat.say("stall now")
    expect(page.locator(".message--answer").last).to_contain_text("I begin", timeout=PATIENCE)
    page.get_by_role("button", name="Stop").click()
    page.get_by_text(re.compile("Stopped by you")).last.wait_for(timeout=PATIENCE)

    chat.end_the_program()
    real.make_older(person)
    chat.say("recall")
    chat.hears("First you said: say: hello from the machine")

    for path in chat.mesh.home.glob("sandboxes/*/repo/made"):
        path.unlink()  # threads without a branch of their own may share a folder
