"""Record the real ``claude`` anew: python -m tests.harness.record [name …]

Needs the program (``make test`` installs it). Look at the difference before keeping it: what
changed in ``*.stdout.jsonl`` is the program's doing, what changed in ``*.chunks.jsonl`` ours.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import sys
import tempfile
from pathlib import Path
from typing import Any

from agents.harness.claude_code import ClaudeCodeAdapter
from tests.harness.cli import find_claude
from tests.harness.driver import Driver, turn
from tests.harness.scenarios import CLAUDE_CODE, RECORDED, Scenario, dump, load, play
from tests.standin import serving

KIND = "claude-code"
# Long, of this machine, or different each time; no adapter reads them.
DROPPED = re.compile(
    r"agents|analytics\w*|apiKeySource|begun_message_ids|capabilities|commands|cwd|duration\w*|"
    r"fast_mode\w*|feedback\w*|first_content\w*|memory_paths|messaging\w*|models|original_cwd|"
    r"output_file|output_styles?|available_output_styles|user_output_styles_dir|pid|plugins|"
    r"skills|slash_commands|subagent_stats|terminal_slash_commands|time_to\w*|timestamp|tools|"
    r"ttft\w*|usage_report|permission_suggestions|account"
)
UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")


class Cleaner:
    """Makes recordings small, and the same each time."""

    def __init__(self, folder: str) -> None:
        self.folder = folder
        self.seen: dict[str, str] = {}

    def line(self, line: bytes) -> bytes:
        value = self._without_noise(json.loads(line))
        text = json.dumps(value, ensure_ascii=False).replace(self.folder, "/folder")
        text = re.sub(r"127\.0\.0\.1:\d+", "127.0.0.1:1", text)
        text = re.sub(r"(agentId: |agent_id\": \"|task_id\": \")\w+", r"\1a1", text)
        text = re.sub(r"(duration_ms: |retry_delay_ms\": )[\d.]+", r"\g<1>500", text)
        text = UUID.sub(lambda m: self._stable(m[0], "{:08x}-0000-4000-8000-000000000000"), text)
        text = re.sub(r"(?:toolu|msg)_\d{6}", lambda m: self._stable(m[0], "toolu_{:04}"), text)
        return text.encode()

    def _without_noise(self, value: Any) -> Any:
        if isinstance(value, list):
            return [self._without_noise(item) for item in value]
        if not isinstance(value, dict):
            return value
        kept = {k: v for k, v in value.items() if not DROPPED.fullmatch(k)}
        return {k: self._without_noise(v) for k, v in kept.items()}

    def _stable(self, name: str, form: str) -> str:
        prefix = name.split("_")[0]
        form = form.replace("toolu", prefix) if prefix in ("toolu", "msg") else form
        return self.seen.setdefault(name, form.format(len(self.seen) + 1))


async def record(program: str, name: str, scenario: Scenario) -> None:
    with tempfile.TemporaryDirectory() as folder:
        async with serving() as standin:
            env = {
                "PATH": os.environ["PATH"],
                "HOME": folder,
                "LANG": "C.UTF-8",
                "ANTHROPIC_BASE_URL": standin.url,
                "ANTHROPIC_API_KEY": "stand-in",
                "CLAUDE_CODE_MAX_RETRIES": "1",
            } | scenario.env
            env = {key: value for key, value in env.items() if value}
            driver = Driver(ClaudeCodeAdapter(), [program], env=env, cwd=Path(folder))
            driver.on_out = lambda out: _act(driver, scenario, scenario.react(out))
            await driver.run(turn(scenario.says, **scenario.changes))
            await driver.stop()
        clean = Cleaner(folder)
        lines = [clean.line(line) for line in driver.lines]
    target = RECORDED / KIND
    target.mkdir(parents=True, exist_ok=True)
    (target / f"{name}.stdout.jsonl").write_bytes(b"".join(line + b"\n" for line in lines))
    outs = play(ClaudeCodeAdapter(), scenario, load(KIND, name))
    (target / f"{name}.chunks.jsonl").write_text(dump(outs))
    print(f"{name}: {len(lines)} lines, {len(outs)} outputs")


def _act(driver: Driver, scenario: Scenario, action: str) -> None:
    if action == "answer":
        driver.answer(scenario.decision)
    elif action == "interrupt":
        driver.on_out = lambda out: None
        driver.interrupt()
    elif action == "kill":
        driver.on_out = lambda out: None
        driver.kill()


async def main(names: list[str]) -> None:
    program = find_claude()
    assert program, "no claude program"
    for name, scenario in CLAUDE_CODE.items():
        if not names or name in names:
            await record(program, name, scenario)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1:]))
