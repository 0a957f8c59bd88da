"""AI providers and their keys: the rules that need no I/O."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal, get_args

from agents.core.tiers import KEYS as TIERS

Speaks = Literal["anthropic", "openai", "chat", "openrouter", "google"]

KEY_LIMIT: Final = 500  # characters; the longest key known has 220
SENTENCE_LIMIT: Final = 300
REFILLED_FROM: Final = 3  # keys, the oldest ones (chat-ui.md §12)

# Anything that looks like a key; providers quote parts of it in their refusals.
_KEYLIKE = re.compile(r"\b(?:sk-[\w*.…-]{4,}|AIza[\w*-]{4,}|AQ\.[\w*-]{4,})")
_BLANK = re.compile(r"[\s\x00-\x1f\x7f]+")


@dataclass(frozen=True, slots=True)
class Provider:
    """A provider: its texts for people, and how to call its API."""

    kind: str
    title: str
    words: str
    speaks: Speaks
    address: str = ""
    keys_page: str = ""
    prefixes: tuple[str, ...] = ()
    tiers: dict[str, str] = field(default_factory=dict)
    needs_address: bool = False
    needs_key: bool = True


@dataclass(frozen=True, slots=True)
class Providers:
    """Every provider, in the order of the grid."""

    all: tuple[Provider, ...]

    def __iter__(self) -> Iterator[Provider]:
        return iter(self.all)

    def find(self, kind: str) -> Provider | None:
        return next((each for each in self.all if each.kind == kind), None)

    def owner_of(self, key: str) -> Provider | None:
        """Return the provider of a key by its longest matching prefix (sk-ant- before sk-)."""
        fits = [
            (len(prefix), each)
            for each in self.all
            for prefix in each.prefixes
            if key.startswith(prefix)
        ]
        return max(fits, key=lambda fit: fit[0])[1] if fits else None


def read_providers(data: dict[str, Any]) -> Providers:
    """Return the providers that ``data`` (parsed TOML) describes.

    Raises:
        ValueError: it would not work; the sentence says where.
    """
    found = tuple(_read(entry) for entry in data.get("providers", []))
    kinds = [provider.kind for provider in found]
    if not kinds or len(kinds) != len(set(kinds)):
        raise ValueError(f"providers: each kind once, at least one; there is {kinds}")
    return Providers(found)


def _read(entry: dict[str, Any]) -> Provider:
    provider = Provider(**{**entry, "prefixes": tuple(entry.get("prefixes", ()))})
    if provider.speaks not in get_args(Speaks):
        raise ValueError(f"{provider.kind}: speaks must be one of {get_args(Speaks)}")
    if bool(provider.address) == provider.needs_address:
        raise ValueError(f"{provider.kind}: either an address, or needs_address")
    if not set(provider.tiers) <= set(TIERS):
        raise ValueError(f"{provider.kind}: tiers must be some of {TIERS}")
    return provider


def is_malformed(key: str) -> bool:
    """Return whether ``key`` is invalid in a header: blanks, line feeds, non-ASCII."""
    return not (key.isascii() and key.isprintable()) or " " in key


def clean_sentence(message: object, *, secret: str = "") -> str:
    """Return a provider's message for people: one short line, without any key."""
    text = _BLANK.sub(" ", message if isinstance(message, str) else "").strip()
    if secret:
        text = text.replace(secret, "…")
    text = _KEYLIKE.sub("…", text)
    return text if len(text) <= SENTENCE_LIMIT else text[: SENTENCE_LIMIT - 1].rstrip() + "…"


def sentence_of(body: Any) -> str:
    """Return the message of an error's body: all of these APIs nest it in ``error``."""
    error = body[0] if isinstance(body, list) and body else body
    error = error.get("error", error) if isinstance(error, dict) else error
    message = error.get("message") if isinstance(error, dict) else error
    return message if isinstance(message, str) else ""


@dataclass(frozen=True, slots=True)
class Offer:
    """A key's models for an empty slot: its provider's proposal and its own list."""

    key_id: Any
    proposed: dict[str, str]
    models: Sequence[str]

    def model_for(self, tier: str) -> str | None:
        """Return the proposal, unless the provider's list is known and lacks it; else the
        first of the list."""
        proposed = self.proposed.get(tier)
        if proposed and (not self.models or names(self.models, proposed)):
            return proposed
        return next(iter(self.models), None)


def names(listed: Iterable[str], model: str) -> bool:
    """Return whether a list has the model, possibly with a date (``claude-x-20260101``)."""
    return any(name == model or name.startswith(f"{model}-20") for name in listed)


def refill(filled: Iterable[str], offers: Sequence[Offer]) -> dict[str, tuple[Any, str]]:
    """Return tier → (key, model) for each empty slot that one of the first keys can fill."""
    taken = set(filled)
    found: dict[str, tuple[Any, str]] = {}
    for tier in TIERS:
        for offer in () if tier in taken else offers[:REFILLED_FROM]:
            if model := offer.model_for(tier):
                found[tier] = (offer.key_id, model)
                break
    return found
