"""The input of a run, as its agent receives it for a turn, read from the rows."""

from __future__ import annotations

from typing import Any, Final

from agents.catalog import silent_minutes_of
from agents.selectors import list_mcp_servers
from threads.choices import models_of_run
from threads.journal.chunks import ui_message
from threads.mcp_gateway import server_input
from threads.models import Run
from threads.run.resuming import resume_message
from threads.serving.attachments import with_references
from threads.serving.history import earlier_messages, must_begin_afresh

# The wire requires a number. No program that reads it there uses it; Decopilot reads the row.
USUAL_TEMPERATURE: Final = 0.5


def harness_input(run: Run) -> dict[str, Any]:
    """Return the HarnessStreamInput of a run; the harness remembers the earlier turns.

    It contains references to files, not their bytes: see ``attachments.py``.
    """
    thread, agent = run.thread, run.thread.agent
    message = resume_message(run) if run.resumptions else ui_message(run.prompt)
    messages = with_references([*run.system_messages, message], thread_id=thread.pk)
    session = thread.session_ref or None
    begins_afresh = session is not None and must_begin_afresh(run)
    agent_shown = {"id": str(agent.pk), "slug": agent.slug, "title": agent.title}
    return {
        "threadId": str(thread.pk),
        "taskId": str(thread.pk),
        "runId": str(run.pk),
        "messages": messages,
        "models": models_of_run(run),
        "tier": run.tier,
        "effort": run.effort or None,
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
            "mcpServers": [server_input(server, run) for server in list_mcp_servers(agent=agent)],
        },
        "resumeSessionRef": None if begins_afresh else session,
        "beginsAfresh": begins_afresh,
        "earlier": earlier_messages(run),
        "branch": thread.branch,
        "folderChoices": run.folder_choices,
        "currentThreadTitle": thread.title or None,
        "takesUnasked": True,
    }
