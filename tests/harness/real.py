"""Driving the real programs against the model stand-in: what they all need."""

from __future__ import annotations

import json
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
env_key = "OPENAI_API_KEY"
wire_api = "responses"
request_max_retries = 1
stream_max_retries = 1
"""


def claude_env(home: Path, url: str) -> dict[str, str]:
    """Return the environment of a Claude Code whose model is the stand-in."""
    return _base(home) | {
        "ANTHROPIC_BASE_URL": url,
        "ANTHROPIC_API_KEY": "stand-in",
        "CLAUDE_CODE_MAX_RETRIES": "1",
    }


def codex_env(home: Path, url: str) -> dict[str, str]:
    """Return the environment of a Codex whose model is the stand-in; its settings are written."""
    codex_home = home / ".codex"
    codex_home.mkdir(exist_ok=True)
    (codex_home / "config.toml").write_text(CODEX_CONFIG.format(url=url))
    return _base(home) | {"CODEX_HOME": str(codex_home), "OPENAI_API_KEY": "stand-in"}


def opencode_env(home: Path, url: str) -> dict[str, str]:
    """Return the environment of an opencode whose model is the stand-in."""
    model = {
        "name": "M",
        "reasoning": True,
        "attachment": True,
        "modalities": {"input": ["text", "image"], "output": ["text"]},
        "limit": {"context": 100_000, "output": 8_000},
    }
    provider = {
        "npm": "@ai-sdk/openai-compatible",
        "name": "The stand-in",
        "options": {"baseURL": f"{url}/v1", "apiKey": "stand-in"},
        "models": {"m": model},
    }
    config = {
        "provider": {"standin": provider},
        "model": "standin/m",
        "small_model": "standin/m",
        "autoupdate": False,
        "share": "disabled",
    }
    folder = home / ".config/opencode"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "opencode.json").write_text(json.dumps(config))
    return _base(home) | {
        "OPENCODE_DISABLE_MODELS_FETCH": "1",
        "OPENCODE_DISABLE_LSP_DOWNLOAD": "1",
    }


def gemini_env(home: Path, url: str) -> dict[str, str]:
    """Return the environment of a Gemini CLI whose model is the stand-in."""
    folder = home / ".gemini"
    folder.mkdir(exist_ok=True)
    quiet = {"general": {"enableAutoUpdate": False}, "privacy": {"usageStatisticsEnabled": False}}
    (folder / "settings.json").write_text(json.dumps(quiet))
    return _base(home) | {"GEMINI_API_KEY": "stand-in", "GOOGLE_GEMINI_BASE_URL": url}


def _base(home: Path) -> dict[str, str]:
    return {"PATH": os.environ["PATH"], "HOME": str(home), "LANG": "C.UTF-8"}


def make_older(home: Path) -> None:
    """Let a minute pass for the sessions that Gemini has stored.

    0.61.0 names a session's file by the minute, and a session that is loaded in the minute in
    which it began overwrites its own file first; then it is lost, as Mesh tells.
    """
    for path in home.glob(".gemini/tmp/*/chats/session-*"):
        path.rename(path.with_name("session-2026-01-01T00-00-" + path.name.rpartition("-")[2]))


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
