"""Making the engine that asks a model, and saying what it has used."""

from __future__ import annotations

from typing import Any

from django.conf import settings

from agents.harness.decopilot.usage import total_cost, usage_of
from agents.keys.selectors import Chosen
from threads.decopilot import library


async def open_engine(chosen: Chosen, *, temperature: float | None = None) -> Any:
    """Return an engine for the model; its provider's client may have to be loaded first."""
    module = await library.module()
    return await library.call(
        module.Engine, chosen, allowed=settings.MESH_PRIVATE_HOSTS, temperature=temperature
    )


def spent_by(engine: Any) -> dict[str, Any]:
    """Return usage and cost as a run's metadata has them; nothing before the first answer."""
    spent = engine.spent if engine is not None else None
    if spent is None or not spent.usage.requests:
        return {}
    total = total_cost(spent.costs)
    cost = {} if total is None else {"costUsd": round(total, 6)}
    return {"usage": usage_of(spent.usage), **cost}
