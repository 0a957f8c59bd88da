"""Programs that wait for their thread's next turn, so that it need not start one."""

from __future__ import annotations

import asyncio

from sandboxes.daemon.conversation import Conversation

IDLE_FOR = 300.0  # seconds
MOST = 4  # an agent's program takes a few hundred megabytes


class Warm:
    """At most one waiting conversation for each thread."""

    def __init__(self, *, idle_for: float = IDLE_FOR, most: int = MOST) -> None:
        self._idle_for, self._most = idle_for, most
        self._waiting: dict[str, tuple[Conversation, asyncio.TimerHandle]] = {}

    def __len__(self) -> int:
        self._forget_the_dead()
        return len(self._waiting)

    def take(self, thread_id: str) -> Conversation | None:
        """Return the thread's conversation, alive or not, and forget it."""
        conversation, timer = self._waiting.pop(thread_id, (None, None))
        if timer is not None:
            timer.cancel()
        return conversation

    def keep(self, conversation: Conversation) -> None:
        """Let the program wait; the one that has waited longest goes when there are too many."""
        self._forget_the_dead()
        if conversation.program is None or not conversation.program.is_alive:
            return
        while len(self._waiting) >= self._most:
            self._end(next(iter(self._waiting)))
        timer = asyncio.get_running_loop().call_later(
            self._idle_for, self._end, conversation.thread_id
        )
        self._waiting[conversation.thread_id] = (conversation, timer)

    async def close(self) -> None:
        """End them all."""
        endings = [c.end() for thread_id in list(self._waiting) if (c := self.take(thread_id))]
        await asyncio.gather(*endings)

    def _end(self, thread_id: str) -> None:
        conversation = self.take(thread_id)
        if conversation is not None and conversation.program is not None:
            conversation.program.end()

    def _forget_the_dead(self) -> None:
        for thread_id, (conversation, timer) in list(self._waiting.items()):
            if conversation.program is None or not conversation.program.is_alive:
                timer.cancel()
                del self._waiting[thread_id]
