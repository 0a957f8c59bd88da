"""Construction of the engine that queries a model, and a report of what it used."""

from __future__ import annotations

from typing import Any

from django.conf import settings

from agents.harness.decopilot.usage import total_cost, usage_of
from agents.keys.selectors import Chosen
from threads.decopilot import library


async def open_engine(chosen: Chosen, *, temperature: float | None = None) -> Any:
    """Return an engine for the model, after loading its provider's client if necessary."""
    module = await library.module()
    return await library.call(
        module.Engine, chosen, allowed=settings.MESH_PRIVATE_HOSTS, temperature=temperature
    )


def spent_by(engine: Any) -> dict[str, Any]:
    """Return usage and cost in the form of a run's metadata; empty before the first answer."""
    spent = engine.spent if engine is not None else None
    if spent is None or not spent.usage.requests:
        return {}
    total = total_cost(spent.costs)
    cost = {} if total is None else {"costUsd": round(total, 6)}
    return {"usage": usage_of(spent.usage), **cost}
