"""What an agent is given for a turn: the input of a run, read from its rows."""

from __future__ import annotations

from typing import Any, Final

from agents.catalog import models_of, silent_minutes_of
from agents.selectors import list_mcp_servers
from threads.journal.chunks import ui_message
from threads.mcp_gateway import as_told
from threads.models import Run
from threads.run.resuming import go_on_message
from threads.serving.attachments import with_references
from threads.serving.history import earlier

# The wire wants a number. No program that reads it there can use one; Decopilot reads the row.
USUAL_TEMPERATURE: Final = 0.5


def harness_input(run: Run) -> dict[str, Any]:
    """Return the HarnessStreamInput of a run. The harness remembers what was said before.

    Files are named in it, not contained: see ``attachments.py``.
    """
    thread, agent = run.thread, run.thread.agent
    said = go_on_message(run) if run.resumptions else ui_message(run.prompt)
    messages = with_references([*run.system_messages, said], thread_id=thread.pk)
    agent_shown = {"id": str(agent.pk), "slug": agent.slug, "title": agent.title}
    return {
        "threadId": str(thread.pk),
        "taskId": str(thread.pk),
        "runId": str(run.pk),
        "messages": messages,
        "models": models_of(thread.harness_id, run.tier),
        "tier": run.tier,
        "mode": run.mode,
        "silentMinutes": silent_minutes_of(thread.harness_id),
        "temperature": USUAL_TEMPERATURE if run.temperature is None else run.temperature,
        "toolApprovalLevel": run.approval_level,
        "user": {"id": str(thread.owner_id), "email": thread.owner.email},
        "organizationId": str(thread.organization_id),
        "agent": agent_shown,
        "virtualMcp": {
            **agent_shown,
            "instructions": agent.instructions,
            "mcpServers": [as_told(server, run) for server in list_mcp_servers(agent=agent)],
        },
        "resumeSessionRef": thread.session_ref or None,
        "earlier": earlier(run),
        "branch": thread.branch,
        "currentThreadTitle": thread.title or None,
    }
