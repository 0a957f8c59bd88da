"""The ten real programs against the model stand-in: what holds with each of them.

What an agent can't do is a cell as well, so that nobody takes it for granted.
"""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, replace

import pytest

from agents.harness.base import Background
from tests.harness.agents_table import cells
from tests.harness.driver import one, text_of, types_of
from tests.harness.real import PROGRAMS, make_older, running, when
from tests.harness.shapes import check_turn
from tests.waiting import auntil

pytestmark = pytest.mark.real_cli


def each(sentence, *, but=()):
    return {kind: sentence for kind in PROGRAMS if kind not in but}


@cells("resume", each("A new process continues the chat."))
async def test_text_is_told_and_a_new_process_remembers_it(agent, say, home):
    first = agent()
    chunks = await first.run(say("my word is walnut"))
    check_turn(first.outs)
    assert "my word is walnut" in text_of(chunks)
    session = chunks[-1]["messageMetadata"]["codingAgentSessionId"]
    await first.stop()
    make_older(home)

    driver = agent()
    chunks = await driver.run(say("recall", resumeSessionRef=session))

    check_turn(driver.outs)
    assert "First you said: " in text_of(chunks)
    assert "my word is walnut" in text_of(chunks)  # Copilot puts the time before it


NOT_TOLD = {
    "acp:gemini": "A command's output is not told by the program, only that it ended.",
    "acp:fast-agent": "The program tells neither a call's input nor its output.",
}


@cells("output", each("A command's output is shown.", but=NOT_TOLD) | NOT_TOLD)
async def test_a_command_runs_and_its_output_is_shown(agent, say, kind, tmp_path):
    driver = agent()
    command = "touch made && echo a-lot-of-output"

    chunks = await driver.run(say(f"bash: {command}"))

    check_turn(driver.outs)
    assert (tmp_path / "work/made").exists()
    ends = [c for c in chunks if c["type"] == "tool-output-available"]
    shown = "".join(str(c["output"]) for c in ends)
    assert ("a-lot-of-output" in shown) == (kind not in NOT_TOLD)


@cells("output", {"acp:claude-code": "A sub-agent is shown with its prompt."})
async def test_a_sub_agent_is_shown_with_its_prompt(agent, say):
    driver = agent()
    given = {"description": "look", "prompt": "say: inner", "subagent_type": "general-purpose"}

    chunks = await driver.run(say(f"tool: Agent {json.dumps(given)}"))

    check_turn(driver.outs)
    call = one(chunks, "tool-input-available")
    assert (call["toolName"], call["input"]["prompt"]) == ("Agent", "say: inner")


@cells("stop", each("Stop ends the answer; the program serves the next turn."))
async def test_stop_ends_an_answer(agent, say):
    driver = agent()
    when(driver, "text-delta", driver.interrupt)

    chunks = await driver.run(say("stall now"))
    check_turn(driver.outs)
    after = await driver.run(say("say: hello"))

    assert "abort" in types_of(chunks)
    assert "hello" in text_of(after)
    assert driver.launches == 1


GOES_ON = "A command goes on after the answer, and is shown."
REPORTS = "When it ends, the program reports it in an answer of its own."


def in_background(command):
    """Return the words that let claude-agent-acp start a command in the background."""
    task = {"command": command, "run_in_background": True, "description": "Waits"}
    return f"tool: Bash {json.dumps(task)}"


def tasks_of(driver):
    """Return what ran in the background, each time when it was told."""
    return [out.tasks for out in driver.outs if isinstance(out, Background)]


@cells("background", {"acp:claude-code": f"{GOES_ON} {REPORTS}"})
async def test_what_the_program_does_by_itself_is_an_answer_of_its_own(agent, say):
    driver = agent()
    command = "while [ ! -e go ]; do sleep 0.1; done"
    await driver.run(say(in_background(command)))
    told = tasks_of(driver)
    (driver.cwd / "go").touch()

    unasked = await driver.run_unasked(say("", messages=[], runId="run-2"))
    after = await driver.run(say("say: next"))

    assert [[task.title for task in tasks] for tasks in told] == [[command]]
    assert one(unasked, "data-unasked")["data"]["reason"] == f"“{command}” has ended."
    assert (text_of(after), driver.launches) == ("next", 1)


