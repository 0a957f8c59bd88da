"""The real ``claude`` against the model stand-in, driven through the adapter."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import re
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from agents.harness.base import Ask, Background, Emit, NotSteered, Steered
from agents.harness.claude_code import ClaudeCodeAdapter
from agents.harness.unfinished_calls import INTERRUPTED
from tests.harness.agents_table import cell
from tests.harness.cli import need
from tests.harness.driver import STEER, Driver, one, text_of, turn, types_of
from tests.harness.shapes import check_turn

pytestmark = pytest.mark.real_cli
MCP_SERVER = Path(__file__).parent / "mcp_server.py"


@pytest.fixture
async def claude(standin, tmp_path):
    """Return ``claude(**env)``: a driver of the real program; ended when the test is over."""
    program = need("claude")
    (tmp_path / "home").mkdir()
    (tmp_path / "work").mkdir()
    started = []

    def make(**env):
        env = {
            "PATH": os.environ["PATH"],
            "HOME": str(tmp_path / "home"),
            "LANG": "C.UTF-8",
            "ANTHROPIC_BASE_URL": standin.url,
            "ANTHROPIC_API_KEY": "stand-in",
            "CLAUDE_CODE_MAX_RETRIES": "1",
        } | env
        env = {name: value for name, value in env.items() if value}
        driver = Driver(ClaudeCodeAdapter(), [program], env=env, cwd=tmp_path / "work")
        started.append(driver)
        return driver

    yield make
    for driver in started:
        await driver.stop()


def when(driver, kind, act):
    """Let ``act`` happen once, at the first chunk of ``kind``."""

    def on_out(out):
        if isinstance(out, Emit | Ask) and out.chunk["type"] == kind:
            driver.on_out = lambda out: None
            act()

    driver.on_out = on_out


async def test_text_is_streamed(claude):
    driver = claude()

    chunks = await driver.run(turn("say: one two three"))

    check_turn(driver.outs)
    assert text_of(chunks) == "one two three"
    assert [c["delta"] for c in chunks if c["type"] == "text-delta"] == ["one ", "two ", "three"]
    metadata = chunks[-1]["messageMetadata"]
    assert metadata["codingAgentProvider"] == "claude-code"
    assert one(chunks, "message-metadata")["messageMetadata"]["codingAgentSessionId"]
    assert (metadata["usage"]["inputTokens"], metadata["usage"]["outputTokens"]) == (130, 30)


async def test_usage_is_of_the_turn_and_not_the_running_total(claude):
    driver = claude()
    first = await driver.run(turn("say: one"))

    second = await driver.run(turn("say: two"))

    assert driver.launches == 1
    assert second[-1]["messageMetadata"] == first[-1]["messageMetadata"]
    assert second[-1]["messageMetadata"]["costUsd"] > 0


async def test_thinking_is_reasoning(claude):
    driver = claude()

    chunks = await driver.run(turn("please think"))

    check_turn(driver.outs)
    assert text_of(chunks, "reasoning") == "I wonder what this is about."
    assert text_of(chunks) == "I thought about it."


async def test_a_tool_runs_at_once_at_level_auto(claude, tmp_path):
    driver = claude()

    chunks = await driver.run(turn("bash: touch made && echo done"))

    check_turn(driver.outs)
    assert (tmp_path / "work/made").exists()
    assert one(chunks, "tool-output-available")["output"] == "done"
    assert "tool-approval-request" not in types_of(chunks)
    assert text_of(chunks) == "I run it.The tool said: done"
    assert types_of(chunks).count("start-step") == 2


async def test_a_tool_that_fails_is_an_error_of_the_tool_alone(claude):
    driver = claude()

    chunks = await driver.run(turn("bash: echo oops; exit 3"))

    check_turn(driver.outs)
    assert one(chunks, "tool-output-error")["errorText"] == "Exit code 3\noops"
    assert chunks[-1]["finishReason"] == "stop"


@pytest.mark.parametrize("decision", ["allow", "deny"])
async def test_readonly_asks_and_means_it(claude, tmp_path, decision):
    driver = claude()
    when(driver, "tool-approval-request", lambda: driver.answer(decision, "Because."))

    chunks = await driver.run(turn("bash: echo x >> made", toolApprovalLevel="readonly"))

    check_turn(driver.outs)
    assert [applied.decision for applied in driver.applied()] == [decision]
    made = tmp_path / "work/made"
    assert made.exists() == (decision == "allow")
    if decision == "allow":
        assert made.read_text() == "x\n"  # once
        assert one(chunks, "tool-output-available")
    else:
        assert one(chunks, "tool-output-denied")
        assert "Because." in text_of(chunks)


def bring_programs(work: Path) -> None:
    """Let a project bring settings that name programs, and words for the model."""
    made = {"type": "command", "command": "touch hooked"}
    hooks = {"SessionStart": [{"hooks": [made]}], "UserPromptSubmit": [{"hooks": [made]}]}
    settings = {"hooks": hooks, "enableAllProjectMcpServers": True}
    (work / ".claude").mkdir()
    for name in ("settings.json", "settings.local.json"):
        (work / ".claude" / name).write_text(json.dumps(settings))
    server = {"command": "touch", "args": ["served"]}
    (work / ".mcp.json").write_text(json.dumps({"mcpServers": {"own": server}}))
    (work / "CLAUDE.md").write_text("The project says: be brief.")


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"toolApprovalLevel": "readonly"}, id="ask before edit"),
        pytest.param({"mode": "plan"}, id="plan"),
    ],
)
async def test_a_project_runs_nothing_before_anybody_is_asked(claude, standin, tmp_path, changes):
    bring_programs(tmp_path / "work")
    driver = claude()

    await driver.run(turn("say: one", **changes))

    left = {path.name for path in (tmp_path / "work").iterdir()}
    assert left == {".claude", ".mcp.json", "CLAUDE.md"}
    assert any("The project says: be brief." in str(each.body) for each in standin.requests)


@pytest.mark.parametrize(
    ("says", "tool"),
    [
        pytest.param("bash: touch made", "Bash", id="a command"),
        pytest.param('tool: Write {"file_path": "made", "content": "x"}', "Write", id="a file"),
        pytest.param("tool: mcp__tools__touch {}", "mcp__tools__touch", id="an MCP tool"),
    ],
)
async def test_readonly_asks_even_for_what_the_persons_own_settings_allow(
    claude, tmp_path, says, tool
):
    allowed = {"allow": ["Bash", "Write", "mcp__tools"], "defaultMode": "bypassPermissions"}
    server = {"command": sys.executable, "args": [str(MCP_SERVER)]}
    (tmp_path / "home/.claude").mkdir()
    (tmp_path / "home/.claude/settings.json").write_text(json.dumps({"permissions": allowed}))
    (tmp_path / "home/.claude.json").write_text(json.dumps({"mcpServers": {"tools": server}}))
    driver = claude()
    when(driver, "tool-approval-request", lambda: driver.answer("deny"))

    await driver.run(turn(says, toolApprovalLevel="readonly"))

    assert [out.tool for out in driver.outs if isinstance(out, Ask)] == [tool]
    assert not (tmp_path / "work/made").exists()


async def test_plan_mode_runs_nothing_that_the_persons_own_settings_allow(claude, tmp_path):
    (tmp_path / "home/.claude").mkdir()
    allowed = {"permissions": {"allow": ["Bash", "Write"], "defaultMode": "bypassPermissions"}}
    (tmp_path / "home/.claude/settings.json").write_text(json.dumps(allowed))
    driver = claude()

    for says in ("bash: touch made", 'tool: Write {"file_path": "made", "content": "x"}'):
        await driver.run(turn(says, mode="plan"))

    assert [out for out in driver.outs if isinstance(out, Ask)] == []
    assert not (tmp_path / "work/made").exists()


async def test_reading_is_not_asked_for(claude, tmp_path):
    (tmp_path / "work/a.txt").write_text("inside")
    path = tmp_path / "work/a.txt"
    driver = claude()

    chunks = await driver.run(
        turn(f'tool: Read {{"file_path": "{path}"}}', toolApprovalLevel="readonly")
    )

    assert "inside" in one(chunks, "tool-output-available")["output"]


@pytest.fixture
async def planned(claude, standin):
    """Return ``planned(**changes)``: a driver of a program whose plan is written."""

    async def make(**changes):
        driver = claude()
        await driver.run(turn("hello", mode="plan", **changes))
        # The program tells the model in which file the plan belongs, and may write that one.
        path = re.search(r"[^\s\"]+/plans/[\w-]+\.md", json.dumps(standin.messages[0].body))[0]
        plan = json.dumps({"file_path": path, "content": "1. Do it"})
        await driver.run(turn(f"tool: Write {plan}", mode="plan", **changes))
        return driver

    return make


@pytest.mark.parametrize("level", ["auto", "readonly"])
async def test_plan_mode_asks_for_its_plan_and_changes_nothing(planned, tmp_path, level):
    driver = await planned(toolApprovalLevel=level)
    when(driver, "tool-approval-request", lambda: driver.answer("deny", "Add tests."))

    chunks = await driver.run(turn("tool: ExitPlanMode {}", mode="plan", toolApprovalLevel=level))
    check_turn(driver.outs)
    (ask,) = (out for out in driver.outs if isinstance(out, Ask))
    await driver.run(turn("bash: touch made", mode="plan", toolApprovalLevel=level))

    assert (ask.tool, ask.input) == ("ExitPlanMode", {"plan": "1. Do it"})
    assert one(chunks, "data-plan")["data"]["plan"] == "1. Do it"
    assert "They said: Add tests." in text_of(chunks)
    assert driver.launches == 1
    assert not (tmp_path / "work/made").exists()


@pytest.mark.parametrize(("level", "asked"), [("auto", []), ("readonly", ["Bash"])])
async def test_an_agreed_plan_is_carried_out_at_its_level(planned, tmp_path, level, asked):
    driver = await planned(toolApprovalLevel=level)
    driver.on_out = lambda out: isinstance(out, Ask) and driver.answer("allow")
    key = driver.adapter.key(turn(mode="plan", toolApprovalLevel=level))
    says = "tool: ExitPlanMode {} then bash: touch made"

    await driver.run(turn(says, mode="plan", toolApprovalLevel=level))

    check_turn(driver.outs)
    asks = [out.tool for out in driver.outs if isinstance(out, Ask)]
    assert asks == ["ExitPlanMode", *asked]
    assert (tmp_path / "work/made").exists()
    assert driver.adapter.key(turn(mode="plan", toolApprovalLevel=level)) != key


QUESTION = {
    "question": "Which?",
    "header": "Colour",
    "options": [{"label": "Red", "description": "r"}, {"label": "Blue", "description": "b"}],
    "multiSelect": True,
}


@pytest.mark.parametrize("mode", ["default", "plan"])
@pytest.mark.parametrize(
    ("decision", "answers", "words"),
    [
        pytest.param("allow", {"Which?": ["Red", "my own"]}, '"Which?"="Red, my own"', id="told"),
        pytest.param("deny", None, "did not answer", id="skipped"),
    ],
)
async def test_a_question_of_the_model_is_answered(claude, mode, decision, answers, words):
    driver = claude()
    when(driver, "tool-approval-request", lambda: driver.answer(decision, "", answers))

    says = f"tool: AskUserQuestion {json.dumps({'questions': [QUESTION]})}"
    chunks = await driver.run(turn(says, mode=mode))

    check_turn(driver.outs)
    (ask,) = (out for out in driver.outs if isinstance(out, Ask))
    assert (ask.tool, ask.input["questions"]) == ("AskUserQuestion", [QUESTION])
    assert words in text_of(chunks)


async def test_what_is_to_be_done_is_shown(claude):
    driver = claude()
    for subject in ("One", "Two"):
        task = json.dumps({"subject": subject, "description": "d"})
        await driver.run(turn(f"tool: TaskCreate {task}", toolApprovalLevel="readonly"))

    done = '{"taskId": "1", "status": "completed"}'
    chunks = await driver.run(turn(f"tool: TaskUpdate {done}", toolApprovalLevel="readonly"))

    check_turn(driver.outs)
    assert one(chunks, "data-todos")["data"]["todos"] == [
        {"text": "One", "status": "completed"},
        {"text": "Two", "status": "pending"},
    ]


PIXEL = (
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk"
    "YPhfDwAChwGA60e6kgAAAABJRU5ErkJggg=="
)


async def test_a_picture_that_it_reads_is_shown(claude, tmp_path):
    (tmp_path / "work/a.png").write_bytes(base64.b64decode(PIXEL))

    chunks = await claude().run(turn('tool: Read {"file_path": "a.png"}'))

    (picture,) = one(chunks, "tool-output-available")["output"]["pictures"]
    assert picture == {"mediaType": "image/png", "data": PIXEL}


async def test_a_hook_that_denies_is_named(claude, tmp_path):
    hook = {"type": "command", "command": "echo 'Not today.' >&2; exit 2"}
    hooks = {"hooks": {"PreToolUse": [{"matcher": "Bash", "hooks": [hook]}]}}
    (tmp_path / "home/.claude").mkdir()
    (tmp_path / "home/.claude/settings.json").write_text(json.dumps(hooks))

    chunks = await claude().run(turn("bash: touch made"))

    assert (
        one(chunks, "tool-output-error")["errorText"] == "Denied by a PreToolUse hook: Not today."
    )
    assert not (tmp_path / "work/made").exists()


async def test_a_refused_key_is_told_at_once(claude):
    driver = claude(CLAUDE_CODE_MAX_RETRIES="")  # ten, in more than a minute

    chunks = await driver.run(turn("status 401"))

    check_turn(driver.outs)
    assert one(chunks, "data-retry")["data"]["attempt"] == 1
    assert chunks[-1]["finishReason"] == "error"


async def test_compacting_by_hand_answers_something(claude):
    driver = claude()
    await driver.run(turn("hello"))

    chunks = await driver.run(turn("/compact"))

    check_turn(driver.outs)
    assert text_of(chunks) == "The conversation was shortened."
    assert one(chunks, "data-notice")["data"]["code"] == "compacted"


async def test_two_tools_at_once_keep_their_results(claude):
    driver = claude()

    chunks = await driver.run(turn("bash twice"))

    check_turn(driver.outs)
    outputs = {c["toolCallId"]: c["output"] for c in chunks if c["type"] == "tool-output-available"}
    inputs = {
        c["toolCallId"]: c["input"]["command"]
        for c in chunks
        if c["type"] == "tool-input-available"
    }
    assert {inputs[call]: output for call, output in outputs.items()} == {
        "echo one": "one",
        "echo two": "two",
    }


async def test_what_a_sub_agent_does_is_under_its_call(claude, tmp_path):
    driver = claude()
    task = '{"description":"d","prompt":"bash: touch made","subagent_type":"general-purpose"}'

    chunks = await driver.run(turn(f"tool: Task {task}"))

    check_turn(driver.outs)
    assert (tmp_path / "work/made").exists()
    task, bash = (c for c in chunks if c["type"] == "tool-input-available")
    assert (task["toolName"], bash["toolName"]) == ("Task", "Bash")
    assert bash["providerMetadata"] == {"mesh": {"parentToolCallId": task["toolCallId"]}}
    ended = [c["toolCallId"] for c in chunks if c["type"] == "tool-output-available"]
    assert ended == [bash["toolCallId"], task["toolCallId"]]
    assert "I run it" not in text_of(chunks)


async def test_what_a_sub_agent_may_not_do_alone_is_asked(claude, tmp_path):
    driver = claude()
    when(driver, "tool-approval-request", lambda: driver.answer("allow"))
    task = '{"description":"d","prompt":"bash: touch made","subagent_type":"general-purpose"}'

    chunks = await driver.run(turn(f"tool: Task {task}", toolApprovalLevel="readonly"))

    check_turn(driver.outs)
    assert (tmp_path / "work/made").exists()
    assert [c["toolName"] for c in chunks if c["type"] == "tool-input-available"] == [
        "Task",
        "Bash",
    ]


def in_background(text):
    """Return a turn that starts a command in the background, for a server that takes the rest."""
    task = {"command": text, "run_in_background": True, "description": "Waits"}
    return turn(f"tool: Bash {json.dumps(task)}", takesUnasked=True)


async def test_without_a_server_that_takes_it_nothing_runs_in_the_background(claude, tmp_path):
    driver = claude()

    chunks = await driver.run(replace(in_background("touch made"), takes_unasked=False))

    assert "unexpected parameter" in one(chunks, "tool-output-error")["errorText"]
    assert not any(isinstance(out, Background) for out in driver.outs)
    assert not (tmp_path / "work/made").exists()


@cell("claude-code", "background", "A command goes on after the answer, and is shown.")
@cell("claude-code", "background", "When it ends, Claude Code reports it in an answer of its own.")
async def test_what_the_program_says_by_itself_is_an_answer_of_its_own(claude, tmp_path):
    driver = claude()
    await driver.run(in_background("while [ ! -e go ]; do sleep 0.1; done"))
    told = [out.tasks for out in driver.outs if isinstance(out, Background)]
    (tmp_path / "work/go").touch()

    unasked = await driver.run_unasked(turn(messages=[], runId="run-2"))
    check_turn(driver.outs)
    after = await driver.run(turn("say: next"))

    assert [[task.title for task in tasks] for tasks in told] == [["Waits"]]
    assert one(unasked, "data-unasked")["data"]["reason"].endswith("completed (exit code 0)")
    assert text_of(unasked).startswith("The tool said: ")
    assert (text_of(after), driver.launches) == ("next", 1)


async def test_a_message_beside_a_turn_that_began_by_itself_gets_its_own_answer(claude, tmp_path):
    driver = claude()
    await driver.run(in_background("while [ ! -e go ]; do sleep 0.1; done"))
    (tmp_path / "work/go").touch()
    while not driver.adapter._unasked.has_begun:  # the runner has not reacted yet
        await driver._step()

    second = await driver.run(turn("say: second", takesUnasked=True))
    third = await driver.run(turn("say: third", takesUnasked=True))

    assert (text_of(second), text_of(third)) == ("second", "third")


@cell("claude-code", "background", "It can be stopped.")
async def test_a_command_in_the_background_is_stopped(claude):
    driver = claude()
    await driver.run(in_background("sleep 1000"))
    ((task,),) = (out.tasks for out in driver.outs if isinstance(out, Background))

    driver.carry_out(driver.adapter.stop_task(task.id))
    while Background(()) not in driver.outs:
        await driver._step()

    assert driver.process.returncode is None


@cell("claude-code", "background", "A sub-agent goes on as well, and still asks.")
async def test_a_sub_agent_goes_on_after_the_turn_and_asks_at_any_time(claude, tmp_path):
    """Whether it asks before its turn has ended or after, a person is asked."""
    driver = claude()
    asked = []

    def on_out(out):
        if isinstance(out, Ask):
            asked.append(out.tool)
            driver.answer("allow")

    driver.on_out = on_out
    task = '{"description":"d","prompt":"bash: touch made","subagent_type":"general-purpose"}'
    settings = {"toolApprovalLevel": "readonly", "takesUnasked": True}

    await driver.run(turn(f"tool: Task {task}", **settings))
    check_turn(driver.outs)
    while not (tmp_path / "work/made").exists():
        await driver.run_unasked(turn(messages=[], runId="run-2", **settings))
        check_turn(driver.outs)

    assert asked == ["Bash"]


async def test_a_new_process_resumes_the_conversation(claude):
    first = claude()
    chunks = await first.run(turn("my word is walnut"))
    before = chunks[-1]["messageMetadata"]
    session = before["codingAgentSessionId"]
    await first.stop()
    second = claude()

    chunks = await second.run(turn("recall", resumeSessionRef=session))

    assert text_of(chunks) == "First you said: my word is walnut"
    metadata = chunks[-1]["messageMetadata"]
    assert metadata["codingAgentSessionId"] == session
    assert metadata["costUsd"] == before["costUsd"]  # not the conversation's total


async def test_a_fork_continues_and_leaves_the_conversation_as_it_was(claude):
    first = claude()
    chunks = await first.run(turn("my word is walnut"))
    session = chunks[-1]["messageMetadata"]["codingAgentSessionId"]
    await first.stop()

    chunks = await claude().run(turn("recall", resumeSessionRef=session, forkSession=True))
    forked = chunks[-1]["messageMetadata"]["codingAgentSessionId"]

    assert text_of(chunks) == "First you said: my word is walnut"
    assert forked != session


@pytest.mark.parametrize(
    "session",
    [
        pytest.param("11111111-1111-4111-8111-111111111111", id="unknown"),
        pytest.param("nonsense", id="of another harness"),
        pytest.param("--help", id="looks like a flag"),
    ],
)
async def test_a_lost_session_is_replayed_and_says_so(claude, standin, session):
    driver = claude()
    earlier = [{"role": "user", "text": "my word is walnut"}]

    chunks = await driver.run(turn("say: hello", resumeSessionRef=session, earlier=earlier))

    check_turn(driver.outs)
    assert text_of(chunks) == "hello"
    assert one(chunks, "data-notice")["data"]["code"] == "session_lost"
    assert "my word is walnut" in json.dumps(standin.messages[-1].body)
    assert driver.launches == 2


async def test_interrupt_keeps_the_process_for_the_next_turn(claude):
    driver = claude()
    when(driver, "text-delta", driver.interrupt)

    chunks = await driver.run(turn("stall now"))
    check_turn(driver.outs)
    after = await driver.run(turn("say: hello"))

    assert "abort" in types_of(chunks)
    assert text_of(chunks).startswith("I")
    assert text_of(after) == "hello"
    assert driver.launches == 1


async def test_interrupt_ends_a_running_tool(claude):
    driver = claude()
    when(driver, "tool-input-available", driver.interrupt)

    chunks = await driver.run(turn("bash: sleep 100"))

    check_turn(driver.outs)
    assert "abort" in types_of(chunks)
    assert one(chunks, "tool-output-error")["errorText"] == INTERRUPTED


async def test_interrupt_while_a_question_is_open(claude, tmp_path):
    driver = claude()
    when(driver, "tool-approval-request", driver.interrupt)

    chunks = await driver.run(turn("bash: touch made", toolApprovalLevel="readonly"))
    check_turn(driver.outs)
    after = await driver.run(turn("say: hello", toolApprovalLevel="readonly"))

    assert "abort" in types_of(chunks)
    assert text_of(after) == "hello"
    assert driver.launches == 1
    assert not (tmp_path / "work/made").exists()


async def test_not_signed_in_says_what_to_do(claude):
    driver = claude(ANTHROPIC_API_KEY="")

    chunks = await driver.run(turn("hello"))

    check_turn(driver.outs)
    assert driver.failure().code == "not_signed_in"
    assert "/login" in driver.failure().message
    assert one(chunks, "error")["errorText"] == driver.failure().message
    assert text_of(chunks) == ""


async def test_after_a_failure_another_process_is_wanted(claude):
    driver = claude(ANTHROPIC_API_KEY="")
    before = driver.adapter.key(turn("hello"))

    await driver.run(turn("hello"))

    assert driver.adapter.key(turn("hello")) != before


@pytest.mark.parametrize(
    ("status", "code", "words"),
    [
        (401, "agent_key_refused", "Invalid API key"),
        (529, "provider_overloaded", "Overloaded"),
        (400, "model_api_error", "as told"),
    ],
)
async def test_a_refusal_of_the_api_is_shown_in_its_words(claude, status, code, words):
    driver = claude()

    chunks = await driver.run(turn(f"status {status}"))

    check_turn(driver.outs)
    assert driver.failure().code == code
    assert words in driver.failure().message
    assert str(status) in driver.failure().message
    retries = [c["data"] for c in chunks if c["type"] == "data-retry"]
    assert [retry["status"] for retry in retries] == ([] if status == 400 else [status])


async def test_a_dropped_connection_is_taken_up_again(claude):
    driver = claude()

    chunks = await driver.run(turn("cut the line"))

    check_turn(driver.outs)
    assert text_of(chunks).startswith("I begin")
    assert chunks[-1]["finishReason"] == "stop"


async def test_killed_in_the_middle(claude):
    driver = claude()
    when(driver, "text-delta", driver.kill)

    chunks = await driver.run(turn("stall now"))

    check_turn(driver.outs)
    assert driver.failure().code == "harness_crashed"
    assert text_of(chunks).startswith("I")


async def test_a_line_of_five_megabytes(claude):
    driver = claude()

    chunks = await driver.run(turn("big 5000000"))

    check_turn(driver.outs)
    assert len(text_of(chunks)) == 5_000_000
    assert max(map(len, driver.lines)) > 5_000_000


async def test_an_image_reaches_the_model(claude, standin):
    pixel = (
        "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk"
        "YPhfDwAChwGA60e6kgAAAABJRU5ErkJggg=="
    )
    parts = [
        {"type": "text", "text": "say: a pixel"},
        {"type": "file", "mediaType": "image/png", "url": pixel, "filename": "a.png"},
    ]
    driver = claude()

    await driver.run(turn(messages=[{"id": "m", "role": "user", "parts": parts}]))

    sent = standin.messages[-1].body["messages"]
    blocks = [b for m in sent if isinstance(m["content"], list) for b in m["content"]]
    assert [b["source"]["media_type"] for b in blocks if b["type"] == "image"] == ["image/png"]


async def test_the_tiers_model_and_the_agents_instructions_are_used(claude, standin):
    driver = claude()
    models = {"thinking": {"id": "claude-code:haiku", "title": "Haiku"}}
    agent = {"id": "default", "instructions": "Speak like a pirate."}

    await driver.run(turn("say: hello", models=models, agent=agent))

    body = standin.messages[-1].body
    assert "haiku" in body["model"]
    assert "Speak like a pirate." in str(body["system"])


async def test_a_slash_command_of_the_program_answers(claude):
    driver = claude()

    chunks = await driver.run(turn("/no-such-command"))

    check_turn(driver.outs)
    assert text_of(chunks)


async def test_an_answer_is_streamed_while_the_model_speaks(claude):
    driver = claude()
    seen = asyncio.Event()
    when(driver, "text-delta", seen.set)
    running = asyncio.create_task(driver.run(turn("slow 10 100")))

    await asyncio.wait_for(seen.wait(), 30)

    assert not running.done()
    assert text_of(await running) == "".join(f"{n} " for n in range(1, 11))


async def test_more_can_be_said_while_a_tool_runs(claude, standin, tmp_path):
    """The program reads it in the same turn, with the tool's result."""
    driver = claude()
    act = lambda: (driver.steer("say: steered"), (tmp_path / "work/go").touch())  # noqa: E731
    when(driver, "tool-input-available", act)

    chunks = await driver.run(turn("bash: while [ ! -e go ]; do sleep 0.1; done; echo done"))

    check_turn(driver.outs)
    assert Steered(STEER) in driver.outs
    assert one(chunks, "tool-output-available")["output"] == "done"
    assert "say: steered" in json.dumps(standin.messages[-1].body)


