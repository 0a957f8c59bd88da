"""One chat with each kind of agent, in which everything happens that ever ruined one, thing after
thing; after each, a plain message is answered. Browser, server, link, sandbox and the real
programs; only the model is a stand-in, which refuses what a provider would.
"""

from __future__ import annotations

import itertools
import json
import os
import re
import socket
import subprocess
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import expect

from tests.harness import real
from tests.harness.cli import a_home, need
from tests.pictures import half, picture
from tests.running import RunningMesh
from tests.standin import serving_in_thread
from tests.waiting import until

pytestmark = [pytest.mark.real_cli, pytest.mark.browser]

PATIENCE = 120_000  # milliseconds: a program, or Decopilot's library, may take a while to start
PROGRAMS = ("claude-code", "codex", "acp:opencode")
KINDS = ("demo", "decopilot", *PROGRAMS)

# What is not played, and why.
NO_MODEL = "it has no model"
NO_SETTINGS = "its person has no settings for it"
BEGINS_NONE = "it begins no turn by itself"
OWN_TOOLS = "the tool for files is the program's own"
NOT_PLAYED = {
    "a turn that nobody asked for": {
        "decopilot": BEGINS_NONE,
        "codex": BEGINS_NONE,
        "acp:opencode": BEGINS_NONE,
    },
    "a model that refuses": {"demo": NO_MODEL},
    "a rule of the person's own": {"demo": NO_SETTINGS, "decopilot": NO_SETTINGS},
    "a file with CRLF": {"demo": "it edits no files", **dict.fromkeys(PROGRAMS, OWN_TOOLS)},
    "a mute MCP server": {"demo": "it uses none"},
    "a long paste": {"demo": "it takes no files"},
}
# What can't happen in these chats, or not in each; and the test that plays it.
ELSEWHERE = {
    "an upgrade of node under a link that runs as a service": "links/daemon/test_as_service.py"
    "::test_it_finds_what_a_terminal_finds_also_after_an_upgrade",
    "its keys, which nobody else can read": "links/daemon/test_as_service.py"
    "::test_no_secret_is_where_others_can_read_it",
    "Enter on a phone in every other field": "browser/test_enter.py"
    "::test_by_touch_enter_writes_a_new_line_and_with_control_it_acts",
    "a composition in every other field": "browser/test_enter.py"
    "::test_the_enter_that_ends_a_composition_does_nothing_and_the_next_one_acts",
    "drafts in two tabs of a new chat": "browser/test_drafts.py::test_each_tab_has_its_own_draft",
    "the first picture of a slow network": "browser/test_walks.py"
    "::test_the_first_picture_without_any_script_says_what_comes",
}


def rule_of_claude(home):
    settings = {"permissions": {"ask": ["Bash(touch *)"]}}
    (home / ".claude").mkdir()
    (home / ".claude/settings.json").write_text(json.dumps(settings))


def rule_of_codex(home):
    (home / ".codex/rules").mkdir()
    (home / ".codex/rules/default.rules").write_text(
        'prefix_rule(pattern=["touch"], decision="prompt", justification="Each of them.")\n'
    )


def rule_of_opencode(home):
    path = home / ".config/opencode/opencode.json"
    permission = {"bash": {"*": "allow", "touch *": "ask"}}
    path.write_text(json.dumps(json.loads(path.read_text()) | {"permission": permission}))


RULES = {
    "claude-code": (rule_of_claude, "A rule in your settings for Claude Code asks."),
    "codex": (rule_of_codex, "A rule of yours for Codex asks: Each of them."),
    "acp:opencode": (rule_of_opencode, "Your settings for opencode ask about this."),
}


def git(folder, *words):
    answer = subprocess.run(["git", *words], cwd=folder, capture_output=True, text=True, check=True)
    return answer.stdout.strip()


@pytest.fixture(scope="module")
def place():
    """A folder that no agent may write by itself, as those for temporary files."""
    with a_home() as folder:
        yield folder


@pytest.fixture(scope="module")
def project(place):
    """The person's repository, in which each chat has a worktree."""
    folder = place / "project"
    folder.mkdir()
    git(folder, "init", "-q", "-b", "main")
    git(folder, "config", "user.name", "Ada")
    git(folder, "config", "user.email", "ada@mesh.example")
    (folder / "a.txt").write_text("one\n")
    git(folder, "add", ".")
    git(folder, "commit", "-qm", "One")
    return folder


