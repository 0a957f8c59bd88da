"""Records MCP servers that do not answer, and tells the run that waits for one, or goes without.

The programs of a machine ask through the gateway, so it is the gateway that knows.
"""

from __future__ import annotations

from typing import Any, Final
from uuid import UUID

from django.db import transaction

from agents.core.mcp import McpServer, silence_in_words
from agents.services import note_silent_server
from mesh.selectors import NotFound
from threads.core import executors
from threads.journal import rows
from threads.journal.chunks import mcp_notice_chunk, waiting_chunk
from threads.journal.rows import Draft
from threads.models import Run, Thread
from threads.run import state as run_state
from threads.services.announcements import announce

SOURCE: Final = "mesh"


def tell_waiting(*, thread_id: UUID, servers: list[str]) -> None:
    """Tell the readers of the thread's active run which servers it waits for; none: no longer."""
    _tell(thread_id, waiting_chunk(servers))


def tell_silent(*, thread_id: UUID, server: McpServer) -> None:
    """Tell the thread's active run that it goes without a server that is known to be silent.

    Safe to repeat: the run's answer has one notice for each server.
    """
    text = silence_in_words(server.name, is_known=True)
    _tell(thread_id, mcp_notice_chunk(server.name, text, source=SOURCE))


def note_silent(*, thread_id: UUID, server: McpServer) -> None:
    """Record that a server has not answered a program of the thread's run, and tell the run."""
    agent_id = Thread.objects.values_list("agent", flat=True).get(pk=thread_id)
    note_silent_server(agent_id=agent_id, name=server.name, url=server.url)
    text = silence_in_words(server.name, is_known=False)
    _tell(thread_id, mcp_notice_chunk(server.name, text, source=SOURCE))


def _tell(thread_id: UUID, chunk: dict[str, Any]) -> None:
    with transaction.atomic():
        try:
            thread = rows.lock(thread_id)
        except NotFound:
            return
        # Read with the lock held: the readers of a run that has ended get no more chunks.
        active = Run.objects.filter(thread=thread_id, executor=executors.LINK)
        run_id = active.filter(state__in=run_state.ACTIVE).values_list("pk", flat=True).first()
        if run_id is None:
            return
        written = rows.append(thread.pk, [Draft(chunk, run_id)])
        announce(thread_id=thread.pk, owner_id=thread.owner_id, rows=written)
