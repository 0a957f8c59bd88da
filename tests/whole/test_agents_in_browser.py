"""Claude Code, Codex, Gemini CLI and opencode, each through everything and in a real browser:
page, server, link, sandbox and the real program; only the model is a stand-in."""

from __future__ import annotations

import json
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


# What goes on beside the answers


@pytest.fixture
def at_auto(page, mesh):
    """Return ``at_auto(kind)``: a new chat in which the agent may do all without asking."""

    def begin(kind):
        chat = Chat(page, mesh, kind)
        page.locator("#level").select_option("auto")
        return chat

    return begin


def rows(page):
    return page.locator(".background__row")


def test_what_claude_begins_when_a_command_has_ended_is_an_answer_of_its_own(at_auto, tmp_path):
    chat = at_auto("claude-code")
    command = f"while [ ! -e {tmp_path}/go ]; do sleep 0.1; done"
    task = {"command": command, "run_in_background": True, "description": "Waits for you"}
    chat.say(f"tool: Bash {json.dumps(task)}")
    chat.hears("The tool said:")
    expect(rows(chat.page)).to_contain_text("Running in the background: Waits for you")
    chat.page.reload()
    expect(rows(chat.page)).to_have_count(1, timeout=PATIENCE)

    (tmp_path / "go").touch()

    note = chat.page.locator(".message--note")
    expect(note).to_contain_text("Claude Code began this by itself:", timeout=PATIENCE)
    expect(chat.page.locator(".message--answer")).to_have_count(2, timeout=PATIENCE)
    expect(rows(chat.page)).to_have_count(0, timeout=PATIENCE)
    expect(chat.page.locator("#stop")).to_be_hidden(timeout=PATIENCE)
    chat.say("say: still here")
    chat.hears("still here")
    expect(chat.page.locator(".message--note")).to_have_count(1)


def test_a_sub_agent_of_claude_that_works_on_asks_and_reports(at_auto, page):
    chat = at_auto("claude-code")
    page.locator("#level").select_option("readonly")
    task = {"description": "Looks", "subagent_type": "general-purpose"}
    chat.say(f"tool: Task {json.dumps(task | {'prompt': 'bash: touch made'})}")

    chat.decide("Allow")

    note = page.locator(".message--note").last
    expect(note).to_contain_text("The sub-agent “Looks” has ended.", timeout=PATIENCE)
    assert chat.files() == ["made"]
    for path in chat.mesh.home.glob("sandboxes/*/repo/made"):
        path.unlink()


def test_a_command_that_codex_leaves_running_is_stopped(at_auto):
    chat = at_auto("codex")
    call = {"cmd": "sleep 600", "yield_time_ms": 300}
    chat.say(f"tool: exec_command {json.dumps(call)}")
    expect(rows(chat.page)).to_have_count(1, timeout=PATIENCE)

    rows(chat.page).get_by_role("button").click()

    expect(rows(chat.page)).to_have_count(0, timeout=PATIENCE)
    chat.say("say: still here")
    chat.hears("still here")
