"""Loading the model library beside the event loop, at its first use."""

from __future__ import annotations

import asyncio
import importlib
from typing import Any


async def module() -> Any:
    """Return ``threads.decopilot.engine``; the first time takes seconds, in a thread of its own."""
    return await asyncio.to_thread(importlib.import_module, "threads.decopilot.engine")
