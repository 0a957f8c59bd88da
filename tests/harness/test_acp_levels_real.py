"""The approval levels of real ACP agents: what asks first, and what can't happen at all."""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from agents.harness import ADAPTERS, with_agents
from agents.harness.base import Ask
from mesh.agent_programs.table import POLICIES
from tests.harness import real
from tests.harness.agents_table import cells
from tests.harness.cli import a_home, need
from tests.harness.driver import Driver, turn
from tests.harness.shapes import check_turn
from tests.standin import anthropic

pytestmark = pytest.mark.real_cli

PROGRAMS = [kind for kind in real.PROGRAMS if kind.startswith("acp:")]
NOBODY = 65534
NO_PLAN = "Refused before anything is sent: it has no such mode."
ASKS = "A command and a write ask first."


@pytest.fixture
async def driver(kind, standin, tmp_path):
    program = real.PROGRAMS[kind]
    path = need(program.name)
    (tmp_path / "work").mkdir()
    with a_home() as home:
        adapter = ADAPTERS[kind]()
        adapter.launch = with_policies_in(policies_of_a_person(tmp_path), adapter.launch)
        environment = program.env(home, standin.url)
        async with Driver(adapter, [path], env=environment, cwd=tmp_path / "work") as made:
            yield made


def policies_of_a_person(folder):
    """Return a copy of our policies that root does not own, as in a person's installation."""
    policies = Path(shutil.copytree(POLICIES, folder / "policies"))
    if os.geteuid() == 0:
        for path in (policies, *policies.iterdir()):
            os.chown(path, NOBODY, NOBODY)
    return policies


def with_policies_in(folder, launch):
    def launch_there(turn):
        given = launch(turn)
        args = tuple(word.replace(str(POLICIES), str(folder)) for word in given.args)
        env = {name: v.replace(str(POLICIES), str(folder)) for name, v in given.env.items()}
        return replace(given, args=args, env=env)

    return launch_there


def say(kind, text, **changes):
    models = {"thinking": {"id": f"{kind}:{real.PROGRAMS[kind].model}", "title": "M"}}
    return turn(text, models=models, **{"takesUnasked": True} | changes)


def is_made(driver):
    return (driver.cwd / "made").exists()


async def run_denying(driver, given):
    """Play a turn whose questions are denied; return the questions."""
    driver.on_out = lambda out: driver.answer("deny") if isinstance(out, Ask) else None
    await driver.run(given)
    check_turn(driver.outs)
    return [out for out in driver.outs if isinstance(out, Ask)]


@cells(
    "ask",
    {
        "acp:gemini": ASKS,
        "acp:opencode": ASKS,
        "acp:qwen": ASKS,
        "acp:copilot": ASKS,
        "acp:vibe": ASKS,
        "acp:claude-code": ASKS,
        "acp:codex": "Its own sandbox lets a command change nothing, or it asks first.",
        "acp:fast-agent": "It has no shell and no files, because it would not ask.",
    },
)
@pytest.mark.parametrize("what", ["bash: touch made", "write: {folder}/made hello"])
async def test_at_ask_before_edit_nothing_changes_without_a_yes(driver, kind, what):
    said = what.format(folder=driver.cwd)

    asked = await run_denying(driver, say(kind, said, toolApprovalLevel="readonly"))

    assert not is_made(driver)
    assert asked or kind in ("acp:codex", "acp:fast-agent")


@cells("auto", dict.fromkeys(PROGRAMS, "Nobody is asked."))
async def test_at_auto_nobody_is_asked(driver, kind):
    asked = await run_denying(driver, say(kind, "bash: touch made"))

    assert (asked, is_made(driver)) == ([], True)


@cells(
    "plan",
    dict.fromkeys(PROGRAMS, "Nothing is changed.") | {"acp:vibe": NO_PLAN},
)
@pytest.mark.parametrize("what", ["bash: touch made", "write: {folder}/made hello"])
async def test_at_plan_only_nothing_is_changed(driver, kind, what):
    said = what.format(folder=driver.cwd)

    asked = await run_denying(driver, say(kind, said, mode="plan"))

    assert (asked, is_made(driver)) == ([], False)
    failure = driver.failure()
    assert (failure.code if failure else "") == ("level_unavailable" if kind == "acp:vibe" else "")


@pytest.mark.parametrize("kind", ["acp:qwen", "acp:claude-code", "acp:codex"])
async def test_a_session_comes_back_from_planning(driver, kind):
    await run_denying(driver, say(kind, "bash: touch made", mode="plan"))
    assert not is_made(driver)

    await run_denying(driver, say(kind, "bash: touch made"))

    assert is_made(driver)


