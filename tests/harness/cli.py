"""Where the real programs are: installed by ``make test``, or named in the environment."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
CLAUDE_VERSION = "2.1.330"
INSTALL = f"npm install --prefix .tools @anthropic-ai/claude-code@{CLAUDE_VERSION}"


def find_claude() -> str | None:
    """Return the path of ``claude``, or ``None``."""
    named = os.environ.get("MESH_TEST_CLAUDE")
    path = Path(named) if named else ROOT / ".tools/node_modules/.bin/claude"
    return str(path) if path.exists() else None


def need_claude() -> str:
    """Return the path of ``claude``; without it leave the test out, or fail it in CI."""
    if path := find_claude():
        return path
    reason = f"no claude program here: run `{INSTALL}`"
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)
