"""At "Auto approve" the real programs' own rules and hooks still ask the person, and say why."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from agents.harness import ADAPTERS
from agents.harness.base import Ask
from tests.harness import real
from tests.harness.agents_table import cells
from tests.harness.cli import a_home, need
from tests.harness.driver import Driver, turn
from tests.harness.shapes import check_turn

pytestmark = pytest.mark.real_cli


@pytest.fixture
async def driver(kind, standin, tmp_path):
    program = real.PROGRAMS[kind]
    path = need(program.name)
    (tmp_path / "work").mkdir()
    with a_home() as home:
        environment = program.env(home, standin.url)
        async with Driver(ADAPTERS[kind](), [path], env=environment, cwd=tmp_path / "work") as made:
            yield made


async def run_denying(driver, kind, text):
    """Play a turn at "auto" whose questions are denied; return them."""
    driver.on_out = lambda out: driver.answer("deny") if isinstance(out, Ask) else None
    model = f"{kind}:{real.PROGRAMS[kind].model}"
    await driver.run(turn(text, models={"thinking": {"id": model, "title": "M"}}))
    check_turn(driver.outs)
    return [out for out in driver.outs if isinstance(out, Ask)]


def add_to(path, settings):
    path.parent.mkdir(parents=True, exist_ok=True)
    known = json.loads(path.read_text()) if path.exists() else {}
    path.write_text(json.dumps(known | settings))


def rule_of_claude(home):
    add_to(home / ".claude/settings.json", {"permissions": {"ask": ["Bash(touch *)"]}})


def rule_of_codex(home):
    rule = 'prefix_rule(pattern=["touch"], decision="prompt", justification="Each of them.")\n'
    (home / ".codex/rules").mkdir()
    (home / ".codex/rules/default.rules").write_text(rule)


def rule_of_opencode(home):
    permission = {"bash": {"*": "allow", "touch *": "ask"}}
    add_to(home / ".config/opencode/opencode.json", {"permission": permission})


def rule_of_qwen(home):
    add_to(home / ".qwen/settings.json", {"permissions": {"ask": ["Bash(touch *)"]}})


RULES = {
    "claude-code": (rule_of_claude, "A rule in your settings for Claude Code asks."),
    "codex": (rule_of_codex, "A rule of yours for Codex asks: Each of them."),
    "acp:claude-code": (rule_of_claude, "Your settings for Claude Code (ACP) ask about this."),
    "acp:opencode": (rule_of_opencode, "Your settings for opencode ask about this."),
    "acp:qwen": (rule_of_qwen, "Your settings for Qwen Code ask about this."),
}


@cells("auto", dict.fromkeys(RULES, "What the person's own rules ask still asks."))
async def test_what_a_rule_asks_is_asked_and_nothing_else(driver, kind):
    write, because = RULES[kind]
    write(Path(driver.env["HOME"]))

    asked = await run_denying(driver, kind, "bash: touch made")
    others = await run_denying(driver, kind, "bash: mkdir other")

    assert [ask.because for ask in asked] == [because]
    assert others == []
    assert [path.name for path in driver.cwd.iterdir()] == ["other"]


@pytest.mark.parametrize("kind", ["claude-code"])
@pytest.mark.parametrize(
    "command",
    [
        "ls; touch made | cat",
        "(touch made)",
        "echo $(touch made)",
        "for i in 1; do touch made; done",
    ],
)
async def test_also_inside_of_other_commands(driver, kind, command):
    rule_of_claude(Path(driver.env["HOME"]))

    asked = await run_denying(driver, kind, f"bash: {command}")

    assert len(asked) == 1
    assert "A rule in your settings for Claude Code asks" in asked[0].because


@pytest.mark.parametrize("kind", ["claude-code"])
async def test_a_hook_that_asks_says_why(driver, kind):
    home = Path(driver.env["HOME"])
    decision = {"permissionDecision": "ask", "permissionDecisionReason": "It is Friday."}
    told = {"hookSpecificOutput": {"hookEventName": "PreToolUse"} | decision}
    (home / "hook.json").write_text(json.dumps(told))
    hook = {"type": "command", "command": f"cat {home}/hook.json"}
    hooks = {"PreToolUse": [{"matcher": "Bash", "hooks": [hook]}]}
    add_to(home / ".claude/settings.json", {"hooks": hooks})

    asked = await run_denying(driver, kind, "bash: touch made")

    assert [ask.because for ask in asked] == ["A hook of Claude Code asks: It is Friday."]
