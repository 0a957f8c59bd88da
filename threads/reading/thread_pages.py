"""The viewer's threads in pages, the newest first, for lists and searches."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

from django.db import connection
from django.db.models import Q

from mesh.models import Organization, User
from threads.models import UNTITLED, Run, Thread
from threads.reading.page_cursors import ThreadCursor
from threads.run import state as run_state
from threads.selectors import summarised, visible

THREADS: Final = 50  # of a page, unless the reader asks for another limit
MOST_THREADS: Final = 200
MOST_BUSY: Final = 100  # threads at work that a page shows before the others
MOST_WORDS: Final = 10  # of a search


@dataclass(frozen=True, slots=True)
class ThreadPage:
    """Threads, the newest first, each ready for ``thread_summary``, and the adjacent pages.

    ``older`` is None at the list's end. ``newer`` is None for an empty list only: it leads to
    threads that are added or change later.
    """

    threads: list[Thread]
    older: str | None
    newer: str | None


def list_threads(
    *,
    viewer: User,
    organization: Organization,
    behind: ThreadCursor | None = None,
    down_to: ThreadCursor | None = None,
    search: str = "",
    limit: int = THREADS,
) -> ThreadPage:
    """Return a page of the viewer's threads whose titles have all words of ``search``; one query.

    A thread that changes moves to the top of the list. A reader that continues with older pages
    gets each thread at most once, and finds those that moved past it through the first page's
    ``newer``. ``down_to`` reads a first page again, extended by the threads that have moved into
    it since, unless these are more than ``MOST_THREADS``.
    """
    threads = summarised(visible(viewer)).filter(organization=organization)
    for word in search.split()[:MOST_WORDS]:
        threads = threads.filter(_has_in_title(word))
    if behind is not None and behind.is_newer:
        later = Q(updated_at__gt=behind.at) | Q(updated_at=behind.at, pk__gt=behind.thread_id)
        # An index can use the last condition only.
        found = threads.filter(later, updated_at__gte=behind.at).order_by("updated_at", "pk")
        rows = list(found[:limit])[::-1]
        return ThreadPage(rows, _cursor(rows[-1:]), _cursor(rows[:1], is_newer=True) or str(behind))
    if behind is not None:
        earlier = Q(updated_at__lt=behind.at) | Q(updated_at=behind.at, pk__lt=behind.thread_id)
        threads = threads.filter(earlier, updated_at__lte=behind.at)
    newest_first = threads.order_by("-updated_at", "-pk")
    if down_to is not None:
        later = Q(updated_at__gt=down_to.at) | Q(updated_at=down_to.at, pk__gte=down_to.thread_id)
        rows = list(newest_first.filter(later, updated_at__gte=down_to.at)[: MOST_THREADS + 1])
        if len(rows) <= MOST_THREADS:
            return ThreadPage(rows, str(down_to), _cursor(rows[:1], is_newer=True))
    rows = list(newest_first[: limit + 1])
    older = _cursor(rows[limit - 1 : limit]) if len(rows) > limit else None
    return ThreadPage(rows[:limit], older, _cursor(rows[:1], is_newer=True))


def _cursor(row: list[Thread], *, is_newer: bool = False) -> str | None:
    return str(ThreadCursor(row[0].updated_at, row[0].pk, is_newer)) if row else None


def _has_in_title(word: str) -> Q:
    # SQLite's LIKE ignores case for ASCII only; its REGEXP is Python's.
    on_sqlite = connection.vendor == "sqlite"
    found = Q(title__iregex=re.escape(word)) if on_sqlite else Q(title__icontains=word)
    return found | Q(title="") if word.lower() in UNTITLED.lower() else found


def list_busy(
    *,
    viewer: User,
    organization: Organization,
    known: Iterable[Thread] = (),
    are_all: bool = False,
) -> list[Thread]:
    """Return the viewer's threads with a queued or active run, the newest first.

    ``known`` are threads that a page of this request already has, the newest first. If they
    ``are_all`` of the viewer's threads, no query. Otherwise one, and one more if a busy thread is
    not among them: a summary is the dearest query of a page.
    """
    if are_all:
        return [thread for thread in known if _is_busy(thread)]
    open_runs = Run.objects.filter(
        state__in=run_state.UNFINISHED,
        thread__owner=viewer,
        thread__organization=organization,
        thread__organization__memberships__user=viewer,
        thread__deleted_at=None,
    )
    newest_first = open_runs.order_by("-thread__updated_at", "-thread_id")
    ids = list(newest_first.values_list("thread_id", flat=True).distinct()[:MOST_BUSY])
    found = {thread.pk: thread for thread in known}
    if missing := [pk for pk in ids if pk not in found]:
        found |= {
            thread.pk: thread for thread in summarised(visible(viewer)).filter(pk__in=missing)
        }
    return [found[pk] for pk in ids if pk in found]


def _is_busy(thread: Thread) -> bool:
    row: Any = thread  # has the annotations of ``summarised``
    return row.active_state is not None or row.has_queued
