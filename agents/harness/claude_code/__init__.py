"""Claude Code: the person's own ``claude`` program, stream-JSON both ways.

One program serves one conversation, turn after turn; a new one resumes it by its session id.
"""

from agents.harness.claude_code.adapter import ClaudeCodeAdapter

__all__ = ["ClaudeCodeAdapter"]
