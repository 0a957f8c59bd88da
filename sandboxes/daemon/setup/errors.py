"""What is refused about a setup, and how a step of it fails."""

from __future__ import annotations

from mesh.lib.errors import AppError


class NotConfigured(AppError):
    code = "not_configured"
    text = "The sandbox has no configuration yet: POST /config first."
    hint = "The server sends it when the sandbox is started for a preview."
    status = 409


class AgentAtWork(AppError):
    code = "agent_at_work"
    text = "An agent works in the folder: it can't go to another branch now."
    hint = "Stop the run first, or wait for its end."
    status = 409


class UnknownScript(AppError):
    code = "unknown_script"
    text = "The project has no such script."
    hint = "Choose one of those that are available."
    status = 404


class StepFailed(AppError):
    """A step could not be carried out; the text says why."""

    code = "step_failed"
