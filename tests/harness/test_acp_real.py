"""Real ACP agents, Gemini CLI and opencode, against the model stand-in through the adapter."""

from __future__ import annotations

import asyncio
import json

import pytest

from agents.harness import ADAPTERS
from agents.harness.base import Ask
from agents.harness.unfinished_calls import INTERRUPTED
from tests.harness.driver import one, text_of, types_of
from tests.harness.real import make_older, running, when
from tests.harness.shapes import check_turn
from tests.waiting import auntil

pytestmark = pytest.mark.real_cli


GEMINI, OPENCODE = "acp:gemini", "acp:opencode"


@pytest.fixture(params=[GEMINI, OPENCODE])
def kind(request):
    return request.param


async def test_text_is_streamed(agent, say, kind):
    driver = agent()

    chunks = await driver.run(say("say: one two three"))

    check_turn(driver.outs)
    assert [c["delta"] for c in chunks if c["type"] == "text-delta"] == ["one ", "two ", "three"]
    metadata = chunks[-1]["messageMetadata"]
    assert metadata["codingAgentProvider"] == kind
    assert one(chunks, "message-metadata")["messageMetadata"]["codingAgentSessionId"]
    assert (metadata["usage"]["inputTokens"], metadata["usage"]["outputTokens"]) == (130, 30)


async def test_thinking_is_reasoning(agent, say):
    driver = agent()

    chunks = await driver.run(say("please think"))

    check_turn(driver.outs)
    assert "I wonder what this is about." in text_of(chunks, "reasoning")
    assert text_of(chunks) == "I thought about it."


async def test_a_command_runs_at_once_at_level_auto(agent, say, tmp_path):
    driver = agent()

    chunks = await driver.run(say("bash: touch made && echo done"))

    check_turn(driver.outs)
    assert (tmp_path / "work/made").exists()
    call = one(chunks, "tool-input-available")
    assert call["toolName"] == "Bash"
    assert call["input"]["command"] == "touch made && echo done"
    assert "tool-approval-request" not in types_of(chunks)
    assert "done" in text_of(chunks)
    assert types_of(chunks).count("start-step") == 2


async def test_an_edit_at_level_auto(agent, say, tmp_path):
    driver = agent()
    path = tmp_path / "work/made"

    chunks = await driver.run(say(f"write: {path} hello"))

    check_turn(driver.outs)
    assert path.read_text() == "hello"
    assert one(chunks, "tool-input-available")["input"]["file_path"] == "made"


@pytest.mark.parametrize("decision", ["allow", "deny"])
@pytest.mark.parametrize(
    ("says", "tool"),
    [
        pytest.param("bash: echo x >> {made}", "Bash", id="a command"),
        pytest.param("write: {made} x", "Edit", id="an edit"),
    ],
)
async def test_readonly_asks_and_means_it(agent, say, tmp_path, says, tool, decision):
    made = tmp_path / "work/made"
    driver = agent()
    when(driver, "tool-approval-request", lambda: driver.answer(decision))

    chunks = await driver.run(say(says.format(made=made), toolApprovalLevel="readonly"))

    check_turn(driver.outs)
    (ask,) = (out for out in driver.outs if isinstance(out, Ask))
    assert ask.tool == tool
    assert ask.input.get("command") or ask.input["diff"].endswith("+x\n")
    assert [applied.decision for applied in driver.applied()] == [decision]
    assert made.exists() == (decision == "allow")
    if decision == "allow":
        assert made.read_text().strip() == "x"  # once
    else:
        assert one(chunks, "tool-output-denied")


async def test_reading_is_not_asked_for(agent, say, tmp_path, kind):
    path = tmp_path / "work/a.txt"
    path.write_text("inside")
    name, key = {GEMINI: ("read_file", "file_path"), OPENCODE: ("read", "filePath")}[kind]
    driver = agent()

    chunks = await driver.run(
        say(f'tool: {name} {{"{key}": "{path}"}}', toolApprovalLevel="readonly")
    )

    check_turn(driver.outs)
    assert "tool-approval-request" not in types_of(chunks)
    assert "inside" in text_of(chunks)
    assert one(chunks, "tool-input-available")["toolName"] == "Read"


