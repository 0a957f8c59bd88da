"""Loading the model library, and what needs it, beside the event loop and at its first use."""

from __future__ import annotations

import asyncio
import importlib
from typing import Any, Literal


async def module(name: Literal["engine", "mcp"] = "engine") -> Any:
    """Return ``threads.decopilot.<name>``; the first time takes seconds, in a thread of its own."""
    return await asyncio.to_thread(importlib.import_module, f"threads.decopilot.{name}")
