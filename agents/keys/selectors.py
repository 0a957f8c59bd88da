"""Selectors of keys; callers get the organization from ``mesh.selectors.get_membership``."""

from __future__ import annotations

from dataclasses import dataclass, field
from uuid import UUID

from cryptography.fernet import InvalidToken

from agents.core.providers import Provider
from agents.keys.errors import KeyUnreadable, NoModel, UnknownKey
from agents.keys.providers import load_providers
from agents.models import DefaultModel, ProviderKey
from mesh import keys
from mesh.models import Organization


@dataclass(frozen=True, slots=True)
class Account:
    """How to call a provider. ``secret`` is left out of ``repr``: it is for one header only."""

    provider: Provider
    base_url: str
    secret: str = field(repr=False)

    @property
    def address(self) -> str:
        """The address of its API, without a trailing slash."""
        return (self.base_url or self.provider.address).rstrip("/")


@dataclass(frozen=True, slots=True)
class Chosen:
    """The model that answers at a tier, and the account that pays for it."""

    model_id: str
    account: Account


def list_models(organization: Organization) -> tuple[bool, dict[str, str]]:
    """Return whether the organization has a key of any provider that this version knows or that
    has a tier, and tier → model id; one query."""
    known = {provider.kind for provider in load_providers()}
    rows = ProviderKey.objects.filter(organization=organization).order_by()
    found = rows.values_list("provider", "slots__tier", "slots__model_id")
    models = {tier: model for _, tier, model in found if tier}
    return bool(models) or any(provider in known for provider, _, _ in found), models


def list_keys(organization: Organization) -> list[ProviderKey]:
    """Return the organization's keys, the oldest first."""
    found = ProviderKey.objects.filter(organization=organization).select_related("added_by")
    return list(found)


def get_key(*, organization: Organization, key_id: UUID) -> ProviderKey:
    """Return one key.

    Raises:
        UnknownKey: the organization has no key with this id.
    """
    found = (
        ProviderKey.objects.filter(organization=organization, pk=key_id)
        .select_related("added_by")
        .first()
    )
    if found is None:
        raise UnknownKey
    return found


def list_defaults(organization: Organization) -> dict[str, DefaultModel]:
    """Return tier → slot, for the filled slots."""
    slots = DefaultModel.objects.filter(organization=organization).select_related("key")
    return {slot.tier: slot for slot in slots}


def account_of(key: ProviderKey) -> Account:
    """Return the account of ``key``.

    Raises:
        KeyUnreadable: none of the settings' encryption keys decrypts it.
        UnknownKey: this version doesn't know its provider.
    """
    provider = load_providers().find(key.provider)
    if provider is None:
        raise UnknownKey
    try:
        secret = keys.unseal(key.sealed_key) if key.sealed_key else ""
    except InvalidToken as exc:
        raise KeyUnreadable from exc
    return Account(provider, key.base_url, secret)


def choose_model(*, organization_id: UUID, tier: str) -> Chosen:
    """Return the model for ``tier``, with its account.

    Raises:
        NoModel: the slot is empty.
        KeyUnreadable, UnknownKey: as ``account_of``.
    """
    slot = (
        DefaultModel.objects.filter(organization=organization_id, tier=tier)
        .select_related("key")
        .first()
    )
    if slot is None:
        raise NoModel
    return Chosen(slot.model_id, account_of(slot.key))
