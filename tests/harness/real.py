"""Driving the real programs against the model stand-in: what they all need."""

from __future__ import annotations

import os
from pathlib import Path

from agents.harness.base import Ask, Emit

CODEX_CONFIG = """\
model_provider = "standin"
check_for_update_on_startup = false
analytics.enabled = false

[model_providers.standin]
name = "The stand-in"
base_url = "{url}/v1"
env_key = "STANDIN_KEY"
wire_api = "responses"
request_max_retries = 1
stream_max_retries = 1
"""


def codex_env(home: Path, url: str) -> dict[str, str]:
    """Return the environment of a Codex whose model is the stand-in; its settings are written."""
    codex_home = home / ".codex"
    codex_home.mkdir(exist_ok=True)
    (codex_home / "config.toml").write_text(CODEX_CONFIG.format(url=url))
    return _base(home) | {"CODEX_HOME": str(codex_home), "STANDIN_KEY": "stand-in"}


def _base(home: Path) -> dict[str, str]:
    return {"PATH": os.environ["PATH"], "HOME": str(home), "LANG": "C.UTF-8"}


def when(driver, kind, act):
    """Let ``act`` happen once, at the first chunk of ``kind``."""

    def on_out(out):
        if isinstance(out, Emit | Ask) and out.chunk["type"] == kind:
            driver.on_out = lambda out: None
            act()

    driver.on_out = on_out


def running(words: str) -> list[int]:
    """Return the processes whose command line has ``words``."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            try:
                line = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()
            except OSError:
                continue
            if words in line:
                found.append(int(entry.name))
    return found
