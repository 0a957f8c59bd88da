"""What a new sandbox process does about the one before it that did not end in order."""

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
DIED_TEXT = "The sandbox died while the agent was at work; what it had said is kept."
GRACE = 1.0  # seconds for a left-over program to end on SIGTERM

_TEXT_DELTA = b'{"type":"ui-message-chunk","chunk":{"type":"text-delta"'


def close_unfinished_runs(journal: Journal) -> int:
    """Give every unfinished run its last words at its next numbers; return how many."""
    unfinished = [run for run in journal.list_runs() if not run.is_done]
    for run in unfinished:
        close_run(journal, run)
    return len(unfinished)


def close_run(journal: Journal, run: RunRow) -> None:
    """Give a run its last words, unless only the note is missing that it has them."""
    outline = Outline(run.run_id)
    last: Body = {}
    after = 0
    while page := journal.read(run.key, after=after):
        after = page[-1][0]
        for _, raw in page:
            if not raw.startswith(_TEXT_DELTA):  # most of a journal, and nothing opens there
                last = json.loads(raw)
                outline.see(last.get("chunk", {}))
                if last.get("type") == "approval-applied":
                    outline.see_applied(last.get("approvalId", ""), last.get("decision", ""))
    if last != DONE:
        append_ending(journal, run.key, after=after, closing=outline.closing("error", DIED_TEXT))
        return
    journal.finish_run(run.key, done_n=after)  # died between the two commits


def append_ending(journal: Journal, key: int, *, after: int, closing: Iterable[Body]) -> int:
    """Store the end of a run whose sandbox died, from number ``after`` + 1; return the last n."""
    ending = [error_event(DIED, DIED_TEXT), *map(chunk_event, closing), DONE]
    rows = [Row(key, n, to_json(body)) for n, body in enumerate(ending, start=after + 1)]
    journal.append(rows, force=True)
    journal.finish_run(key, done_n=rows[-1].n)
    return rows[-1].n


def end_again(journal: Journal, run: RunRow, *, after: int) -> RunRow:
    """End a run a second time, for a reader that has more of it than this journal.

    After a power cut the last commits may be missing here, though the server has them: it
    would wait for a number that never comes, or take our ending for a repeat.
    """
    finish = {"type": "finish", "finishReason": "error"}
    last_n = append_ending(journal, run.key, after=after, closing=[finish])
    return replace(run, last_n=last_n, done_n=last_n)


async def end_leftovers(journal: Journal, marks: Marks) -> None:
    """End the programs that the sandbox before us started, and all that descends from them."""
    left = [_end(journal, process) for process in journal.list_processes()]
    await asyncio.gather(end_marked(marks), *left)


async def _end(journal: Journal, process: ProcessRow) -> None:
    # By start time: the pid may long be somebody else's. A group without its leader keeps the
    # number reserved, so one whose leader is gone is still the one we started.
    started = await processes.find_start(process.pid)
    if started == process.started or (not started and processes.group_lives(process.pid)):
        await processes.end_group(process.pid, grace=GRACE)
    journal.remove_process(process.pid)
