"""The catalog's classes: agents and their tiers, parsed from data and validated once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final, Literal, get_args

FAST: Final = "fast"
SMART: Final = "smart"
THINKING: Final = "thinking"
KEYS: Final = (FAST, SMART, THINKING)

SORTS: Final = ("text", "image")  # of files
TEXT_ONLY: Final = ("text",)

Needs = Literal["key", "capability", "machine"]
Steers = Literal["now", "next"]
Listed = Literal["always", "found"]


@dataclass(frozen=True, slots=True)
class Tier:
    """One row of an agent: ``model_id`` is empty if the server picks the model by key.
    ``takes``: the sorts of files that it accepts with a message, of ``SORTS``."""

    key: str
    label: str
    description: str
    icon: str
    model_id: str | None = None
    takes: tuple[str, ...] = ()
    # Whether the program says that it does not have this model.
    is_missing: bool = False


@dataclass(frozen=True, slots=True)
class Model:
    """A model that an agent's program offers, for people. ``capabilities`` are some of ``text``,
    ``reasoning`` and ``vision``; ``context`` is in tokens, 0 if unknown."""

    id: str
    title: str
    description: str = ""
    capabilities: tuple[str, ...] = ("text",)
    context: int = 0


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of agent, for people."""

    kind: str
    title: str
    needs: Needs
    tiers: tuple[Tier, ...]
    models: tuple[Model, ...] = ()
    install: str = ""
    sign_in: str = ""
    # Minutes without an event after which a run is stuck: the longest silent tool call.
    stuck_minutes: int = 60
    # Whether it accepts a message in the middle of a turn ("now"), or with the next one.
    steer: Steers = "next"
    # Whether it receives a person's reason for a denial.
    hears_reasons: bool = True
    # The sorts of files it accepts, if its model is unknown: a known one has vision or not.
    takes: tuple[str, ...] = TEXT_ONLY
    icon: str = ""  # a symbol of the pages; empty: a laptop or a cloud
    mcp_note: str = ""  # a note for people who add MCP servers
    # What a person should know before they send at an approval level, by the level.
    level_notes: Mapping[str, str] = field(default_factory=dict)
    # Whether the popover has it "always", or only where its program was "found".
    listed: Listed = "always"

    @property
    def symbol(self) -> str:
        """The name of its icon."""
        return self.icon or ("laptop" if self.is_local else "cloud")

    @property
    def is_local(self) -> bool:
        """Whether it works on the person's own machine."""
        return self.needs != "key"

    def model_of(self, tier: Tier) -> Model | None:
        """Return the catalog's model of ``tier``; ``None`` if it is not listed."""
        return next((model for model in self.models if model.id == tier.model_id), None)

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
    kinds = tuple(_read_kind(entry) for entry in data.get("agents", []) if not _is_hidden(entry))
    names = [kind.kind for kind in kinds]
    if not kinds or len(names) != len(set(names)):
        raise ValueError(f"agents: each kind once, at least one; there is {names}")
    return Catalog(kinds)


def override(data: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """Return the catalog's ``data`` with an operator's ``changes`` merged into it.

    An entry of an existing kind changes only the keys it has; so does a tier of an existing key.
    Models replace the list. ``hidden`` removes an agent; a new kind is added.

    Raises:
        ValueError: the changes are not a catalog; the sentence says where.
    """
    entries = {entry["kind"]: entry for entry in data["agents"]}
    unknown = sorted(changes.keys() - {"agents"})
    changed = changes.get("agents", [])
    if unknown or not isinstance(changed, list) or not all(map(_is_named, changed)):
        raise ValueError(f"there may be [[agents]] with a kind each, and nothing else: {unknown}")
    for entry in changed:
        original = entries.get(entry["kind"], {})
        merged = {**original, **entry}
        if "tiers" in entry:
            merged["tiers"] = _override_tiers(original.get("tiers", []), entry)
        entries[entry["kind"]] = merged
    return {"agents": list(entries.values())}


def _override_tiers(original: list[dict[str, Any]], entry: dict[str, Any]) -> list[dict[str, Any]]:
    tiers = {tier["key"]: tier for tier in original}
    for tier in entry["tiers"]:
        if not isinstance(tier, dict) or tier.get("key") not in KEYS:
            raise ValueError(f"{entry['kind']}: each tier has one of the keys {KEYS}")
        tiers[tier["key"]] = {**tiers.get(tier["key"], {}), **tier}
    return [tiers[key] for key in KEYS if key in tiers]


def _is_named(entry: object) -> bool:
    return isinstance(entry, dict) and isinstance(entry.get("kind"), str)


def _is_hidden(entry: dict[str, Any]) -> bool:
    return bool(entry.get("hidden"))


def _read_kind(entry: dict[str, Any]) -> Kind:
    name = entry.get("kind")
    try:
        tiers = tuple(Tier(**tier) for tier in entry.get("tiers", []))
        models = tuple(_read_model(model) for model in entry.get("models", []))
        values = {key: value for key, value in entry.items() if key != "hidden"}
        takes = tuple(entry.get("takes", TEXT_ONLY))
        kind = Kind(**{**values, "tiers": tiers, "models": models, "takes": takes})
    except TypeError as exc:  # an unknown key, or a missing one
        raise ValueError(f"{name}: {str(exc).partition('.__init__() ')[2] or exc}") from exc
    if kind.needs not in get_args(Needs):
        raise ValueError(f"{kind.kind}: needs must be one of {get_args(Needs)}")
    if kind.steer not in get_args(Steers):
        raise ValueError(f"{kind.kind}: steer must be one of {get_args(Steers)}")
    if kind.listed not in get_args(Listed):
        raise ValueError(f"{kind.kind}: listed must be one of {get_args(Listed)}")
    if not set(takes) <= set(SORTS):
        raise ValueError(f"{kind.kind}: takes must be some of {SORTS}; there is {takes}")
    keys = [tier.key for tier in tiers]
    if not keys or len(keys) != len(set(keys)) or not set(keys) <= set(KEYS):
        raise ValueError(f"{kind.kind}: tiers must be some of {KEYS}, each once; there is {keys}")
    return replace(kind, tiers=tuple(replace(tier, takes=_takes(kind, tier)) for tier in tiers))


def _takes(kind: Kind, tier: Tier) -> tuple[str, ...]:
    model = kind.model_of(tier)
    if model is None:
        return kind.takes
    sees = "vision" in model.capabilities
    return tuple(sort for sort in SORTS if (sees if sort == "image" else sort in kind.takes))


def _read_model(entry: dict[str, Any]) -> Model:
    return Model(**{**entry, "capabilities": tuple(entry.get("capabilities", ("text",)))})
