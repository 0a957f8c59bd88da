"""The real ``codex app-server`` against the model stand-in, driven through the adapter."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from agents.harness.base import Ask, Background, NotSteered, Steered
from agents.harness.codex import CodexAdapter
from agents.harness.unfinished_calls import INTERRUPTED
from tests.harness.agents_table import cell
from tests.harness.cli import need
from tests.harness.driver import STEER, Driver, one, text_of, turn, types_of
from tests.harness.real import codex_env, running, when
from tests.harness.shapes import check_turn
from tests.waiting import auntil

pytestmark = pytest.mark.real_cli
MCP_SERVER = Path(__file__).parent / "mcp_server.py"
MODELS = {"thinking": {"id": "codex:gpt-5.4-mini", "title": "GPT-5.4 Mini"}}


@pytest.fixture
async def codex(standin, home, tmp_path):
    """Return ``codex(**env)``: a driver of the real program; ended when the test is over."""
    program = need("codex")
    (tmp_path / "work").mkdir()
    env = codex_env(home, standin.url)
    started = []

    def make(**more):
        driver = Driver(CodexAdapter(), [program], env=env | more, cwd=tmp_path / "work")
        started.append(driver)
        return driver

    yield make
    for driver in started:
        await driver.stop()


def say(text, **changes):
    return turn(text, **{"models": MODELS} | changes)


def escalated(command):
    """Return what makes the model ask for a command outside the sandbox."""
    call = {"cmd": command, "sandbox_permissions": "require_escalated", "justification": "May I?"}
    return f"tool: exec_command {json.dumps(call)}"


def notices_of(chunks):
    return [c["data"]["code"] for c in chunks if c["type"] == "data-notice"]


async def test_text_is_streamed(codex):
    driver = codex()

    chunks = await driver.run(say("say: one two three"))

    check_turn(driver.outs)
    assert [c["delta"] for c in chunks if c["type"] == "text-delta"] == ["one ", "two ", "three"]
    metadata = chunks[-1]["messageMetadata"]
    assert metadata["codingAgentProvider"] == "codex"
    assert one(chunks, "message-metadata")["messageMetadata"]["codingAgentSessionId"]
    assert (metadata["usage"]["inputTokens"], metadata["usage"]["outputTokens"]) == (130, 30)


async def test_usage_is_of_the_turn_and_not_the_running_total(codex):
    driver = codex()
    first = await driver.run(say("say: one"))

    second = await driver.run(say("say: two"))

    assert driver.launches == 1
    assert second[-1]["messageMetadata"] == first[-1]["messageMetadata"]


async def test_thinking_is_reasoning(codex):
    driver = codex()

    chunks = await driver.run(say("please think"))

    check_turn(driver.outs)
    assert text_of(chunks, "reasoning") == "I wonder what this is about."
    assert text_of(chunks) == "I thought about it."


async def test_a_command_runs_at_once_at_level_auto(codex, tmp_path):
    driver = codex()

    chunks = await driver.run(say("bash: touch made && echo done"))

    check_turn(driver.outs)
    assert (tmp_path / "work/made").exists()
    call = one(chunks, "tool-input-available")
    assert (call["toolName"], call["input"]) == ("Bash", {"command": "touch made && echo done"})
    assert [c["output"] for c in chunks if c["type"] == "tool-output-available"][-1] == "done\n"
    assert "tool-approval-request" not in types_of(chunks)
    assert types_of(chunks).count("start-step") == 2


async def test_output_is_shown_while_the_command_runs(codex):
    driver = codex()

    chunks = await driver.run(say("bash: for n in 1 2 3; do echo $n; sleep 0.3; done"))

    check_turn(driver.outs)
    outputs = [c for c in chunks if c["type"] == "tool-output-available"]
    assert outputs[0]["preliminary"]
    assert outputs[-1]["output"] == "1\n2\n3\n"


async def test_a_command_that_fails_is_an_error_of_the_tool_alone(codex):
    driver = codex()

    chunks = await driver.run(say("bash: echo oops; exit 3"))

    check_turn(driver.outs)
    assert one(chunks, "tool-output-error")["errorText"] == "Exit code 3\noops"
    assert chunks[-1]["finishReason"] == "stop"


async def test_an_edit_shows_its_diff(codex, tmp_path):
    driver = codex()

    chunks = await driver.run(say("write: made hello"))

    check_turn(driver.outs)
    assert (tmp_path / "work/made").read_text() == "hello\n"
    call = one(chunks, "tool-input-available")
    assert call["toolName"] == "Edit"
    assert call["input"] == {
        "file_path": "made",
        "diff": "--- /dev/null\n+++ b/made\n@@ -0,0 +1,1 @@\n+hello\n",
    }
    diffs = [c["data"]["diff"] for c in chunks if c["type"] == "data-diff"]
    assert len(diffs) == 1
    assert "+hello" in diffs[0]


@pytest.mark.parametrize("decision", ["allow", "deny"])
@pytest.mark.parametrize(
    ("says", "tool"),
    [
        pytest.param("write: made x", "Edit", id="an edit"),
        pytest.param(escalated("echo x >> made"), "Bash", id="a command outside the sandbox"),
        pytest.param("tool: mcp__tools__touch {}", "mcp__tools__touch", id="an MCP tool"),
    ],
)
async def test_readonly_asks_and_means_it(codex, home, tmp_path, says, tool, decision):
    server = {"command": sys.executable, "args": [str(MCP_SERVER)]}
    with (home / ".codex/config.toml").open("a") as config:
        config.write(f"\n[mcp_servers.tools]\ncommand = {json.dumps(server['command'])}\n")
        config.write(f"args = {json.dumps(server['args'])}\n")
    driver = codex()
    when(driver, "tool-approval-request", lambda: driver.answer(decision))

    chunks = await driver.run(say(says, toolApprovalLevel="readonly"))

    check_turn(driver.outs)
    assert [out.tool for out in driver.outs if isinstance(out, Ask)] == [tool]
    assert [applied.decision for applied in driver.applied()] == [decision]
    made = tmp_path / "work/made"
    assert made.exists() == (decision == "allow")
    if decision == "allow":
        assert made.read_text() in ("x\n", "")  # once
    else:
        assert one(chunks, "tool-output-denied")


async def test_the_question_before_an_edit_has_its_diff(codex):
    driver = codex()
    when(driver, "tool-approval-request", lambda: driver.answer("deny"))

    await driver.run(say("write: made x", toolApprovalLevel="readonly"))

    (ask,) = (out for out in driver.outs if isinstance(out, Ask))
    assert ask.input["diff"].endswith("@@ -0,0 +1,1 @@\n+x\n")


async def test_the_question_before_a_command_says_why(codex):
    driver = codex()
    when(driver, "tool-approval-request", lambda: driver.answer("deny"))

    await driver.run(say(escalated("touch made"), toolApprovalLevel="readonly"))

    (ask,) = (out for out in driver.outs if isinstance(out, Ask))
    assert ask.input == {"command": "touch made", "reason": "May I?"}


async def test_readonly_runs_commands_that_only_read(codex, tmp_path):
    (tmp_path / "work/a.txt").write_text("inside")
    driver = codex()

    chunks = await driver.run(say("bash: cat a.txt", toolApprovalLevel="readonly"))

    assert "tool-approval-request" not in types_of(chunks)
    assert "inside" in text_of(chunks)


READ_ONLY = [
    pytest.param({"mode": "plan"}, id="plan"),
    pytest.param({"mode": "plan", "toolApprovalLevel": "readonly"}, id="plan at readonly"),
    pytest.param({"toolApprovalLevel": "readonly"}, id="readonly"),
    pytest.param({"toolApprovalLevel": "of-next-year"}, id="an unknown level"),
]


@pytest.mark.parametrize("changes", READ_ONLY)
async def test_nothing_is_written_even_where_the_persons_own_settings_allow_it(
    codex, home, tmp_path, changes
):
    config = (home / ".codex/config.toml").read_text()
    lax = 'approval_policy = "never"\nsandbox_mode = "danger-full-access"\n'
    (home / ".codex/config.toml").write_text(lax + config)
    (home / ".codex/rules").mkdir()
    rule = 'prefix_rule(pattern=["touch"], decision="allow")\n'
    (home / ".codex/rules/default.rules").write_text(rule)
    driver = codex()

    chunks = await driver.run(say("bash: touch made", **changes))

    check_turn(driver.outs)
    # Codex shows no item for a command that its sandbox stops at once; the model is told.
    assert "Read-only file system" in text_of(chunks)
    assert not (tmp_path / "work/made").exists()


async def test_the_persons_rule_counts_at_level_auto(codex, home, tmp_path):
    (home / ".codex/rules").mkdir()
    rule = 'prefix_rule(pattern=["touch"], decision="forbidden")\n'
    (home / ".codex/rules/default.rules").write_text(rule)
    driver = codex()

    await driver.run(say("bash: touch made"))

    assert not (tmp_path / "work/made").exists()


@pytest.mark.parametrize(
    "says",
    [pytest.param("write: made x", id="edit"), pytest.param(escalated("touch made"), id="command")],
)
async def test_plan_mode_asks_nobody_and_changes_nothing(codex, tmp_path, says):
    driver = codex()

    chunks = await driver.run(say(says, mode="plan"))

    check_turn(driver.outs)
    assert "tool-approval-request" not in types_of(chunks)
    assert not (tmp_path / "work/made").exists()


async def test_plan_mode_shows_the_plan(codex):
    driver = codex()

    chunks = await driver.run(
        say("say: <proposed_plan>\n1. Do it\n</proposed_plan>\n", mode="plan")
    )

    check_turn(driver.outs)
    assert one(chunks, "data-plan")["data"]["plan"].strip() == "1. Do it"


async def test_its_to_do_list_is_shown_and_kept_up(codex):
    steps = [
        {"step": "Read the middleware", "status": "completed"},
        {"step": "Mend it", "status": "in_progress"},
    ]
    driver = codex()

    chunks = await driver.run(say(f"tool: update_plan {json.dumps({'plan': steps})}"))

    check_turn(driver.outs)
    shown = [chunk["data"]["todos"] for chunk in chunks if chunk["type"] == "data-todos"]
    assert [(todo["text"], todo["status"]) for todo in shown[-1]] == [
        ("Read the middleware", "completed"),
        ("Mend it", "in_progress"),
    ]


async def test_a_plan_is_carried_out_at_level_auto_by_another_process(codex, tmp_path):
    driver = codex()
    chunks = await driver.run(say("say: fine", mode="plan"))
    session = chunks[-1]["messageMetadata"]["codingAgentSessionId"]
    assert driver.adapter.key(say("go", mode="plan")) != driver.adapter.key(say("go"))
    await driver.stop()

    other = codex()
    await other.run(say("write: made x", resumeSessionRef=session))

    assert (tmp_path / "work/made").exists()


async def test_a_resumed_thread_that_could_write_can_no_longer(codex, tmp_path):
    driver = codex()
    chunks = await driver.run(say("bash: touch one"))
    session = chunks[-1]["messageMetadata"]["codingAgentSessionId"]
    await driver.stop()

    await codex().run(say("bash: touch two", mode="plan", resumeSessionRef=session))

    assert {path.name for path in (tmp_path / "work").iterdir()} == {"one"}


async def test_auto_leaves_the_sandbox_when_the_model_asks(codex, tmp_path):
    driver = codex()
    path = tmp_path / "outside"

    await driver.run(say(escalated(f"touch {path}")))

    assert path.exists()
    assert not any(isinstance(out, Ask) for out in driver.outs)


@pytest.mark.parametrize(
    ("decision", "answers", "words"),
    [("allow", {"Which?": "x"}, "x"), ("deny", None, "did not answer")],
)
async def test_a_question_of_the_model_is_answered(codex, decision, answers, words):
    driver = codex()
    when(driver, "tool-approval-request", lambda: driver.answer(decision, "", answers))
    question = {"id": "a", "header": "h", "question": "Which?", "options": []}
    options = [{"label": "x", "description": "d"}, {"label": "y", "description": "d"}]
    form = {"questions": [question | {"options": options}]}

    chunks = await driver.run(say(f"tool: request_user_input {json.dumps(form)}", mode="plan"))

    check_turn(driver.outs)
    (ask,) = (out for out in driver.outs if isinstance(out, Ask))
    assert (ask.tool, ask.input["questions"][0]["question"]) == ("AskUserQuestion", "Which?")
    assert words in text_of(chunks)
    ended = "tool-output-available" if decision == "allow" else "tool-output-denied"
    assert one(chunks, ended)


async def test_a_fork_continues_and_leaves_the_conversation_as_it_was(codex):
    first = codex()
    chunks = await first.run(say("my word is walnut"))
    session = chunks[-1]["messageMetadata"]["codingAgentSessionId"]
    await first.stop()

    chunks = await codex().run(
        say("recall", resumeSessionRef=session, forkSession=True, toolApprovalLevel="readonly")
    )

    assert text_of(chunks) == "First you said: my word is walnut"
    assert chunks[-1]["messageMetadata"]["codingAgentSessionId"] != session


async def test_a_new_process_resumes_the_conversation(codex):
    first = codex()
    chunks = await first.run(say("my word is walnut"))
    session = chunks[-1]["messageMetadata"]["codingAgentSessionId"]
    await first.stop()

    chunks = await codex().run(say("recall", resumeSessionRef=session))

    assert text_of(chunks) == "First you said: my word is walnut"
    metadata = chunks[-1]["messageMetadata"]
    assert metadata["codingAgentSessionId"] == session
    assert metadata["usage"]["inputTokens"] == 130


@pytest.mark.parametrize(
    "session",
    [
        pytest.param("11111111-1111-4111-8111-111111111111", id="unknown"),
        pytest.param("nonsense", id="of another harness"),
    ],
)
async def test_a_lost_session_is_replayed_and_says_so(codex, standin, session):
    driver = codex()
    earlier = [{"role": "user", "text": "my word is walnut"}]

    chunks = await driver.run(say("say: hello", resumeSessionRef=session, earlier=earlier))

    check_turn(driver.outs)
    assert text_of(chunks) == "hello"
    notices = [c["data"] for c in chunks if c["type"] == "data-notice"]
    assert [n["code"] for n in notices if n["code"] != "warning"] == ["session_lost"]
    assert "my word is walnut" in json.dumps(standin.messages[-1].body)


async def test_interrupt_keeps_the_process_for_the_next_turn(codex):
    driver = codex()
    when(driver, "text-delta", driver.interrupt)

    chunks = await driver.run(say("stall now"))
    check_turn(driver.outs)
    after = await driver.run(say("say: hello"))

    assert "abort" in types_of(chunks)
    assert text_of(after) == "hello"
    assert driver.launches == 1


async def test_interrupt_ends_a_running_command(codex, nap):
    driver = codex()
    when(driver, "tool-input-available", driver.interrupt)

    chunks = await driver.run(say(f"bash: {nap}"))

    check_turn(driver.outs)
    assert "abort" in types_of(chunks)
    assert one(chunks, "tool-output-error")["errorText"] == INTERRUPTED
    await driver.run(say("say: still here"))
    await auntil(lambda: not running(nap))


@cell("codex", "background", "A command goes on after the answer, is shown, and can be stopped.")
async def test_a_command_that_outlives_its_turn_can_be_stopped(codex, nap):
    driver = codex()
    call = json.dumps({"cmd": nap, "yield_time_ms": 300})

    chunks = await driver.run(say(f"tool: exec_command {call}"))

    check_turn(driver.outs)
    assert "still running" in one(chunks, "tool-output-available")["output"]
    assert "runs_on" in notices_of(chunks)
    (told,) = [out for out in driver.outs if isinstance(out, Background)]
    assert running(nap)
    driver.carry_out(driver.adapter.stop_task(told.tasks[0].id))
    await driver.run(say("bash: sleep 0.5"))
    await auntil(lambda: not running(nap))
    assert Background() in driver.outs


async def test_a_server_that_does_not_start_is_told(codex, home):
    driver = codex()
    config = home / ".codex/config.toml"
    config.write_text(f'{config.read_text()}\n[mcp_servers.absent]\ncommand = "/absent/program"\n')

    chunks = await driver.run(say("say: hi"))

    texts = [c["data"]["text"] for c in chunks if c["type"] == "data-notice"]
    assert "Codex can't use the MCP server absent here." in texts


async def test_interrupt_while_a_question_is_open(codex, tmp_path):
    driver = codex()
    when(driver, "tool-approval-request", driver.interrupt)

    chunks = await driver.run(say("write: made x", toolApprovalLevel="readonly"))
    check_turn(driver.outs)
    after = await driver.run(say("say: hello", toolApprovalLevel="readonly"))

    assert "abort" in types_of(chunks)
    assert text_of(after) == "hello"
    assert driver.launches == 1
    assert not (tmp_path / "work/made").exists()


async def test_more_can_be_said_while_it_works(codex, standin):
    driver = codex()
    when(driver, "text-delta", lambda: driver.steer("say: steered"))

    chunks = await driver.run(say("slow 20 50"))

    check_turn(driver.outs)
    assert text_of(chunks).endswith("steered")
    assert Steered(STEER) in driver.outs


async def test_what_is_said_before_its_turn_has_begun_waits(codex):
    driver = codex()
    when(driver, "start", lambda: driver.steer("say: steered"))

    chunks = await driver.run(say("say: hello"))

    assert text_of(chunks) == "hello"
    assert NotSteered(STEER) in driver.outs


async def test_not_signed_in_says_what_to_do(codex, home):
    (home / ".codex/config.toml").write_text("check_for_update_on_startup = false\n")
    driver = codex()

    chunks = await driver.run(say("hello"))

    check_turn(driver.outs)
    assert driver.failure().code == "not_signed_in"
    assert "codex login" in driver.failure().message
    assert one(chunks, "error")["errorText"] == driver.failure().message


async def test_after_a_failure_another_process_is_wanted(codex):
    driver = codex()
    before = driver.adapter.key(say("hello"))

    await driver.run(say("status 401"))

    assert driver.adapter.key(say("hello")) != before


@pytest.mark.parametrize(
    ("status", "code", "words"),
    [
        (401, "agent_key_refused", "invalid x-api-key"),
        (529, "provider_overloaded", "Overloaded"),
        (400, "model_api_error", "as told"),
        (429, "rate_limited", "Too Many"),
    ],
)
async def test_a_refusal_of_the_api_is_shown_in_its_words(codex, status, code, words):
    driver = codex()

    chunks = await driver.run(say(f"status {status}"))

    check_turn(driver.outs)
    assert driver.failure().code == code
    assert words in driver.failure().message
    assert str(status) in driver.failure().message
    assert "127.0.0.1" not in driver.failure().message
    retries = [c for c in chunks if c["type"] == "data-retry"]
    assert bool(retries) == (status in (401, 529))


async def test_the_models_limit_is_no_error(codex):
    driver = codex()

    chunks = await driver.run(say("reach the limit"))

    check_turn(driver.outs)
    assert text_of(chunks) == "There is no room"
    assert chunks[-1]["finishReason"] == "length"


async def test_a_dropped_connection_is_reported(codex):
    driver = codex()

    chunks = await driver.run(say("cut the line"))

    check_turn(driver.outs)
    assert text_of(chunks) == "I beginI begin"
    assert "repeated" in notices_of(chunks)
    assert driver.failure().code == "provider_unreachable"


async def test_killed_in_the_middle(codex):
    driver = codex()
    when(driver, "text-delta", driver.kill)

    chunks = await driver.run(say("stall now"))

    check_turn(driver.outs)
    assert driver.failure().code == "harness_crashed"
    assert text_of(chunks).startswith("I")


async def test_invalid_settings_are_reported(codex, home):
    (home / ".codex/config.toml").write_text('model_provider = "nowhere"\n')
    driver = codex()

    await driver.run(say("hello"))

    check_turn(driver.outs)
    assert driver.failure().code == "harness_failed"
    assert "nowhere" in driver.failure().message


async def test_a_line_of_five_megabytes(codex):
    driver = codex()

    chunks = await driver.run(say("big 5000000"))

    check_turn(driver.outs)
    assert len(text_of(chunks)) == 5_000_000


async def test_an_image_reaches_the_model(codex, standin):
    pixel = (
        "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk"
        "YPhfDwAChwGA60e6kgAAAABJRU5ErkJggg=="
    )
    parts = [
        {"type": "text", "text": "say: a pixel"},
        {"type": "file", "mediaType": "image/png", "url": pixel, "filename": "a.png"},
    ]
    driver = codex()

    await driver.run(say("", messages=[{"id": "m", "role": "user", "parts": parts}]))

    sent = json.dumps(standin.messages[-1].body["input"])
    assert "input_image" in sent


async def test_the_tiers_model_and_the_agents_instructions_are_used(codex, standin):
    driver = codex()
    agent = {"id": "default", "instructions": "Speak like a pirate."}

    await driver.run(say("say: hello", agent=agent))

    body = standin.messages[-1].body
    assert body["model"] == "gpt-5.4-mini"
    assert "Speak like a pirate." in json.dumps(body["input"])


async def test_without_a_model_the_persons_own_counts(codex, home, standin):
    config = (home / ".codex/config.toml").read_text()
    (home / ".codex/config.toml").write_text(config.replace("gpt-5.3-codex", "gpt-5.5"))
    driver = codex()

    await driver.run(turn("say: hello", models={}))

    assert standin.messages[-1].body["model"] == "gpt-5.5"
