"""Cleans up after a sandbox process that died without an orderly stop."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable
from dataclasses import replace

from mesh import processes
from sandboxes.daemon.descendants import Marks, end_marked
from sandboxes.daemon.frames import DONE, Body, Row, chunk_event, error_event, to_json
from sandboxes.daemon.journal import Journal, ProcessRow, RunRow
from sandboxes.daemon.outline import Outline

DIED = "sandbox_died"
DIED_TEXT = "The sandbox died while the agent was working; its output up to then is kept."
GRACE = 1.0  # seconds for a leftover program to exit on SIGTERM

_TEXT_DELTA = b'{"type":"ui-message-chunk","chunk":{"type":"text-delta"'


def close_unfinished_runs(journal: Journal) -> int:
    """Append final events to every unfinished run; return the number of these runs."""
    unfinished = [run for run in journal.list_runs() if not run.is_done]
    for run in unfinished:
        close_run(journal, run)
    return len(unfinished)


def close_run(journal: Journal, run: RunRow) -> None:
    """Append final events to a run, or only mark it as done if it has them."""
    outline = Outline(run.run_id)
    last: Body = {}
    after = 0
    while page := journal.read(run.key, after=after):
        after = page[-1][0]
        for _, raw in page:
            if not raw.startswith(_TEXT_DELTA):  # most of a journal, and they open nothing
                last = json.loads(raw)
                outline.see(last.get("chunk", {}))
                if last.get("type") == "approval-applied":
                    outline.see_applied(last.get("approvalId", ""), last.get("decision", ""))
    if last != DONE:
        append_ending(journal, run.key, after=after, closing=outline.closing("error", DIED_TEXT))
        return
    journal.finish_run(run.key, done_n=after)  # it died between the two commits


def append_ending(journal: Journal, key: int, *, after: int, closing: Iterable[Body]) -> int:
    """Store the final events of a run whose sandbox died, after number ``after``; return the last
    number."""
    ending = [error_event(DIED, DIED_TEXT), *map(chunk_event, closing), DONE]
    rows = [Row(key, n, to_json(body)) for n, body in enumerate(ending, start=after + 1)]
    journal.append(rows, force=True)
    journal.finish_run(key, done_n=rows[-1].n)
    return rows[-1].n


def end_again(journal: Journal, run: RunRow, *, after: int) -> RunRow:
    """End a run a second time, for a reader that has more of it than this journal.

    After a power cut the last commits may be missing here, though the server has them: it would
    wait for a number that never comes, or take our final events for a repeat.
    """
    finish = {"type": "finish", "finishReason": "error"}
    last_n = append_ending(journal, run.key, after=after, closing=[finish])
    return replace(run, last_n=last_n, done_n=last_n)


async def end_leftovers(journal: Journal, marks: Marks) -> None:
    """End the programs of an earlier sandbox process, and all their descendants."""
    left = [_end(journal, process) for process in journal.list_processes()]
    await asyncio.gather(end_marked(marks), *left)


async def _end(journal: Journal, process: ProcessRow) -> None:
    # By start time: the pid may belong to another process by now. A group without its leader
    # keeps the number reserved, so a group whose leader is gone is still ours.
    started = await processes.find_start(process.pid)
    if started == process.started or (not started and processes.group_lives(process.pid)):
        await processes.end_group(process.pid, grace=GRACE)
    journal.remove_process(process.pid)
