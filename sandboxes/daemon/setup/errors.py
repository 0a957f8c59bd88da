"""What the routes of the setup refuse, and how a step fails."""

from __future__ import annotations

from mesh.lib.errors import AppError


class NotConfigured(AppError):
    code = "not_configured"
    text = "The sandbox has no configuration yet: POST /config first."
    hint = "The server sends it when it starts the sandbox for a preview."
    status = 409


class AgentAtWork(AppError):
    code = "agent_at_work"
    text = "An agent is working in the folder, so the branch can't be changed now."
    hint = "Stop the run first, or wait until it ends."
    status = 409


class UnknownScript(AppError):
    code = "unknown_script"
    text = "The project has no such script."
    hint = "Choose one of those that are available."
    status = 404


class StepFailed(AppError):
    """A step failed; the text says why."""

    code = "step_failed"
