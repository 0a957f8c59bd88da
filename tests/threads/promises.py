"""What holds for a thread at every moment, whatever was done to it."""

from __future__ import annotations

from collections import Counter

from threads.core.fold import fold
from threads.journal.rows import as_rows
from threads.models import Event, Thread
from threads.run import state as run_state


def assert_whole(thread):
    """No gap, nothing twice, one active run, and what is stored is what was told."""
    rows = Event.objects.filter(thread=thread).order_by("seq")
    last, pruned = Thread.objects.values_list("last_seq", "pruned_seq").get(pk=thread.pk)
    assert list(rows.values_list("seq", flat=True)) == list(range(pruned + 1, last + 1))
    produced = rows.filter(n__isnull=False)
    assert max(Counter(produced.values_list("run", "fence", "n")).values(), default=1) == 1
    assert thread.runs.filter(state__in=run_state.ACTIVE).count() <= 1
    over = thread.runs.filter(state__in=run_state.FINISHED).select_related("answer", "prompt")
    for run in over:
        if run.prompt.seq > pruned:
            told = [row.chunk for row in as_rows(rows.filter(run=run))]
            assert run.answer.parts == fold(told).parts()
            assert [chunk["type"] for chunk in told].count("finish") == 1