@pytest.fixture(scope="module")
def mesh(place, project):
    """A running Mesh with a key for Decopilot, whose machine has the programs, each signed in."""
    home = place / "home"
    home.mkdir()
    with serving_in_thread() as standin:
        standin.is_strict = True
        environ = {"MESH_FOLDER": str(project), "MESH_PRIVATE_HOSTS": "127.0.0.1"}
        for kind in PROGRAMS:
            folder = Path(need(real.PROGRAMS[kind].name)).parent
            environ |= real.PROGRAMS[kind].env(home, standin.url)
            RULES[kind][0](home)
        # Codex counts as signed in by what it has kept, not by a key in the environment.
        (home / ".codex/auth.json").write_text('{"OPENAI_API_KEY": "stand-in"}')
        environ["PATH"] = f"{folder}:{os.environ['PATH']}"
        running = RunningMesh(place / "mesh", **environ)
        try:
            running.start().online()
            with organization(running) as api:
                key = {"provider": "anthropic", "baseUrl": standin.url, "key": "sk-ant-stand-in"}
                assert api.post("/ai-keys", json=key).status_code == 201
            until(lambda: set(PROGRAMS) <= capabilities(running), within=60, what="probed")
            yield running
        finally:
            running.close()


def organization(mesh):
    return httpx.Client(
        base_url=f"{mesh.url}/api/home",
        headers={"Authorization": f"Bearer {mesh.token}"},
        timeout=60,
        trust_env=False,
    )


def capabilities(mesh):
    with mesh.client() as api:
        return set(api.get(f"{mesh.url}/api/links/me").json().get("capabilities", []))


