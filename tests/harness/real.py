"""Driving the real programs against the model stand-in: what they all need."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from agents.harness.base import Ask, Emit

CODEX_CONFIG = """\
model = "gpt-5.3-codex"
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


VIBE_CONFIG = """\
active_model = "m"
enable_auto_update = false
enable_update_checks = false
enable_telemetry = false
api_retry_max_elapsed_time = 1.0

[[providers]]
name = "standin"
api_base = "{url}/v1"
api_key_env_var = "MISTRAL_API_KEY"

[[models]]
name = "m"
provider = "standin"
alias = "m"
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
    general = {"enableAutoUpdate": False, "maxAttempts": 1}
    quiet = {"general": general, "privacy": {"usageStatisticsEnabled": False}}
    (folder / "settings.json").write_text(json.dumps(quiet))
    return _base(home) | {"GEMINI_API_KEY": "stand-in", "GOOGLE_GEMINI_BASE_URL": url}


def qwen_env(home: Path, url: str) -> dict[str, str]:
    """Return the environment of a Qwen Code whose model is the stand-in."""
    folder = home / ".qwen"
    folder.mkdir(exist_ok=True)
    settings = {
        "general": {"enableAutoUpdate": False, "disableAutoUpdate": True},
        "privacy": {"usageStatisticsEnabled": False},
        "security": {"auth": {"selectedType": "openai"}},
        "model": {"generationConfig": {"maxRetries": 0}},
    }
    (folder / "settings.json").write_text(json.dumps(settings))
    return _base(home) | {
        "OPENAI_API_KEY": "stand-in",
        "OPENAI_BASE_URL": f"{url}/v1",
        "OPENAI_MODEL": "m",
    }


def copilot_env(home: Path, url: str) -> dict[str, str]:
    """Return the environment of a Copilot CLI without GitHub, whose model is the stand-in."""
    return _base(home) | {
        "COPILOT_PROVIDER_BASE_URL": f"{url}/v1",
        "COPILOT_PROVIDER_TYPE": "openai",
        "COPILOT_PROVIDER_API_KEY": "stand-in",
        "COPILOT_MODEL": "gpt-4.1",
        "COPILOT_OFFLINE": "true",
    }


def vibe_env(home: Path, url: str) -> dict[str, str]:
    """Return the environment of a Mistral Vibe whose model is the stand-in."""
    vibe_home = home / ".vibe"
    vibe_home.mkdir(exist_ok=True)
    (vibe_home / "config.toml").write_text(VIBE_CONFIG.format(url=url))
    return _base(home) | {"VIBE_HOME": str(vibe_home), "MISTRAL_API_KEY": "stand-in"}


def fast_agent_env(home: Path, url: str) -> dict[str, str]:
    """Return the environment of a fast-agent whose model is the stand-in."""
    return _base(home) | {
        "ANTHROPIC_BASE_URL": url,
        "ANTHROPIC_API_KEY": "stand-in",
        "FAST_AGENT_RETRIES": "0",
        "FAST_AGENT_MODEL": "anthropic.claude-sonnet-4-5",
    }


def _base(home: Path) -> dict[str, str]:
    return {"PATH": os.environ["PATH"], "HOME": str(home), "LANG": "C.UTF-8"}


@dataclass(frozen=True)
class Program:
    """A real program: its name, the environment in which it runs, and a model of the stand-in."""

    name: str
    env: Callable[[Path, str], dict[str, str]]
    model: str = "smart"


# The agents whose programs the tests run, by kind.
PROGRAMS = {
    "claude-code": Program("claude", claude_env, "sonnet"),
    "codex": Program("codex", codex_env, "gpt-5.4-mini"),
    # Its default model asks another one first which to use, so one is named.
    "acp:gemini": Program("gemini", gemini_env, "gemini-2.5-flash"),
    "acp:opencode": Program("opencode", opencode_env),
    "acp:qwen": Program("qwen", qwen_env),
    "acp:copilot": Program("copilot", copilot_env),
    "acp:vibe": Program("vibe-acp", vibe_env),
    "acp:fast-agent": Program("fast-agent-acp", fast_agent_env),
    "acp:claude-code": Program("claude-agent-acp", claude_env),
    "acp:codex": Program("codex-acp", codex_env),
}


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
