"""Resuming a run whose sandbox died while its agent waited for a person's answer.

The agent died with its sandbox, and its conversation is on the machine's disk. A new attempt
resumes that conversation and is told to repeat the call that needed permission. The same question
is asked again, and the person's answer, before or after, is carried over to it; see
``journal/approval_status.py``.
"""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any
from uuid import UUID

from agents.harness.questions import WORKING_FOLDER
from threads.journal.chunks import status_chunk, ui_message
from threads.journal.rows import Draft
from threads.models import Approval, Run
from threads.run import transitions

_GO_ON = (
    "(Your program was ended from outside while it waited for the person's permission, and was"
    " started again. Nothing of what you asked for was done. Ask for it again with exactly the"
    " same call, and then go on with your work.)"
)


def resume_run(run_id: UUID, *, now: datetime) -> list[Draft]:
    """Start the next attempt of ``run_id``; return the drafts that tell readers.

    In the journal's transaction, with the thread locked. The lost attempt's open questions stay
    answerable.
    """
    run = Run.objects.select_related("prompt").get(pk=run_id)
    transitions.resume(run, now=now)
    open_ones = Approval.objects.filter(run=run_id, applied_at=None, withdrawn_at=None)
    open_ones.filter(lost_at=None).update(lost_at=now)
    chunk = status_chunk(run.state, run_id=run_id, message_id=run.prompt.client_id)
    return [Draft(chunk, run_id)]


def resume_message(run: Run) -> dict[str, Any]:
    """Return the message that the agent of a resumed run gets: a request to repeat its calls, or
    the person's message if only the question about the working folder was lost."""
    lost = Approval.objects.filter(run=run, lost_at__isnull=False).order_by("asked_at")
    of_agent = [each for each in lost if each.tool != WORKING_FOLDER]
    if not of_agent:
        return ui_message(run.prompt)
    calls = [{"tool": each.tool, "input": each.input} for each in of_agent if not each.carried_at]
    text = f"{_GO_ON}\n{json.dumps(calls, ensure_ascii=False)}"
    return {
        "id": f"{run.pk}:{run.resumptions}",
        "role": "user",
        "parts": [{"type": "text", "text": text}],
        "metadata": {},
    }
