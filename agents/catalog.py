"""The catalog of agents that ships with Mesh, from ``catalog.toml``."""

from __future__ import annotations

import tomllib
from functools import lru_cache
from pathlib import Path
from typing import Any

from agents.core.tiers import Catalog, read_catalog
from agents.harness import ADAPTERS

PATH = Path(__file__).with_name("catalog.toml")


@lru_cache(maxsize=1)
def load_catalog() -> Catalog:
    """Return every agent that the catalog describes."""
    return read_catalog(tomllib.loads(PATH.read_text()))


@lru_cache(maxsize=1)
def load_runnable() -> Catalog:
    """Return the agents that this version can run: those with an adapter."""
    return Catalog(tuple(kind for kind in load_catalog() if kind.kind in ADAPTERS))


def models_of(harness_id: str, tier: str) -> dict[str, Any]:
    """Return ``models`` of a HarnessStreamInput: a program on the person's machine is told
    the model of the tier, and pays with the person's own sign-in."""
    kind = load_catalog().find(harness_id)
    row = kind.tier(tier) if kind else None
    model_id = (row.model_id if row else None) or f"{harness_id}:{tier}"
    title = row.label if row else tier.title()
    return {
        "credentialId": f"laptop:{harness_id}",
        "thinking": {"id": model_id, "title": title, "provider": harness_id},
    }
