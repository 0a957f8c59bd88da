"""What an MCP server must answer soon, and how the person learns that a run waits for it.

Programs wait long for a server, some for minutes, before they send the person's message to a
model. So the gateway gives up early on what every server has at hand.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final
from uuid import UUID

from django.http import HttpRequest

from mesh import database_pool
from threads.services import mcp_silence

# It must begin to answer these within ``ANSWER_LIMIT``.
AT_HAND: Final = frozenset(
    {
        *("initialize", "server/discover", "ping", "logging/setLevel"),
        *("tools/list", "prompts/list", "resources/list", "resources/templates/list"),
    }
)
MOST_COMMENTS: Final = 64 * 1024  # bytes before the first event
TELL_AFTER: Final = 1.0  # seconds; a wait that is shorter is not worth a word


def is_at_hand(request: HttpRequest) -> bool:
    """Say whether a server that works answers the request at once."""
    if request.method == "DELETE":
        return True
    try:
        message = json.loads(request.body)
    except (ValueError, RecursionError):
        return False
    method = message.get("method") if isinstance(message, dict) else None
    return isinstance(method, str) and (method in AT_HAND or method.startswith("notifications/"))


@asynccontextmanager
async def told_if_slow(server: str, thread_id: UUID) -> AsyncIterator[None]:
    """Tell the thread's readers what its run waits for, if the block takes long."""

    async def tell(servers: list[str]) -> None:
        await database_pool.writes.run(
            mcp_silence.tell_waiting, thread_id=thread_id, servers=servers
        )

    has_told = False

    async def tell_later() -> None:
        nonlocal has_told
        await asyncio.sleep(TELL_AFTER)
        has_told = True
        await tell([server])

    telling = asyncio.create_task(tell_later())
    try:
        yield
    finally:
        if has_told:
            await asyncio.wait({telling})
            await tell([])
        else:
            telling.cancel()


async def beginning(pieces: AsyncIterator[bytes], *, is_events: bool) -> bytes:
    """Return what comes first, up to something that is said: headers alone are no answer, nor are
    the comments with which a server keeps a stream of events open."""
    begun = b""
    async for piece in pieces:
        begun += piece
        lines = begun.splitlines() if is_events else [begun]
        if any(line and not line.startswith(b":") for line in lines) or len(begun) > MOST_COMMENTS:
            break
    return begun
