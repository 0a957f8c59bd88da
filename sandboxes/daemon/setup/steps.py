"""The steps and phases of the setup, and their order. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from sandboxes.daemon.setup.config import Step

ORDER: tuple[Step, ...] = ("clone", "install", "start")

PhaseKind = Literal[
    "cloning",
    "clone-failed",
    "checking-out",
    "installing",
    "install-failed",
    "starting",
    "unseen",  # it runs, and answers nowhere
    "start-failed",
    "running",
    "crashed",
]
FAILED: dict[Step, PhaseKind] = {
    "clone": "clone-failed",
    "install": "install-failed",
    "start": "start-failed",
}


@dataclass(frozen=True, slots=True)
class Phase:
    """The state of the setup at a time (in milliseconds), with details."""

    kind: PhaseKind
    at: int
    detail: tuple[tuple[str, Any], ...] = ()

    def as_json(self) -> dict[str, Any]:
        return {"phase": self.kind, "at": self.at, **dict(self.detail)}

    @property
    def is_failure(self) -> bool:
        return self.kind.endswith("-failed") or self.kind == "crashed"


@dataclass(frozen=True, slots=True)
class Queue:
    """The running step and the waiting one; an earlier step includes the later ones."""

    running: Step | None = None
    waiting: Step | None = None

    def add(self, step: Step) -> Queue:
        """Return the queue with ``step`` in it; of two waiting steps, the earlier one stays."""
        if self.waiting is None or ORDER.index(step) < ORDER.index(self.waiting):
            return Queue(self.running, step)
        return self

    def next(self) -> Queue:
        """Return the queue after the end of the running step."""
        return Queue(self.waiting, None)

    def begin(self) -> Queue:
        """Return the queue with its waiting step running, if none runs."""
        return self.next() if self.running is None else self

    @property
    def pending(self) -> int:
        return int(self.waiting is not None)


def steps_from(first: Step) -> tuple[Step, ...]:
    """Return ``first`` and the steps that follow it."""
    return ORDER[ORDER.index(first) :]
