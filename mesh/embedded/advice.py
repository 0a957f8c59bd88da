"""Plain words about what is missing on this machine, and what to do."""

from __future__ import annotations

import json
import shutil
import subprocess

INSTALL = "npm install -g @anthropic-ai/claude-code"


def about_claude() -> str:
    """Return what to tell the person about Claude Code here; empty if it is ready. Takes ≤ 10 s."""
    program = shutil.which("claude")
    if program is None:
        return (
            "Claude Code was not found on this machine, so the Demo agent answers.\n"
            f"  Install it with: {INSTALL}\n"
            "  then sign in with: claude     Mesh notices within a minute."
        )
    try:
        answer = subprocess.run(
            [program, "auth", "status"], capture_output=True, text=True, timeout=10, check=False
        )
        signed_in = bool(json.loads(answer.stdout).get("loggedIn"))
    except (OSError, subprocess.TimeoutExpired, ValueError, AttributeError):
        return (
            "Claude Code is here but did not say whether it is signed in. Try: claude auth status"
        )
    if signed_in:
        return ""
    return (
        "Claude Code is here but not signed in, so the Demo agent answers.\n"
        "  Sign in with: claude     Mesh notices within a minute."
    )
