"""Tells the person what is missing on this machine, and how to fix it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

from mesh import agent_programs


def about_claude() -> str:
    """Return what to tell the person about Claude Code here; empty if it is ready. Takes ≤ 10 s."""
    claude = agent_programs.find_by_name("claude")
    assert claude is not None
    path = claude.search_path(os.environ.get("PATH", os.defpath), Path.home())
    program = shutil.which(claude.name, path=path)
    if program is None:
        return (
            "Claude Code was not found on this machine, so the Demo agent answers.\n"
            f"  Install it with: {claude.install}\n"
            "  then sign in with: claude     Mesh notices within a minute."
        )
    try:
        answer = subprocess.run(
            [program, "auth", "status"], capture_output=True, text=True, timeout=10, check=False
        )
        signed_in = bool(json.loads(answer.stdout).get("loggedIn"))
    except (OSError, subprocess.TimeoutExpired, ValueError, AttributeError):
        return (
            "Claude Code is installed but did not say whether it is signed in."
            " Try: claude auth status"
        )
    if signed_in:
        return ""
    return (
        "Claude Code is installed but not signed in, so the Demo agent answers.\n"
        "  Sign in with: claude     Mesh notices within a minute."
    )