@cells("background", {"acp:claude-code": "It can be stopped."})
async def test_what_runs_in_the_background_can_be_stopped(agent, say, nap):
    driver = agent()
    wait = f"tail -s {nap.split()[-1]} -f /dev/null"
    await driver.run(say(in_background(wait)))
    (task,) = tasks_of(driver)[-1]
    assert running(wait)

    driver.carry_out(driver.adapter.stop_task(task.id))

    await auntil(lambda: not running(wait))


# The sandbox ends the program then, see tests/sandboxes/daemon/test_endings_real.py.
LIVES_ON = {"acp:codex": "A running command may go on in the program: then the sandbox ends it."}


@cells("stop", each("A running command ends with it.", but=LIVES_ON) | LIVES_ON)
async def test_stop_ends_a_running_command(agent, say, kind, nap):
    driver = agent()
    wait = f"tail -s {nap.split()[-1]} -f /dev/null"  # some programs refuse a command that sleeps
    turn_of_it = asyncio.create_task(driver.run(say(f"bash: {wait}")))
    await auntil(lambda: running(wait))

    driver.interrupt()
    chunks = await turn_of_it

    check_turn(driver.outs)
    assert "abort" in types_of(chunks)
    if kind in LIVES_ON:
        await driver.stop()
    await auntil(lambda: not running(wait))


NO_REASON = {"acp:codex"}  # it says "Authentication required" of a refused key, too


@cells(
    "failures",
    each("A refused key is named.", but={*NO_REASON, "acp:fast-agent"})
    | {"acp:codex": "A refused key looks like a missing sign-in."},
)
async def test_a_refused_key_is_named_and_needs_a_new_program(agent, say, kind):
    driver = agent()
    before = driver.adapter.key(say(""))

    await driver.run(say("status 401"))

    check_turn(driver.outs)
    expected = "not_signed_in" if kind in NO_REASON else "agent_key_refused"
    assert driver.failure().code == expected
    assert driver.adapter.key(say("")) != before


@cells("failures", {"acp:claude-code": "A missing sign-in comes with the command for it."})
async def test_a_missing_sign_in_comes_with_the_command_for_it(agent, say):
    driver = agent(ANTHROPIC_API_KEY="")

    await driver.run(say("hello"))

    check_turn(driver.outs)
    assert driver.failure().code == "not_signed_in"
    assert "`claude-agent-acp --cli auth login --claudeai`" in driver.failure().message


# The others ask an overloaded one again for longer than a test may take, and can't be told not to.
QUICK = ("claude-code", "codex", "acp:gemini", "acp:vibe", "acp:claude-code", "acp:codex")


@cells("failures", dict.fromkeys(QUICK, "An overloaded provider is named; the program stays."))
async def test_an_overloaded_provider_is_named_and_the_program_stays(agent, say):
    driver = agent()
    before = driver.adapter.key(say(""))

    await driver.run(say("status 529"))

    check_turn(driver.outs)
    assert driver.failure().code == "provider_overloaded"
    assert driver.adapter.key(say("")) == before
    assert driver.process.returncode is None


@cells("failures", each("A rate limit is named; the program stays."))
async def test_a_rate_limit_is_named_and_the_program_stays(agent, say):
    """Told to wait for a second, all give up within a minute, however often they ask again."""
    driver = agent()
    before = driver.adapter.key(say(""))

    await driver.run(say("status 429 after 1"))

    check_turn(driver.outs)
    assert driver.failure().code == "rate_limited"
    assert driver.adapter.key(say("")) == before
    assert driver.process.returncode is None


@cells("failures", each("A conversation that is too long is named.", but={"acp:opencode"}))
async def test_a_conversation_that_is_too_long_is_named(agent, say, kind):
    driver = agent()

    await driver.run(say("too long"))

    check_turn(driver.outs)
    shortens = kind in ("codex", "acp:codex")
    assert driver.failure().code == ("context_full" if shortens else "context_too_long")