@pytest.fixture(scope="module")
def silence():
    """The address of a server that takes connections, and never says anything."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}/mcp"


def _is_taken(response):
    is_message = response.request.method == "POST" and response.url.endswith("/messages")
    return is_message and response.status == 202


class Chat:
    """A new chat with one kind of agent, as a person has it on the page."""

    def __init__(self, page, mesh, kind, folder):
        self.page, self.mesh, self.kind, self.folder = page, mesh, kind, folder
        self.is_demo = kind == "demo"
        self.numbers = itertools.count(100)
        cookie = {"name": "mesh_session", "value": mesh.session(), "url": mesh.url}
        page.context.add_cookies([cookie])
        page.goto(f"{mesh.url}/home/?choice={kind}:{'fast' if self.is_demo else 'smart'}")
        self.at("auto")

    @property
    def text(self):
        return self.page.locator("#text")

    @property
    def answer(self):
        return self.page.locator(".message--answer").last

    def at(self, level):
        self.page.locator("#level").select_option(level)

    def saying(self):
        """Return a plain message, of which there is no other, and what its answer has."""
        number = next(self.numbers)
        return (
            (f"count to {number}", f"{number - 1}, {number}")
            if self.is_demo
            else (f"say: answer {number}", f"answer {number}")
        )

    def running(self, command):
        """Return a message that has the agent run a command."""
        return f"run {command}" if self.is_demo else f"bash: {command}"

    def say(self, text):
        """Send a message; return once the server has it."""
        with self.page.expect_response(_is_taken, timeout=PATIENCE):
            self.text.fill(text)
            self.text.press("Enter")

    def is_over(self):
        expect(self.page.locator("#stop")).to_be_hidden(timeout=PATIENCE)

    def hears(self, text):
        expect(self.answer).to_contain_text(text, timeout=PATIENCE)
        self.is_over()

    def goes_on(self):
        """The chat is not ruined: a plain message is answered."""
        message, answer = self.saying()
        self.say(message)
        self.hears(answer)

    def press(self, button):
        self.page.get_by_role("button", name=button, exact=True).click(timeout=PATIENCE)

    @contextmanager
    def calling(self, state):
        """Wait after the block for one more call of a tool that ends so, and for its answer."""
        calls = self.page.locator(f".tool[data-state={state}]")
        before = calls.count()
        yield
        expect(calls.nth(before)).to_be_attached(timeout=PATIENCE)
        self.is_over()

    def files(self, name):
        """Return the files of this name in the working folders of all chats."""
        return list(self.mesh.home.glob(f"sandboxes/*/repo/{name}"))


@pytest.fixture(params=KINDS)
def chat(request, page, mesh, tmp_path):
    return Chat(page, mesh, request.param, tmp_path)


# Each does to the chat what once ruined it.


def unasked(chat):
    go = chat.folder / "go"
    command = f"while [ ! -e {go} ]; do sleep 0.1; done"
    if chat.is_demo:
        chat.say(f"background {command}")
    else:
        task = {"command": command, "run_in_background": True, "description": "Waits"}
        chat.say(f"tool: Bash {json.dumps(task)}")
    expect(chat.page.locator(".background__row")).to_have_count(1, timeout=PATIENCE)
    chat.is_over()
    message, answer = chat.saying()

    go.touch()  # while the person sends something
    chat.say(message)

    note = chat.page.locator(".message--note")
    expect(note).to_contain_text("began this by itself", timeout=PATIENCE)
    expect(chat.page.locator(".message--answer", has_text=answer)).to_have_count(
        1, timeout=PATIENCE
    )
    chat.is_over()
    after = "xpath=following-sibling::article[1]"
    mine = chat.page.locator(".message--mine", has_text=message)
    chat.page.reload()
    # Whichever came first, the answer below a message is that message's.
    expect(mine.locator(after)).to_contain_text(answer, timeout=PATIENCE)


def pictures(chat):
    tall = {"name": "tall.png", "mimeType": "image/png", "buffer": picture(size=(60, 8570))}
    broken = half(picture("JPEG", (800, 600)))
    if chat.is_demo:
        expect(chat.page.locator("#attach")).to_have_attribute("title", "Demo takes no files")
        return
    files = chat.page.locator("#attach-input")
    files.set_input_files([tall, {"name": "half.jpg", "mimeType": "image/jpeg", "buffer": broken}])
    expect(chat.page.locator(".file--failed")).to_contain_text("half.jpg", timeout=PATIENCE)
    chat.page.get_by_role("button", name="Remove half.jpg").click()
    expect(chat.page.locator(".file--ready")).to_have_count(1, timeout=PATIENCE)
    message, answer = chat.saying()
    chat.say(message)
    chat.hears(answer)


REFUSES = re.compile("model refuse[sd] to answer")


def refused(chat):
    chat.say("decline now")
    expect(chat.answer).to_contain_text(REFUSES, timeout=PATIENCE)
    expect(chat.page.get_by_text("Not sent to the model again")).to_be_visible(timeout=PATIENCE)
    chat.is_over()


def own_rules(chat):
    with chat.calling("denied"):
        chat.say("bash: touch asked")
        because = chat.page.get_by_text(RULES[chat.kind][1]).last
        expect(because).to_be_visible(timeout=PATIENCE)
        chat.press("Deny")
    assert chat.files("asked") == []


def commit(chat):
    name = chat.kind.replace(":", "-")
    command = f"echo two > {name} && git add {name} && git commit -qm 'By {name}'"
    with chat.calling("ok"):
        chat.say(chat.running(command))
    assert f"By {name}" in git(chat.mesh.environ["MESH_FOLDER"], "log", "--all", "--format=%s")


def line_ends(chat):
    with chat.calling("ok"):
        chat.say("bash: printf 'one\\r\\ntwo\\r\\n' > crlf.txt")
    edit = {"file_path": "crlf.txt", "old_string": "one\ntwo", "new_string": "one\ndrei"}
    chat.say(f"tool: edit {json.dumps(edit)}")
    chat.hears("Replaced 1 place in crlf.txt.")
    (file,) = chat.files("crlf.txt")
    assert file.read_bytes() == b"one\r\ndrei\r\n"


def slash(chat):
    message, answer = chat.saying()
    chat.say(f"/etc/hosts is a path, so {message}")
    chat.hears(answer)


def marks(chat):
    chat.at("readonly")
    # In Codex's read-only sandbox commands run unasked, for they can change nothing.
    is_edit = chat.kind == "codex"
    with chat.calling("ok"):
        chat.say("write: a\u202eb x" if is_edit else chat.running("echo a\u202eb"))
        allow = chat.page.get_by_role("button", name="Allow", exact=True)
        expect(allow).to_be_disabled(timeout=PATIENCE)
        expect(chat.page.locator(".approval")).to_contain_text("⟨U+202E⟩")
        chat.press("Show what is marked")
        allow.click()
    chat.at("auto")


def stop(chat):
    chat.say("count slowly to hundred" if chat.is_demo else "stall now")
    expect(chat.answer).to_contain_text("1, 2" if chat.is_demo else "I begin", timeout=PATIENCE)
    waiting = [chat.saying() for _ in range(2)]
    for number, (message, _) in enumerate(waiting, start=1):
        chat.say(message)
        expect(chat.page.locator(".queue__item")).to_have_count(number, timeout=PATIENCE)
    chat.page.locator("#stop").click()
    unsent = chat.page.get_by_role("group", name="Not sent")
    expect(unsent).to_have_count(2, timeout=PATIENCE)
    chat.is_over()
    for left, (message, answer) in zip((1, 0), waiting, strict=True):
        mine = chat.page.locator(".message--unsent", has_text=message)
        mine.get_by_role("button", name="Send", exact=True).click()
        expect(unsent).to_have_count(left, timeout=PATIENCE)
        chat.hears(answer)


SILENT = re.compile(r"MCP server mute .*(does|did) not answer|\(mute\), and not all .* answered")


def mute(chat, silence):
    server = "/agents/default/mcp-servers/mute"
    with organization(chat.mesh) as api:
        added = api.put(server, json={"url": silence})
        assert added.status_code < 300, added.text
    message, answer = chat.saying()
    try:
        chat.say(message)
        chat.hears(answer)
        if chat.kind != "codex":  # it does not wait, and says nothing
            expect(chat.answer).to_contain_text(SILENT)
    finally:
        with organization(chat.mesh) as api:
            api.delete(server)


COMPOSES = """node => node.dispatchEvent(
  new KeyboardEvent("keydown", { key: "Enter", isComposing: true, bubbles: true, cancelable: true })
)"""


def composition(chat):
    message, answer = chat.saying()
    mine = chat.page.locator(".message--mine")
    before = mine.count()
    chat.text.fill(message)
    chat.text.evaluate(COMPOSES)
    expect(chat.text).to_have_value(message)
    chat.text.press("Enter")
    chat.hears(answer)
    expect(mine).to_have_count(before + 1)


def drafts(chat):
    message, answer = chat.saying()
    chat.text.fill(message)
    chat.page.reload()
    expect(chat.text).to_have_value(message)
    chat.text.press("Enter")
    chat.hears(answer)


def phone(chat):
    """The same chat on a second device, where Enter writes a new line and a button sends."""
    message, answer = chat.saying()
    size = {"width": 390, "height": 844}
    context = chat.page.context.browser.new_context(viewport=size, has_touch=True, is_mobile=True)
    try:
        context.add_cookies(chat.page.context.cookies())
        page = context.new_page()
        page.goto(chat.page.url)
        text, mine = page.locator("#text"), page.locator(".message--mine")
        expect(chat.page.locator(".message--mine").last).to_be_visible(timeout=PATIENCE)
        expect(mine.last).to_be_visible(timeout=PATIENCE)
        before = mine.count()
        text.fill(message)
        text.press("End")
        text.press("Enter")
        expect(text).to_have_value(f"{message}\n")
        expect(mine).to_have_count(before)
        page.locator("#send").tap(timeout=PATIENCE)
        for each in (page, chat.page):
            expect(each.locator(".message--answer").last).to_contain_text(answer, timeout=PATIENCE)
    finally:
        context.close()
    chat.is_over()


def tabs(chat):
    """What is written in one tab stays there, while another one sends."""
    message, answer = chat.saying()
    other = chat.page.context.new_page()
    other.goto(chat.page.url)
    expect(other.locator(".message--answer").last).to_be_visible(timeout=PATIENCE)
    other.locator("#text").fill("not yet")
    chat.say(message)
    chat.hears(answer)
    expect(other.locator(".message--answer").last).to_contain_text(answer, timeout=PATIENCE)
    expect(other.locator("#text")).to_have_value("not yet")
    other.locator("#text").fill("")
    other.close()


PASTES = """text => {
  const data = new DataTransfer();
  data.setData("text/plain", text);
  const box = document.querySelector("#text");
  box.focus();
  const how = { clipboardData: data, bubbles: true, cancelable: true };
  const event = new ClipboardEvent("paste", how);
  if (box.dispatchEvent(event)) document.execCommand("insertText", false, text);
}"""


def long_paste(chat):
    message, answer = chat.saying()
    chat.text.fill(message)
    chat.page.evaluate(PASTES, "\n" + "\n".join(f"line {n}" for n in range(21)))
    chat.press("Attach as a file")
    expect(chat.page.locator(".file--ready")).to_contain_text("pasted-text.txt", timeout=PATIENCE)
    chat.say(message)
    chat.hears(answer)
    expect(chat.page.locator(".message--mine").last).to_contain_text("pasted-text.txt")


# In the order in which they are played: what each is about. The refusal comes first: some programs
# get what was said before it once more, in which the stand-in would find orders.
ROWS = {
    "a model that refuses": refused,
    "a turn that nobody asked for": unasked,
    "pictures that providers refuse": pictures,
    "a rule of the person's own": own_rules,
    "a commit": commit,
    "a file with CRLF": line_ends,
    "words that begin with a slash": slash,
    "characters that nobody sees": marks,
    "a stop while messages wait": stop,
    "a mute MCP server": mute,
    "an Enter that ends a composition": composition,
    "a draft over a reload": drafts,
    "two tabs": tabs,
    "a phone": phone,
    "a long paste": long_paste,
}


def test_a_chat_survives_everything(chat, silence):
    chat.goes_on()
    for name, play in ROWS.items():
        if chat.kind in NOT_PLAYED.get(name, {}):
            continue
        play(chat, silence) if play is mute else play(chat)
        chat.goes_on()


def test_what_is_not_played_is_a_row_of_a_kind():
    assert NOT_PLAYED.keys() <= ROWS.keys()
    assert all(kinds.keys() <= set(KINDS) for kinds in NOT_PLAYED.values())


@pytest.mark.parametrize("place", ELSEWHERE.values(), ids=ELSEWHERE)
def test_what_is_played_elsewhere_is_a_test(place):
    path, _, name = place.partition("::")

    assert f"def {name}(" in (Path(__file__).parents[1] / path).read_text()
