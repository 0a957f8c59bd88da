"""How each kind of harness is spoken to: a pure mapping per kind."""

from __future__ import annotations

from collections.abc import Callable

from agents.harness.base import Adapter

ADAPTERS: dict[str, Callable[[], Adapter]] = {}