@cells("failures", {"acp:copilot": "A model that its provider does not have is named."})
async def test_a_model_that_its_provider_does_not_have_is_named(agent, say):
    driver = agent()

    chunks = await driver.run(say("status 404"))

    check_turn(driver.outs)
    assert driver.failure().code == "model_unavailable"
    assert text_of(chunks) == ""


@cells("failures", {"acp:copilot": "An answer that breaks off is no answer."})
async def test_an_answer_that_breaks_off_is_no_answer(agent, say):
    driver = agent()

    chunks = await driver.run(say("cut the line"))

    check_turn(driver.outs)
    assert driver.failure().code == "provider_unreachable"
    assert set(text_of(chunks).split("I begin")) == {""}
    assert "repeated" in [c["data"]["code"] for c in chunks if c["type"] == "data-notice"]


WORDS = each("Words that begin with “/” reach the model.")
SLASHES = ("/etc/hosts is broken: please think", "/nothing-of-mine, please think")


@cells("words", WORDS)
async def test_words_that_begin_with_a_slash_reach_the_model(agent, say):
    driver = agent()
    await driver.run(say("say: hello"))  # its commands are known then, if it has any

    answers = [text_of(await driver.run(say(text))) for text in SLASHES]

    assert answers == ["I thought about it."] * len(SLASHES)


@cells("words", each("A path is never taken for a command.", but={"acp:fast-agent"}))
async def test_a_path_reaches_the_model_as_the_first_message_too(agent, say):
    chunks = await agent().run(say("/tmp/x: please think"))

    assert "I thought about it." in text_of(chunks)


COMMANDS = {
    "claude-code": "compact",
    "codex": "skill-creator",
    "acp:gemini": "memory",
    "acp:opencode": "init",
    "acp:copilot": "compact",
    "acp:vibe": "compact",
    "acp:claude-code": "compact",
    "acp:codex": "status",
}


@cells("words", dict.fromkeys(COMMANDS, "Its commands are offered."))
async def test_its_commands_are_offered(agent, say, kind):
    driver = agent()
    chunks = await driver.run(say("say: hello"))
    chunks += await driver.run(say("say: hello again"))

    told = [c["data"].get("commands", []) for c in chunks if c["type"] == "data-agent-options"]

    assert COMMANDS[kind] in {command["name"] for command in told[-1]}


@dataclass(frozen=True)
class Choice:
    """A model and an effort, and what the model's provider is then asked for."""

    model: str
    effort: str
    asked: tuple[str, ...]


CHOICES = {
    "claude-code": Choice("opus", "max", ("claude-opus-5-5", '"effort": "max"')),
    "codex": Choice("gpt-5.5", "high", ("gpt-5.5", '"effort": "high"')),
    "acp:gemini": Choice("gemini-3.8-flash", "", ("gemini-3.8-flash",)),
    "acp:opencode": Choice("standin/m", "high", ('"high"',)),
    "acp:claude-code": Choice("opus", "max", ("claude-opus-5-5", '"effort": "max"')),
    "acp:codex": Choice("gpt-5.5", "", ("gpt-5.5",)),
}


@cells("models", dict.fromkeys(CHOICES, "A chosen model answers, also in the middle of a chat."))
async def test_a_chosen_model_and_effort_reach_the_provider(agent, say, kind, standin):
    choice, driver = CHOICES[kind], agent()
    first = await driver.run(say("say: hello"))
    before = len(standin.messages)
    models = {"thinking": {"id": f"{kind}:{choice.model}", "title": "M"}}
    given = say("say: again", models=models, effort=choice.effort)
    if driver.adapter.key(given) != driver.adapter.key(say("")):
        session = first[-1]["messageMetadata"]["codingAgentSessionId"]
        await driver.stop()
        driver.carry_out(driver.adapter.ended(0, ""))
        given = replace(given, resume_session_ref=session)

    chunks = await driver.run(given)

    asked = [f"{each.path} {json.dumps(each.body)}" for each in standin.messages[before:]]
    assert any(all(words in each for words in choice.asked) for each in asked)
    assert "model_changed" not in [c["data"]["code"] for c in chunks if c["type"] == "data-notice"]
    assert "again" in text_of(chunks)
