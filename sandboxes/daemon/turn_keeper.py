"""Keeps the working folder at the begin and the end of each turn, beside the sandbox's loop."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from agents.harness.base import BadInput
from mesh.lib.errors import AppError
from sandboxes.daemon.repository.turn_checkpoints import TurnCheckpoints

logger = logging.getLogger(__name__)

WITHIN: Final = 20.0  # seconds that a turn waits for its checkpoint at most
SHOWN: Final = 1024 * 1024  # bytes of a turn's diff


class TurnKeeper:
    """One checkpoint at a time: they share an index. A turn goes on without one that fails."""

    def __init__(self, root: Path) -> None:
        self._kept = TurnCheckpoints(root)
        self._one_at_a_time = asyncio.Lock()

    async def begin(self, thread: str, run: str, fence: int) -> None:
        """Keep the folder before a turn."""
        await self._try(partial(self._kept.begin, thread, run, fence), run)

    async def end(self, run: str, fence: int) -> None:
        """Keep the folder after a turn."""
        await self._try(partial(self._kept.end, run, fence), run)

    async def turn(self, request: Request) -> Response:
        """``GET /git/turn?thread=…``: what the thread's last turn changed."""
        thread = request.query_params.get("thread", "")
        if not thread:
            raise BadInput("thread must name a thread.", detail="thread")
        async with self._one_at_a_time:
            return JSONResponse(await asyncio.to_thread(self._last, thread))

    def _last(self, thread: str) -> dict[str, Any]:
        turn = self._kept.last(thread)
        found = self._kept.diff(turn, limit=SHOWN)
        return {"runId": turn.run, "isOver": bool(turn.end), **found}

    async def _try(self, keep: Callable[[], None], run: str) -> None:
        async with self._one_at_a_time:
            self._kept.resume()
            late = asyncio.get_running_loop().call_later(WITHIN, self._kept.stop)
            try:
                await asyncio.to_thread(keep)
            except (AppError, OSError, ValueError) as exc:
                logger.warning("run %s: its files are not kept, continuing: %s", run, exc)
            finally:
                late.cancel()
