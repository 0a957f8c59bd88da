"""The catalog's shape: agents and their tiers, read from data and checked once."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final, Literal, get_args

FAST: Final = "fast"
SMART: Final = "smart"
THINKING: Final = "thinking"
KEYS: Final = (FAST, SMART, THINKING)

Needs = Literal["key", "capability", "machine"]


@dataclass(frozen=True, slots=True)
class Tier:
    """One row of an agent: ``model_id`` is empty where the server picks the model by key."""

    key: str
    label: str
    description: str
    icon: str
    model_id: str | None = None


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of agent, as people see it."""

    kind: str
    title: str
    needs: Needs
    tiers: tuple[Tier, ...]
    install: str = ""
    sign_in: str = ""
    # Minutes without any event after which a run is stuck: the longest silent tool call.
    stuck_minutes: int = 60

    @property
    def is_local(self) -> bool:
        """Whether it works on the person's own machine."""
        return self.needs != "key"

    def tier(self, key: str) -> Tier:
        """Return the tier of that key, else ``smart``, else the first."""
        by_key = {tier.key: tier for tier in self.tiers}
        return by_key.get(key) or by_key.get(SMART) or self.tiers[0]


@dataclass(frozen=True, slots=True)
class Catalog:
    """Every kind of agent, in the order of the popover."""

    kinds: tuple[Kind, ...]

    def __iter__(self) -> Iterator[Kind]:
        return iter(self.kinds)

    def find(self, kind: str) -> Kind | None:
        return next((each for each in self.kinds if each.kind == kind), None)


def read_catalog(data: dict[str, Any]) -> Catalog:
    """Return the catalog that ``data`` (parsed TOML) describes.

    Raises:
        ValueError: it would not work; the sentence says where.
    """
    kinds = tuple(_read_kind(entry) for entry in data.get("agents", []))
    names = [kind.kind for kind in kinds]
    if not kinds or len(names) != len(set(names)):
        raise ValueError(f"agents: each kind once, at least one; there is {names}")
    return Catalog(kinds)


def _read_kind(entry: dict[str, Any]) -> Kind:
    tiers = tuple(Tier(**tier) for tier in entry.get("tiers", []))
    kind = Kind(**{**entry, "tiers": tiers})
    if kind.needs not in get_args(Needs):
        raise ValueError(f"{kind.kind}: needs must be one of {get_args(Needs)}")
    keys = [tier.key for tier in tiers]
    if not keys or len(keys) != len(set(keys)) or not set(keys) <= set(KEYS):
        raise ValueError(f"{kind.kind}: tiers must be some of {KEYS}, each once; there is {keys}")
    return kind
