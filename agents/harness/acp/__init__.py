"""Any agent that speaks the Agent Client Protocol on stdio: Gemini CLI, opencode, others.

One program serves one conversation, turn after turn; a new one resumes it by the agent's
session id, if the agent can.
"""

from agents.harness.acp.adapter import AcpAdapter
from agents.harness.acp.agents import Agent, built_in, named

__all__ = ["AcpAdapter", "Agent", "built_in", "named"]
