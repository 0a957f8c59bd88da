"""Keeps where the setup is, and tells it."""

from __future__ import annotations

import time
from collections import deque
from typing import Any

from sandboxes.daemon.events import Events
from sandboxes.daemon.setup.steps import Phase, PhaseKind

KEPT = 20


class Phases:
    """The phases of late, the last of which is where the setup is now."""

    def __init__(self, events: Events) -> None:
        self._events = events
        self._phases: deque[Phase] = deque(maxlen=KEPT)

    @property
    def last(self) -> Phase | None:
        return self._phases[-1] if self._phases else None

    @property
    def kind(self) -> PhaseKind | None:
        return self.last.kind if self.last else None

    def enter(self, kind: PhaseKind, **detail: Any) -> None:
        """Note a phase and tell it; a failure is also told as the sandbox's status."""
        phase = Phase(kind, int(time.time() * 1000), tuple(detail.items()))
        self._phases.append(phase)
        self._events.tell_lifecycle(phase.as_json())
        if phase.is_failure:
            self._events.tell_status({"state": "error", "reason": detail.get("reason", kind)})
        else:
            self._events.tell_status({"state": "running"})

    def as_json(self) -> list[dict[str, Any]]:
        return [phase.as_json() for phase in self._phases]
