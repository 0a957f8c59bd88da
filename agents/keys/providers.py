"""The providers that ship with Mesh, from ``providers.toml``."""

from __future__ import annotations

import tomllib
from functools import lru_cache
from pathlib import Path

from agents.core.providers import Providers, read_providers

PATH = Path(__file__).parent.with_name("providers.toml")


@lru_cache(maxsize=1)
def load_providers() -> Providers:
    """Return every provider that a key can be added for."""
    return read_providers(tomllib.loads(PATH.read_text()))
