"""Record the real programs anew: python -m tests.harness.record [KIND [name …]]

``--replay`` makes only the chunks anew, from the lines that are kept. Without it this needs the
programs (``make test`` installs them). Look at the difference before keeping it: what
changed in ``*.stdout.jsonl`` is the program's doing, what changed in ``*.chunks.jsonl`` ours.
"""

from __future__ import annotations

import asyncio
import json
import re
import sys
import tempfile
from pathlib import Path
from typing import Any

from agents.harness import ADAPTERS
from tests.harness import real
from tests.harness.cli import a_home, find
from tests.harness.driver import Driver, turn
from tests.harness.scenarios import SCENARIOS, Scenario, dump, folder_of, load, play
from tests.standin import serving

# Of each kind: its program, and its environment.
PROGRAMS = {
    "claude-code": ("claude", real.claude_env),
    "codex": ("codex", real.codex_env),
    "acp:gemini": ("gemini", real.gemini_env),
    "acp:opencode": ("opencode", real.opencode_env),
}
# Long, of this machine, or different each time; no adapter reads them.
_DROPPED_CLAUDE = (
    r"agents|analytics\w*|apiKeySource|begun_message_ids|capabilities|commands|cwd|duration\w*|"
    r"fast_mode\w*|feedback\w*|first_content\w*|memory_paths|messaging\w*|models|original_cwd|"
    r"output_file|output_styles?|available_output_styles|user_output_styles_dir|pid|plugins|"
    r"skills|slash_commands|subagent_stats|terminal_slash_commands|time_to\w*|timestamp|tools|"
    r"ttft\w*|usage_report|permission_suggestions|account"
)
_DROPPED_CODEX = (
    r"\w+At|\w+AtMs|cliVersion|codexHome|commandActions|durationMs|environments|installationId|"
    r"originator|preview|processId|proposedExecpolicyAmendment|availableDecisions|"
    r"platform\w*|rateLimits|readState|recencyAt|runtimeWorkspaceRoots|serverName|"
    r"threadSettings|userAgent"
)
_DROPPED_ACP = r"availableCommands|availableModes|authMethods|configOptions|models|mcpCapabilities"
DROPPED = {
    "claude-code": re.compile(_DROPPED_CLAUDE),
    "codex": re.compile(_DROPPED_CODEX),
    "acp:gemini": re.compile(_DROPPED_ACP),
    "acp:opencode": re.compile(_DROPPED_ACP),
}
UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
# Times and numbers that differ each time: what is kept of them, and what they become.
CHANGING = (
    (re.compile(r"127\.0\.0\.1:\d+"), "127.0.0.1:1"),
    (re.compile(r"(agentId: |agent_id\": \"|task_id\": \")\w+"), r"\1a1"),
    (re.compile(r"(duration_ms: |retry_delay_ms\": )[\d.]+"), r"\g<1>500"),
    (re.compile(r"(Chunk ID: |Chunk \", \"ID: )\w+"), r"\g<1>c1"),
    (re.compile(r"(delta\": \")(?:[\da-f]{6}\\n|\d\.\d{4} )"), r"\g<1>1 "),
    (re.compile(r"(Wall time: )[\d.]+"), r"\g<1>0.5"),
    (re.compile(r"_\d{13}_"), "_1_"),
)
IDS = re.compile(r"(?<![a-z_])(toolu|msg|call|rs|fc|ses|prt|resp)_(?=\w*\d)\w{6,}")


class Cleaner:
    """Makes recordings small, and the same each time."""

    def __init__(self, kind: str, folder: str, home: str) -> None:
        self.dropped = DROPPED[kind]
        self.folder, self.home = folder, home
        self.seen: dict[str, str] = {}

    def line(self, line: bytes) -> bytes:
        value = self._without_noise(json.loads(line))
        text = json.dumps(value, ensure_ascii=False)
        text = text.replace(self.folder, "/folder").replace(self.home, "/home")
        text = text.replace(self.folder.lstrip("/"), "folder")  # so opencode names files
        for pattern, form in CHANGING:
            text = pattern.sub(form, text)
        text = UUID.sub(lambda m: self._stable(m[0], "{:08x}-0000-4000-8000-000000000000"), text)
        text = IDS.sub(lambda m: self._stable(m[0], f"{m[1]}_{{:04}}"), text)
        return text.encode()

    def _without_noise(self, value: Any) -> Any:
        if isinstance(value, list):
            return [self._without_noise(item) for item in value]
        if not isinstance(value, dict):
            return value
        kept = {k: v for k, v in value.items() if not self.dropped.fullmatch(k)}
        return {k: self._without_noise(v) for k, v in kept.items()}

    def _stable(self, name: str, form: str) -> str:
        return self.seen.setdefault(name, form.format(len(self.seen) + 1))


async def record(kind: str, name: str, scenario: Scenario) -> None:
    program, env_of = PROGRAMS[kind]
    path = find(program)
    assert path, f"no {program} program"
    adapter = ADAPTERS[kind]()
    with tempfile.TemporaryDirectory() as folder, a_home() as home:
        async with serving() as standin:
            env = env_of(home, standin.url) | scenario.env
            if kind == "codex" and not scenario.is_signed_in:
                (home / ".codex/config.toml").write_text("check_for_update_on_startup = false\n")
            env = {key: value for key, value in env.items() if value}
            driver = Driver(adapter, [path], env=env, cwd=Path(folder))
            driver.on_out = lambda out: _act(driver, scenario, scenario.react(out))
            await driver.run(turn(scenario.says.replace("{folder}", folder), **scenario.changes))
            await driver.stop()
        clean = Cleaner(kind, folder, str(home))
        lines = [clean.line(line) for line in driver.lines]
    target = folder_of(kind)
    target.mkdir(parents=True, exist_ok=True)
    (target / f"{name}.stdout.jsonl").write_bytes(b"".join(line + b"\n" for line in lines))
    replay(kind, name, scenario)


def replay(kind: str, name: str, scenario: Scenario) -> None:
    outs = play(ADAPTERS[kind](), scenario, load(kind, name))
    (folder_of(kind) / f"{name}.chunks.jsonl").write_text(dump(outs))
    print(f"{kind} {name}: {len(outs)} outputs")


def _act(driver: Driver, scenario: Scenario, action: str) -> None:
    if action == "answer":
        driver.answer(scenario.decision, "", scenario.answers)
    elif action == "interrupt":
        driver.on_out = lambda out: None
        driver.interrupt()
    elif action == "kill":
        driver.on_out = lambda out: None
        driver.kill()


async def main(kinds: list[str], names: list[str], *, is_replay: bool) -> None:
    for kind in kinds:
        for name, scenario in SCENARIOS[kind].items():
            if is_replay and (not names or name in names):
                replay(kind, name, scenario)
            elif not names or name in names:
                await record(kind, name, scenario)


if __name__ == "__main__":
    words = [word for word in sys.argv[1:] if word != "--replay"]
    is_replay = "--replay" in sys.argv
    asyncio.run(main(words[:1] or list(SCENARIOS), words[1:], is_replay=is_replay))
