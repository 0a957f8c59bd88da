"""One result of the doctor."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from links.daemon.terminal import in_line

State = Literal["ok", "warn", "fail"]


@dataclass(frozen=True, slots=True)
class Finding:
    """``warn`` is worth knowing but breaks nothing; ``fail`` keeps the link from working."""

    state: State
    subject: str
    detail: str
    fix: str = ""

    def __str__(self) -> str:
        line = f"{self.state:<5} {in_line(self.subject):<12} {in_line(self.detail)}"
        return f"{line}\n{'':<18} fix: {in_line(self.fix)}" if self.fix else line