@pytest.mark.parametrize("says", ["bash: touch {made}", "write: {made} x"], ids=["command", "edit"])
async def test_plan_mode_asks_nobody_and_changes_nothing(agent, say, tmp_path, says):
    made = tmp_path / "work/made"
    driver = agent()

    chunks = await driver.run(say(says.format(made=made), mode="plan"))

    check_turn(driver.outs)
    assert "tool-approval-request" not in types_of(chunks)
    assert not made.exists()


async def test_readonly_asks_even_for_what_the_persons_own_settings_allow(
    agent, say, tmp_path, home, kind
):
    if kind == GEMINI:
        settings = {"general": {"defaultApprovalMode": "auto_edit"}}
        (home / ".gemini/settings.json").write_text(json.dumps(settings))
    else:
        path = home / ".config/opencode/opencode.json"
        lax = {"permission": {"*": "allow", "bash": "allow", "edit": "allow"}}
        path.write_text(json.dumps(json.loads(path.read_text()) | lax))
    made = tmp_path / "work/made"
    driver = agent()
    when(driver, "tool-approval-request", lambda: driver.answer("deny"))

    await driver.run(say(f"write: {made} x", toolApprovalLevel="readonly"))

    assert any(isinstance(out, Ask) for out in driver.outs)
    assert not made.exists()


async def test_a_new_process_resumes_the_conversation(agent, say, home):
    first = agent()
    await first.run(say("my word is walnut"))
    chunks = await first.run(say("say: noted"))
    session = chunks[-1]["messageMetadata"]["codingAgentSessionId"]
    assert first.launches == 1
    await first.stop()
    make_older(home)

    driver = agent()
    chunks = await driver.run(say("recall", resumeSessionRef=session))

    check_turn(driver.outs)
    assert text_of(chunks) == "First you said: my word is walnut"
    assert chunks[-1]["messageMetadata"]["codingAgentSessionId"] == session


async def test_a_lost_session_is_replayed_and_says_so(agent, say, standin):
    driver = agent()
    earlier = [{"role": "user", "text": "my word is walnut"}]

    chunks = await driver.run(say("say: hello", resumeSessionRef="nonsense", earlier=earlier))

    check_turn(driver.outs)
    assert text_of(chunks) == "hello"
    assert one(chunks, "data-notice")["data"]["code"] == "session_lost"
    assert "my word is walnut" in json.dumps(standin.messages[-1].body)


async def test_interrupt_keeps_the_process_for_the_next_turn(agent, say):
    driver = agent()
    when(driver, "text-delta", driver.interrupt)

    chunks = await driver.run(say("stall now"))
    check_turn(driver.outs)
    after = await driver.run(say("say: hello"))

    assert "abort" in types_of(chunks)
    assert text_of(after) == "hello"
    assert driver.launches == 1


async def test_interrupt_ends_a_running_command(agent, say, nap):
    driver = agent()
    turn_of_it = asyncio.create_task(driver.run(say(f"bash: {nap}")))
    await auntil(lambda: running(nap))

    driver.interrupt()
    chunks = await turn_of_it

    check_turn(driver.outs)
    assert "abort" in types_of(chunks)
    assert one(chunks, "tool-output-error")["errorText"] == INTERRUPTED
    await auntil(lambda: not running(nap))


async def test_interrupt_while_a_question_is_open(agent, say, tmp_path):
    made = tmp_path / "work/made"
    driver = agent()
    when(driver, "tool-approval-request", driver.interrupt)

    chunks = await driver.run(say(f"bash: touch {made}", toolApprovalLevel="readonly"))
    check_turn(driver.outs)
    after = await driver.run(say("say: hello", toolApprovalLevel="readonly"))

    assert "abort" in types_of(chunks)
    assert text_of(after) == "hello"
    assert not made.exists()


@pytest.mark.parametrize(
    ("status", "code", "words"),
    [(401, "agent_key_refused", "invalid x-api-key"), (400, "model_api_error", "as told")],
)
async def test_a_refusal_of_the_api_is_shown_in_its_words(agent, say, status, code, words):
    driver = agent()
    before = driver.adapter.key(say(""))

    await driver.run(say(f"status {status}"))

    check_turn(driver.outs)
    assert driver.failure().code == code
    assert words in driver.failure().message
    # Only a sign-in or settings need a new program.
    assert (driver.adapter.key(say("")) != before) == (status == 401)


async def test_killed_in_the_middle(agent, say):
    driver = agent()
    when(driver, "text-delta", driver.kill)

    chunks = await driver.run(say("stall now"))

    check_turn(driver.outs)
    assert driver.failure().code == "harness_crashed"
    assert text_of(chunks).startswith("I")


