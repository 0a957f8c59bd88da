"""The catalog of agents: the built-in one (``mesh.agent_programs``) with the operator's changes."""

from __future__ import annotations

import tomllib
from functools import lru_cache
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

from agents.core.offers import Offer
from agents.core.options import DECOPILOT
from agents.core.tiers import Catalog, override, read_catalog
from agents.harness import built_in_adapters
from agents.harness.base import SILENT_MINUTES
from links.wire.messages import LEVELS
from mesh import agent_programs


@lru_cache(maxsize=1)
def load_catalog() -> Catalog:
    """Return every agent that the catalog describes, with the operator's changes.

    Raises:
        ImproperlyConfigured: the operator's file can't be read or would not work.
    """
    data = {"agents": agent_programs.entries()}
    if not settings.MESH_CATALOG:
        return read_catalog(data)
    try:
        changes = tomllib.loads(Path(settings.MESH_CATALOG).read_text(encoding="utf-8"))
        return read_catalog(override(data, changes))
    except (OSError, ValueError) as exc:
        raise ImproperlyConfigured(f"MESH_CATALOG ({settings.MESH_CATALOG}): {exc}") from exc


@lru_cache(maxsize=1)
def load_runnable() -> Catalog:
    """Return the agents that this version can run: those with an adapter, Decopilot, and any that
    speaks ACP, since a machine may offer it (``deco_link --acp``)."""
    built_in = {*built_in_adapters(), DECOPILOT}
    kinds = (kind for kind in load_catalog() if kind.kind in built_in or kind.kind[:4] == "acp:")
    return Catalog(tuple(kinds))


def silent_minutes_of(harness_id: str) -> float:
    """Return how many minutes an agent may be silent before its run is ended as stuck."""
    kind = load_catalog().find(harness_id)
    return kind.stuck_minutes if kind else SILENT_MINUTES


def takes_of(harness_id: str, tier: str) -> tuple[str, ...]:
    """Return the sorts of files that the agent accepts at this tier."""
    kind = load_catalog().find(harness_id)
    return kind.tier(tier).takes if kind else ()


def levels_of(harness_id: str, offer: Offer) -> tuple[str, ...] | None:
    """Return the approval levels that an agent can hold; ``None`` if that is not known: of one
    that the table doesn't have, only what its program said last (``offer``)."""
    program = next((each for each in agent_programs.load() if each.kind == harness_id), None)
    if program is None and harness_id.startswith("acp:"):
        return offer.levels
    if program is None or program.acp is None:
        return LEVELS
    lacks = {"plan": not program.acp.can_plan, "readonly": not program.acp.can_ask}
    return tuple(level for level in LEVELS if not lacks.get(level))


def may_plan(harness_id: str, offer: Offer) -> bool:
    """Return whether the agent has a way to plan, as far as that is known."""
    levels = levels_of(harness_id, offer)
    return levels is None or "plan" in levels


def models_of(harness_id: str, tier: str) -> dict[str, Any]:
    """Return ``models`` of a HarnessStreamInput: a program on the person's machine gets the model
    of the tier, and pays with the person's own sign-in."""
    kind = load_catalog().find(harness_id)
    row = kind.tier(tier) if kind else None
    model_id = (row.model_id if row else None) or f"{harness_id}:{tier}"
    title = row.label if row else tier.title()
    return {
        "credentialId": f"laptop:{harness_id}",
        "thinking": {"id": model_id, "title": title, "provider": harness_id},
    }
