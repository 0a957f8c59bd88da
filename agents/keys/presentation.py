"""Providers, keys and default models as JSON, for the page and the API alike."""

from __future__ import annotations

from typing import Any

from agents.core.providers import Provider
from agents.keys.providers import load_providers
from agents.models import DefaultModel, ProviderKey


def provider_shown(provider: Provider) -> dict[str, Any]:
    return {
        "kind": provider.kind,
        "title": provider.title,
        "words": provider.words,
        "address": provider.address,
        "keysPage": provider.keys_page,
        "needsAddress": provider.needs_address,
        "needsKey": provider.needs_key,
    }


def key_shown(key: ProviderKey) -> dict[str, Any]:
    """Return the public facts of a key, without any character of the key itself."""
    provider = load_providers().find(key.provider)
    return {
        "id": str(key.pk),
        "provider": key.provider,
        "providerTitle": provider.title if provider else key.provider,
        "label": key.label,
        "baseUrl": key.base_url,
        "addedBy": key.added_by.get_username() if key.added_by else None,
        "createdAt": key.created_at,
        "outcome": key.outcome,
        "said": key.said,
        "testedAt": key.tested_at,
        "models": models_of(key),
    }


def models_of(key: ProviderKey) -> list[str]:
    """Return the models that can be chosen: the provider's list, else those of its tiers."""
    if key.listed:
        return list(key.listed)
    provider = load_providers().find(key.provider)
    return list(dict.fromkeys(provider.tiers.values())) if provider else []


def default_shown(tier: str, slot: DefaultModel | None) -> dict[str, Any]:
    return {
        "tier": tier,
        "keyId": str(slot.key_id) if slot else None,
        "modelId": slot.model_id if slot else "",
    }
