"""The answer of a run that has not ended, as the fold of its committed events.

The end of a run stores its answer while the thread is locked, and on SQLite while nobody else
writes. Folding a long answer takes a tenth of a second; so it is folded before, up to the newest
committed event, and under the lock only the events that have been committed since.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final
from uuid import UUID

from threads.core.fold import Fold
from threads.journal import rows
from threads.journal.rows import Draft
from threads.models import Event, Run

# Characters of an answer's chunks: it is one value of one row. PostgreSQL's own limit is 256 MB.
ANSWER_LIMIT: Final = 16 * 1024 * 1024


@dataclass(slots=True)
class UnfinishedAnswer:
    """The fold of a run's events up to ``last_seq``; ``room`` is what is left of the limit."""

    fold: Fold = field(default_factory=Fold)
    last_seq: int = 0
    room: int = field(default_factory=lambda: ANSWER_LIMIT)
    is_used: bool = False

    @property
    def is_whole(self) -> bool:
        """Whether no event is missing because of the limit."""
        return self.room >= 0

    def read(self, run: Run) -> None:
        """Fold the events that were committed since."""
        events = Event.objects.filter(run=run)
        if self.last_seq:  # few follow: the thread's index finds them without the others
            events = events.filter(thread=run.thread_id, seq__gt=self.last_seq)
        found = events.order_by("seq").values_list("seq", "chunk")
        for seq, text in found.iterator(chunk_size=500):
            self.room -= len(text)
            if not self.is_whole:
                return
            self.fold.apply(json.loads(text))
            self.last_seq = seq

    def add(self, drafts: Sequence[Draft]) -> None:
        """Fold chunks that are about to be written."""
        for draft in drafts:
            self.room -= len(rows.encode(draft.chunk))
            if not self.is_whole:
                return
            self.fold.apply(draft.chunk)


def fold_ahead(run_id: UUID) -> UnfinishedAnswer | None:
    """Return the fold of a run's committed events, for one ``conclude``; ``None`` if it has ended.

    To be called without the thread's lock, since this is what takes long.
    """
    run = Run.objects.filter(pk=run_id, finished_at=None).only("thread_id").first()
    if run is None:
        return None
    answer = UnfinishedAnswer()
    answer.read(run)
    return answer
