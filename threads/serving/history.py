"""The messages of a thread before a run, as its agent is sent them or remembers them.

What a model has refused is left out, with its answer: the refused words would have everything that
follows refused too. The person may also send a message without all earlier ones
(``WITHOUT_EARLIER`` in its metadata), for when the model dislikes something else in them.
"""

from __future__ import annotations

from typing import Any, Final
from uuid import UUID

from django.db.models import F

from threads.core.run_errors import REFUSED, WITHDRAWN
from threads.models import Message, Run
from threads.run import state as run_state

WITHOUT_EARLIER: Final = "withoutEarlier"
MAX_MESSAGES: Final = 30
MAX_TEXT: Final = 4_000  # characters of one message
MAX_TOTAL: Final = 24_000  # characters of all messages


def messages_before(run: Run, *, limit: int) -> list[Message]:
    """Return the newest messages before the run's that its agent may be sent; the oldest first,
    each followed by its answer.

    The runs' positions order them, not the messages' numbers: a message that waited has a lower
    number than the answer that it waited for.
    """
    before = Run.objects.filter(thread=run.thread_id, position__lte=run.position)
    sent = before.exclude(error_code__in=[WITHDRAWN, *REFUSED]).exclude(never_sent=True)
    start = {f"prompt__metadata__{WITHOUT_EARLIER}": True}
    starts = before.filter(**start).order_by("-position").values_list("position", flat=True)
    found = sent.exclude(pk=run.pk).filter(position__gte=starts.first() or 0).order_by("-position")
    places: dict[UUID, tuple[int, int]] = {}
    for run_id, prompt_id, position, steered_into in found.values_list(
        "pk", "prompt_id", "position", F("steer__into__position")
    )[:limit]:
        # A message that was read in the middle of an answer stands before that answer.
        places[prompt_id] = (position, 0) if steered_into is None else (steered_into, 1)
        places[run_id] = (position, 2)
    messages = Message.objects.filter(pk__in=places)
    return sorted(messages, key=lambda each: (*places[each.pk], each.seq))[-limit:]


def must_begin_afresh(run: Run) -> bool:
    """Return whether the agent's own record of the conversation has what must be left out.

    An agent program keeps a refused message in its session, and sends it again each time. The
    first run after it begins a new session; one that completed has done so.
    """
    if run.prompt.metadata.get(WITHOUT_EARLIER) is True:
        return True
    runs = Run.objects.filter(thread=run.thread_id, position__lt=run.position)
    refused = runs.filter(error_code__in=REFUSED).order_by("-position").first()
    if refused is None:
        return False
    # Not one that the program began by itself: it was still in the old session.
    later = runs.filter(position__gt=refused.position, prompt__role="user")
    return not later.filter(state=run_state.COMPLETED).exists()


def earlier_messages(run: Run) -> list[dict[str, Any]]:
    """Return the newest messages before the run's, the oldest first, as role and text.

    None for a thread whose harness has no session yet.
    """
    if not run.thread.session_ref:
        return []
    found: list[dict[str, Any]] = []
    left = MAX_TOTAL
    for message in reversed(messages_before(run, limit=MAX_MESSAGES)):
        text = _text(message.parts)[:MAX_TEXT]
        left -= len(text)
        if left < 0:
            break
        if text:
            found.append({"role": message.role, "text": text})
    return found[::-1]


def _text(parts: list[dict[str, Any]]) -> str:
    texts = (part.get("text") for part in parts if part.get("type") == "text")
    return "\n\n".join(text for text in texts if isinstance(text, str)).strip()
