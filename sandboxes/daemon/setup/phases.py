"""Records and publishes the phases of the setup."""

from __future__ import annotations

import time
from collections import deque
from typing import Any

from sandboxes.daemon.events import Events
from sandboxes.daemon.setup.steps import Phase, PhaseKind

KEPT = 20


class Phases:
    """The latest phases; the last one is the current one."""

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
        """Record and publish a phase; a failure also becomes the sandbox's status."""
        phase = Phase(kind, int(time.time() * 1000), tuple(detail.items()))
        self._phases.append(phase)
        self._events.publish_lifecycle(phase.as_json())
        if phase.is_failure:
            self._events.publish_status({"state": "error", "reason": detail.get("reason", kind)})
        else:
            self._events.publish_status({"state": "running"})

    def amend(self, **detail: Any) -> None:
        """Change details of the current phase, and publish it again."""
        if (last := self.last) is not None:
            phase = Phase(last.kind, last.at, tuple((dict(last.detail) | detail).items()))
            self._phases[-1] = phase
            self._events.publish_lifecycle(phase.as_json())

    def as_json(self) -> list[dict[str, Any]]:
        return [phase.as_json() for phase in self._phases]
