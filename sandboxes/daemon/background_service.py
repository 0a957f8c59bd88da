"""What programs do beside the turns that they are given: told, watched and stopped."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable

from agents.harness.base import Json
from mesh.lib.errors import AppError
from sandboxes.daemon.conversation import Conversation
from sandboxes.daemon.feeds import Feed
from sandboxes.daemon.journal import Journal, RunRow

logger = logging.getLogger(__name__)

TASK_GRACE = 5.0  # seconds for a program to end what it runs in the background


class UnknownTask(AppError):
    code = "unknown_task"
    text = "Nothing of that name runs in the background."
    hint = "It may have ended; look at the chat again."
    status = 404


class BackgroundService:
    """Of the ``conversations`` whose programs may be alive. Its feeds send each reader the whole
    state when it comes, and again after each change."""

    def __init__(
        self, journal: Journal, conversations: Callable[[], Iterable[Conversation]]
    ) -> None:
        self._journal = journal
        self._conversations = conversations
        self._told: dict[Feed, Json] = {}  # what each reader was told last

    def state(self) -> Json:
        """Return by thread what runs in the background (``tasks``), and the turns that programs
        began by themselves and the server has not stored (``runs``)."""
        threads: dict[str, Json] = {}
        for each in self._conversations():
            if tasks := each.background.as_json():
                threads[each.thread_id] = {"tasks": tasks, "runs": []}
        for row in self._journal.list_unclaimed():
            empty: Json = {"tasks": [], "runs": []}
            threads.setdefault(row.thread_id, empty)["runs"].append(_unclaimed(row))
        return {"threads": threads}

    # Feeds

    def watch(self) -> Feed:
        """Return a new reader's feed."""
        feed = Feed()
        self._send(feed, self.state())
        return feed

    def unwatch(self, feed: Feed) -> None:
        """Forget a reader that has left."""
        self._told.pop(feed, None)

    def tell(self) -> None:
        """Tell the readers what has changed, if anything has."""
        if self._told:
            now = self.state()
            for feed, told in list(self._told.items()):
                if told != now:
                    self._send(feed, now)

    def close(self) -> None:
        """End all feeds."""
        for feed in self._told:
            feed.close()

    def _send(self, feed: Feed, now: Json) -> None:
        self._told[feed] = now
        feed.put("background", now)

    # Stopping

    def stop_task(self, thread_id: str, task_id: str) -> None:
        """Have a program end what it runs in the background.

        A program that does not obey is ended itself, after its turn.

        Raises:
            UnknownTask: nothing of that name runs there.
        """
        for conversation in self._conversations():
            if conversation.thread_id == thread_id and task_id in conversation.background:
                conversation.stop_task(task_id)
                self._insist_later(conversation, task_id)
                return
        raise UnknownTask

    def _insist_later(self, conversation: Conversation, task_id: str) -> None:
        asyncio.get_running_loop().call_later(TASK_GRACE, self._insist, conversation, task_id)

    def _insist(self, conversation: Conversation, task_id: str) -> None:
        if task_id not in conversation.background or conversation.program is None:
            return
        if conversation.turn is not None:
            self._insist_later(conversation, task_id)
            return
        logger.warning(
            "thread %s: the %s program does not end task %s, ending the program",
            conversation.thread_id,
            conversation.harness,
            task_id,
        )
        conversation.program.end()


def _unclaimed(row: RunRow) -> Json:
    """Return what the server must know to take a run that a program began by itself; ``doneN`` is
    the number of its last event, 0 until it has ended."""
    return {
        "runId": row.run_id,
        "fence": row.fence,
        "harnessId": row.harness,
        "reason": row.unasked,
        "doneN": row.done_n,
    }
