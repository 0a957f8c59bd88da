"""Workers of a database pool that are stuck, such as on a slow disk."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from mesh.database_pool import Pool


@asynccontextmanager
async def stuck(*pools: Pool) -> AsyncIterator[None]:
    """Keep every worker of ``pools`` waiting, and more work behind them, until the block ends."""
    is_over = threading.Event()
    works = [
        asyncio.ensure_future(pool.run(is_over.wait))
        for pool in pools
        for _ in range(pool.size * 3)
    ]
    await asyncio.sleep(0)  # each has been handed over
    try:
        yield
    finally:
        is_over.set()
        await asyncio.gather(*works)
