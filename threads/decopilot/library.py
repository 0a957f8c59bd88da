"""Loading the model library, and what needs it, beside the event loop and at its first use."""

from __future__ import annotations

import asyncio
import gc
import importlib
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final, Literal

# Two threads that begin in different corners of a library whose modules import each other in
# rings would each find the other's half made.
_one: Final = threading.Lock()


async def module(name: Literal["engine", "mcp"] = "engine") -> Any:
    """Return ``threads.decopilot.<name>``; the first time takes seconds, in a thread of its own."""
    return await call(importlib.import_module, f"threads.decopilot.{name}")


async def call(work: Callable[..., Any], *args: Any, **given: Any) -> Any:
    """Return what ``work`` gives, which may have to load something, in a thread of its own.

    One after the other: nothing but the loading takes long.
    """

    def run() -> Any:
        with _one, _without_collections():
            return work(*args, **given)

    return await asyncio.to_thread(run)


@contextmanager
def _without_collections() -> Iterator[None]:
    """Have nobody look for garbage meanwhile.

    Loading makes hundreds of thousands of objects that stay. Python would look through all of
    the process's again and again because of them, and every thread stands still for that, the
    event loop's too: that was most of what one felt of the loading. Those that came are then
    left out of each later look, too.
    """
    gc.disable()
    before = len(sys.modules)
    try:
        yield
    finally:
        if len(sys.modules) > before:
            gc.freeze()
        gc.enable()
