"""Waiting for a condition, the only kind of waiting that tests do."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

STEP = 0.01
# Seconds after which a condition counts as one that never comes true: a busy machine may stand
# still for many.
PATIENCE = 60.0


def until(condition: Callable[[], Any], *, within: float = PATIENCE, what: str = "") -> Any:
    """Return the first true value of ``condition``; fail after ``within`` seconds."""
    end = time.monotonic() + within
    while True:
        if value := condition():
            return value
        assert time.monotonic() < end, f"not within {within} s: {what or condition}"
        time.sleep(STEP)


async def auntil(condition: Callable[[], Any], *, within: float = PATIENCE, what: str = "") -> Any:
    """Return the first true value of ``condition`` (plain or awaitable); the loop goes on."""
    end = time.monotonic() + within
    while True:
        value = condition()
        if asyncio.iscoroutine(value):
            value = await value
        if value:
            return value
        assert time.monotonic() < end, f"not within {within} s: {what or condition}"
        await asyncio.sleep(STEP)