async def test_the_agents_instructions_reach_the_model_once(agent, say, standin):
    instructions = {"id": "default", "instructions": "Speak like a pirate."}
    driver = agent()

    await driver.run(say("say: hello", agent=instructions))
    await driver.run(say("say: again", agent=instructions))

    assert json.dumps(standin.messages[-1].body).count("Speak like a pirate.") == 1


async def test_an_image_reaches_the_model(agent, say, standin):
    pixel = (
        "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk"
        "YPhfDwAChwGA60e6kgAAAABJRU5ErkJggg=="
    )
    file = {"type": "file", "mediaType": "image/png", "url": f"data:image/png;base64,{pixel}"}
    parts = [{"type": "text", "text": "say: a pixel"}, file]
    driver = agent()

    chunks = await driver.run(say("", messages=[{"id": "m", "role": "user", "parts": parts}]))

    check_turn(driver.outs)
    assert text_of(chunks).strip() == "a pixel"
    assert pixel in json.dumps(standin.messages[-1].body)


class TestGemini:
    """What only Gemini CLI does."""

    @pytest.fixture
    def kind(self):
        return GEMINI

    async def test_the_tiers_model_is_used(self, agent, say, standin):
        await agent().run(say("say: hello"))

        assert "gemini-2.5-flash" in standin.messages[-1].path

    async def test_not_signed_in_says_what_to_do(self, agent, say):
        driver = agent(GEMINI_API_KEY="", GOOGLE_GEMINI_BASE_URL="")

        await driver.run(say("hello"))

        check_turn(driver.outs)
        assert driver.failure().code == "not_signed_in"
        assert "sign in" in driver.failure().message


class TestOpencode:
    """What only opencode does."""

    @pytest.fixture
    def kind(self):
        return OPENCODE

    async def test_a_line_of_a_megabyte(self, agent, say):
        driver = agent()

        chunks = await driver.run(say("big 1000000"))

        check_turn(driver.outs)
        assert len(text_of(chunks)) == 1_000_000

    async def test_is_not_asked_to_let_us_write_its_files(self, agent, say, tmp_path):
        """It asks us to, unasked; the refusal loses nothing."""
        path = tmp_path / "work/made"
        driver = agent()

        await driver.run(say(f"write: {path} x"))

        assert path.read_text() == "x"

    async def test_a_fork_continues_and_leaves_the_conversation_as_it_was(self, agent, say):
        first = agent()
        chunks = await first.run(say("my word is walnut"))
        session = chunks[-1]["messageMetadata"]["codingAgentSessionId"]
        await first.stop()

        chunks = await agent().run(say("recall", resumeSessionRef=session, forkSession=True))

        assert text_of(chunks) == "First you said: my word is walnut"
        assert chunks[-1]["messageMetadata"]["codingAgentSessionId"] != session

    @pytest.mark.parametrize("level", ["auto", "readonly"])
    async def test_level_and_plan_need_another_process(self, agent, say, level):
        adapter = agent().adapter

        keys = {
            adapter.key(say("", toolApprovalLevel=level, mode=mode)) for mode in ("plan", "default")
        }

        assert len(keys) == 2

    @pytest.mark.parametrize("changes", [{"toolApprovalLevel": "readonly"}, {"mode": "plan"}])
    async def test_a_project_runs_nothing_before_anybody_is_asked(
        self, agent, say, tmp_path, changes
    ):
        server = {"type": "local", "command": ["touch", "served"], "enabled": True}
        (tmp_path / "work/opencode.json").write_text(json.dumps({"mcp": {"own": server}}))
        tools = tmp_path / "work/.opencode/tool"
        tools.mkdir(parents=True)
        (tools / "own.js").write_text("import fs from 'fs'; fs.writeFileSync('loaded', '')")

        await agent().run(say("say: one", **changes))

        left = {path.name for path in (tmp_path / "work").iterdir()}
        assert left == {".opencode", "opencode.json"}

    def test_plugins_of_a_project_keep_it_from_starting(self, say):
        adapter = ADAPTERS["acp:opencode"]()

        assert ".opencode/plugin/*" in adapter.launch(say("", mode="plan")).refuses
        assert ".opencode/plugin/*" in adapter.launch(say("", toolApprovalLevel="readonly")).refuses
        assert adapter.launch(say("")).refuses == ()
