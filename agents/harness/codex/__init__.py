"""Codex: the person's own ``codex app-server``, JSON lines both ways.

One program serves one conversation, turn after turn; a new one resumes it by Codex's own
thread id, which is the session reference.
"""

from agents.harness.codex.adapter import CodexAdapter

__all__ = ["CodexAdapter"]
