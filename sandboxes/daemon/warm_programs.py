"""Idle programs, kept for their thread's next turn so that it need not start one."""

from __future__ import annotations

import asyncio

from sandboxes.daemon.conversation import Conversation

IDLE_FOR = 300.0  # seconds
MOST = 4  # an agent's program takes a few hundred megabytes


class WarmPrograms:
    """At most one idle conversation per thread."""

    def __init__(self, *, idle_for: float = IDLE_FOR, most: int = MOST) -> None:
        self._idle_for, self._most = idle_for, most
        self._idle: dict[str, tuple[Conversation, asyncio.TimerHandle]] = {}

    def __len__(self) -> int:
        self._drop_exited()
        return len(self._idle)

    def take(self, thread_id: str) -> Conversation | None:
        """Return the thread's conversation, alive or not, and forget it."""
        conversation, timer = self._idle.pop(thread_id, (None, None))
        if timer is not None:
            timer.cancel()
        return conversation

    def keep(self, conversation: Conversation) -> None:
        """Keep the program; ends the one that has been idle longest if there are too many."""
        self._drop_exited()
        if conversation.program is None or not conversation.program.is_alive:
            return
        idle = [name for name, (kept, _) in self._idle.items() if not kept.background.keeps()]
        for name in idle[: max(len(idle) - self._most + 1, 0)]:
            self._end(name)
        timer = asyncio.get_running_loop().call_later(
            self._idle_for, self._end_if_idle, conversation
        )
        self._idle[conversation.thread_id] = (conversation, timer)

    async def close(self) -> None:
        """End them all."""
        endings = [c.end() for thread_id in list(self._idle) if (c := self.take(thread_id))]
        await asyncio.gather(*endings)

    def all(self) -> list[Conversation]:
        """Return the conversations whose programs are alive."""
        self._drop_exited()
        return [conversation for conversation, _ in self._idle.values()]

    def _end_if_idle(self, conversation: Conversation) -> None:
        """End the program, unless it still works in the background: then look again later."""
        self.take(conversation.thread_id)
        if conversation.background.keeps():
            self.keep(conversation)
        elif conversation.program is not None:
            conversation.program.end()

    def _end(self, thread_id: str) -> None:
        conversation = self.take(thread_id)
        if conversation is not None and conversation.program is not None:
            conversation.program.end()

    def _drop_exited(self) -> None:
        for thread_id, (conversation, timer) in list(self._idle.items()):
            if conversation.program is None or not conversation.program.is_alive:
                timer.cancel()
                del self._idle[thread_id]
