"""Lazy import of the model library, and of modules that need it, off the event loop."""

from __future__ import annotations

import asyncio
import gc
import importlib
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final, Literal

# The library's modules import each other in cycles: two OS threads that start importing at
# different ends would each find the other's modules half initialised.
_lock: Final = threading.Lock()


async def module(name: Literal["engine", "mcp"] = "engine") -> Any:
    """Return ``threads.decopilot.<name>``; the first import takes seconds, in a worker thread."""
    return await call(importlib.import_module, f"threads.decopilot.{name}")


async def call(work: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """Return the result of ``work``, which may import something, from a worker thread.

    Calls run one after the other: only the imports take long.
    """

    def run() -> Any:
        with _lock, _without_collections():
            return work(*args, **kwargs)

    return await asyncio.to_thread(run)


@contextmanager
def _without_collections() -> Iterator[None]:
    """Suspend garbage collection for the block.

    The import creates hundreds of thousands of permanent objects. They would trigger full
    collections again and again, each of which stops every OS thread, including the event loop's:
    that was most of the delay. Afterwards the new objects are frozen, so that later collections
    skip them.
    """
    gc.disable()
    before = len(sys.modules)
    try:
        yield
    finally:
        if len(sys.modules) > before:
            gc.freeze()
        gc.enable()