@pytest.mark.parametrize("kind", ["acp:qwen", "acp:opencode"])
async def test_a_script_of_the_persons_own_is_held_as_what_it_starts(driver, kind):
    """By the name with which it introduces itself: by a mode, or started again as it has to be."""
    told = ADAPTERS[kind]().launch(say(kind, ""))
    driver.adapter = with_agents({"mine": ["./start.sh", *told.args]})["acp:mine"]()
    written = say(kind, f"write: {driver.cwd}/made hello", toolApprovalLevel="readonly")

    asked = await run_denying(driver, written)

    assert len(asked) == 1
    assert not is_made(driver)


@cells(
    "plan",
    {"acp:claude-code": "Not even if the model that judges commands has nothing against one."},
)
async def test_at_plan_only_no_model_decides_what_may_run(driver, kind, monkeypatch):
    """The program asks another model in its mode "auto", and else in plan mode, too."""
    read = anthropic.read
    verdict = (["say: <block>no</block>"], [])
    monkeypatch.setattr(
        anthropic, "read", lambda body: verdict if "<block>" in str(body) else read(body)
    )

    await run_denying(driver, say(kind, "bash: touch made", mode="plan"))

    assert not is_made(driver)


@pytest.mark.parametrize("kind", ["acp:claude-code"])
@pytest.mark.parametrize("changes", [{}, {"toolApprovalLevel": "readonly"}, {"mode": "plan"}])
async def test_the_projects_instructions_are_read_at_every_level(driver, kind, changes, standin):
    (driver.cwd / "CLAUDE.md").write_text("The word is walnut.")

    await run_denying(driver, say(kind, "say: one", **changes))

    assert "The word is walnut." in str([message.body for message in standin.messages])


def let_claude(home):
    settings = home / ".claude/settings.json"
    settings.parent.mkdir(exist_ok=True)
    settings.write_text(json.dumps({"permissions": {"allow": ["Bash", "Edit", "Write"]}}))


def let_opencode(home):
    lax = {"permission": {"bash": "allow", "edit": "allow"}}
    own = {"agent": {"build": lax, "mine": lax}, "default_agent": "mine"}
    add_to(home / ".config/opencode/opencode.json", lax | own)


def let_vibe(home):
    path = home / ".vibe/config.toml"
    tools = "".join(f'[tools.{name}]\npermission = "always"\n' for name in ("bash", "write_file"))
    path.write_text(path.read_text() + tools)


def let_gemini(home):
    shell_and_files = ["run_shell_command", "write_file"]
    add_to(home / ".gemini/settings.json", {"tools": {"allowed": shell_and_files}})
    rule = f'[[rule]]\ntoolName = {shell_and_files}\ndecision = "allow"\npriority = 999\n'
    (home / ".gemini/policies").mkdir()
    (home / ".gemini/policies/mine.toml").write_text(rule)


def let_qwen(home):
    allowed = {"permissions": {"allow": ["Bash", "Edit", "Write"]}}
    add_to(home / ".qwen/settings.json", allowed | {"tools": {"approvalMode": "yolo"}})


def add_to(path, settings):
    path.write_text(json.dumps(json.loads(path.read_text()) | settings))


LAX = {
    "acp:claude-code": let_claude,
    "acp:gemini": let_gemini,
    "acp:opencode": let_opencode,
    "acp:qwen": let_qwen,
    "acp:vibe": let_vibe,
}


@cells("ask", dict.fromkeys(LAX, "Also for what the person's own settings allow."))
@pytest.mark.parametrize("what", ["bash: touch made", "write: {folder}/made hello"])
async def test_ask_before_edit_counts_more_than_the_persons_own_rules(driver, kind, what):
    LAX[kind](Path(driver.env["HOME"]))
    said = what.format(folder=driver.cwd)

    asked = await run_denying(driver, say(kind, said, toolApprovalLevel="readonly"))

    assert len(asked) == 1
    assert not is_made(driver)


PLANNING = sorted(LAX.keys() - {"acp:vibe"})


@cells("plan", dict.fromkeys(PLANNING, "Nor what the person's own settings allow."))
@pytest.mark.parametrize("what", ["bash: touch made", "write: {folder}/made hello"])
async def test_so_does_plan_only(driver, kind, what):
    LAX[kind](Path(driver.env["HOME"]))

    await run_denying(driver, say(kind, what.format(folder=driver.cwd), mode="plan"))

    assert not is_made(driver)