async def test_what_is_said_in_the_last_step_is_answered_in_the_same_run(claude):
    driver = claude()
    when(driver, "text-delta", lambda: driver.steer("say: steered"))

    chunks = await driver.run(turn("slow 20 50"))
    after = await driver.run(turn("say: next"))

    check_turn(driver.outs)
    assert text_of(chunks).endswith("steered")
    assert (text_of(after), driver.launches) == ("next", 1)
    assert chunks[-1]["messageMetadata"]["usage"]["outputTokens"] == 60  # of both results


async def test_a_stopped_agent_does_not_continue_its_task(claude, tmp_path):
    driver = claude()

    def act():
        driver.steer("bash: touch made")
        driver.interrupt()
        driver.kill()  # as the sandbox does when a polite word doesn't help

    when(driver, "text-delta", act)
    chunks = await driver.run(turn("slow 40 50"))

    assert "abort" in types_of(chunks)
    assert not (tmp_path / "work/made").exists()


async def test_an_older_program_is_given_nothing_in_between(claude, monkeypatch):
    monkeypatch.setattr("agents.harness.claude_code.launch.STEERS_SINCE", (9, 0))
    driver = claude()
    when(driver, "text-delta", lambda: driver.steer("say: steered"))

    chunks = await driver.run(turn("slow 5 20"))

    assert NotSteered(STEER) in driver.outs
    assert "steered" not in text_of(chunks)


async def test_killed_while_it_asks_it_takes_the_conversation_up_and_asks_again(claude, tmp_path):
    first = claude()
    when(first, "tool-approval-request", first.kill)
    chunks = await first.run(turn("bash: touch made", toolApprovalLevel="readonly"))
    told = [chunk for chunk in chunks if chunk["type"] == "message-metadata"]
    session = told[0]["messageMetadata"]["codingAgentSessionId"]
    second = claude()
    when(second, "tool-approval-request", lambda: second.answer("allow"))

    again = turn("bash: touch made", toolApprovalLevel="readonly", resumeSessionRef=session)
    chunks = await second.run(again)

    check_turn(second.outs)
    assert second.failure() is None
    assert (tmp_path / "work/made").exists()
