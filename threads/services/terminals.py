"""Records of terminals: who opened which, when, and how it ended."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import UUID

from django.utils import timezone

from mesh.models import User
from threads.models import TerminalRecord, Thread

# A list that the sandbox made before it opened a terminal does not have it.
_OPENS_WITHIN: Final = timedelta(minutes=3)


def record_terminal(*, viewer: User, thread: Thread, handle: str, terminal_id: UUID) -> None:
    """Record that ``viewer`` opens a terminal; called before it is opened."""
    TerminalRecord.objects.create(
        id=terminal_id,
        organization_id=thread.organization_id,
        thread_key=thread.pk,
        handle=handle,
        opened_by=viewer,
        opened_by_name=viewer.get_username(),
    )


def refuse_terminal(terminal_id: UUID) -> None:
    """Record that it could not be opened."""
    open_one = TerminalRecord.objects.filter(pk=terminal_id, ended_at=None)
    open_one.update(ended_at=timezone.now(), outcome=TerminalRecord.Outcome.REFUSED)


def settle_terminals(handle: str, listed: Iterable[Any]) -> None:
    """Record the ends of a sandbox's terminals, which ``listed`` are as it tells."""
    told = {one.get("id"): one for one in listed if isinstance(one, dict)}
    now = timezone.now()
    for record in TerminalRecord.objects.filter(handle=handle, ended_at=None):
        one = told.get(str(record.pk))
        if one is None:
            if record.opened_at < now - _OPENS_WITHIN:
                _end(record, now, None, TerminalRecord.Outcome.LOST)
            continue
        if one.get("endedAt") is None:
            continue
        outcome = TerminalRecord.Outcome.EXITED
        if one.get("isClosed") is True:
            outcome = TerminalRecord.Outcome.CLOSED
        _end(record, _time(one["endedAt"], record.opened_at, now), one.get("exitCode"), outcome)


def _end(record: TerminalRecord, at: datetime, code: Any, outcome: str) -> None:
    is_code = isinstance(code, int) and abs(code) < 2**31
    record.ended_at, record.outcome = at, outcome
    record.exit_code = code if is_code else None
    record.save(update_fields=["ended_at", "outcome", "exit_code"])


def _time(milliseconds: Any, first: datetime, last: datetime) -> datetime:
    """Return the machine's time, unless its clock says what can't be."""
    try:
        told = datetime.fromtimestamp(milliseconds / 1000, UTC)
    except (TypeError, ValueError, OverflowError, OSError):
        return last
    return told if first <= told <= last else last
