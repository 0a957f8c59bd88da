"""Services that add, test, rename and delete keys, and choose default models."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Final
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from agents.core.providers import (
    KEY_LIMIT,
    Offer,
    Provider,
    clean_sentence,
    is_malformed,
    names,
    refill,
)
from agents.core.tiers import KEYS as TIERS
from agents.keys import selectors
from agents.keys.check import Result
from agents.keys.errors import (
    AddressMissing,
    KeyMalformed,
    KeyMissing,
    KeyOfAnotherProvider,
    KeyTooLong,
    ModelMalformed,
    OnlyAdmins,
    TooManyKeys,
    UnknownKey,
    UnknownProvider,
    UnknownTier,
)
from agents.keys.providers import load_providers
from agents.models import DefaultModel, ProviderKey
from mesh import keys
from mesh.egress import split_address
from mesh.models import Membership, Organization, Role

DEFAULT_LABEL: Final = "Personal key"
KEYS_LIMIT: Final = 50  # per organization
_MODEL = re.compile(r"[A-Za-z0-9][\w.:/@+-]{0,199}", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class NewKey:
    """A person's input for a new key; ``secret`` is left out of ``repr``."""

    provider: str
    label: str = ""
    base_url: str = ""
    secret: str = field(default="", repr=False)


def add_key(*, member: Membership, new: NewKey) -> ProviderKey:
    """Store a key, encrypted, and use it for the tiers without a default model.

    Raises:
        OnlyAdmins, TooManyKeys: nothing is kept.
        UnknownProvider, KeyMissing, KeyTooLong, KeyMalformed, KeyOfAnotherProvider,
        AddressMissing, BadAddress, AddressRefused: nothing is kept.
    """
    check_may(member)
    provider = load_providers().find(new.provider)
    if provider is None:
        raise UnknownProvider
    base_url = _checked_address(provider, new.base_url.strip())
    secret = _checked_secret(provider, new.secret.strip(" \t"), own_address=not base_url)
    organization = member.organization
    with transaction.atomic():
        _lock(organization)
        if ProviderKey.objects.filter(organization=organization).count() >= KEYS_LIMIT:
            raise TooManyKeys
        key = ProviderKey.objects.create(
            organization=organization,
            provider=provider.kind,
            label=_label(new.label),
            base_url=base_url,
            sealed_key=keys.seal(secret) if secret else "",
            added_by=member.user,
        )
        _refill(organization)
    return key


def rename_key(*, member: Membership, key_id: UUID, label: str) -> ProviderKey:
    """Give a key another label.

    Raises:
        OnlyAdmins, UnknownKey
    """
    check_may(member)
    key = selectors.get_key(organization=member.organization, key_id=key_id)
    key.label = _label(label)
    if not ProviderKey.objects.filter(pk=key.pk).update(label=key.label):
        raise UnknownKey
    return key


def delete_key(*, member: Membership, key_id: UUID) -> None:
    """Delete a key. Its default models are replaced by models of the other keys, if possible.

    Safe to repeat.

    Raises:
        OnlyAdmins
    """
    check_may(member)
    organization = member.organization
    with transaction.atomic():
        _lock(organization)
        ProviderKey.objects.filter(organization=organization, pk=key_id).delete()
        _refill(organization)


def keep_result(*, member: Membership, key_id: UUID, result: Result) -> ProviderKey:
    """Store the result of a key's test; the list of models may fill empty slots.

    Raises:
        OnlyAdmins
        UnknownKey: it was deleted in the meantime.
    """
    check_may(member)
    facts = {
        "outcome": result.outcome,
        "said": clean_sentence(result.said),
        "tested_at": timezone.now(),
    }
    if result.models:
        facts["listed"] = [name for name in result.models if _MODEL.fullmatch(name)]
    with transaction.atomic():
        _lock(member.organization)
        mine = ProviderKey.objects.filter(organization=member.organization, pk=key_id)
        if not mine.update(**facts):
            raise UnknownKey
        key = selectors.get_key(organization=member.organization, key_id=key_id)
        _drop_unlisted(key)
        _refill(member.organization)
    return key


def set_default_model(
    *, member: Membership, tier: str, key_id: UUID, model_id: str
) -> DefaultModel:
    """Make ``model_id`` of the key the model of ``tier`` for the whole organization.

    Raises:
        OnlyAdmins, UnknownTier, UnknownKey, ModelMalformed
    """
    check_may(member)
    if tier not in TIERS:
        raise UnknownTier
    if not _MODEL.fullmatch(model_id):
        raise ModelMalformed
    organization = member.organization
    with transaction.atomic():
        _lock(organization)
        key = selectors.get_key(organization=organization, key_id=key_id)
        slot, _ = DefaultModel.objects.update_or_create(
            organization=organization, tier=tier, defaults={"key": key, "model_id": model_id}
        )
    return slot


def check_may(member: Membership) -> None:
    """Check that the member may manage keys.

    Raises:
        OnlyAdmins
    """
    if not Role(member.role).manages:
        raise OnlyAdmins


def _lock(organization: Organization) -> None:
    # Two admins at the same time: the second one sees the first one's slots.
    Organization.objects.select_for_update().get(pk=organization.pk)


def _label(given: str) -> str:
    # One line, for menus.
    return " ".join(given.replace("\x00", "").split())[:80] or DEFAULT_LABEL


def _checked_address(provider: Provider, given: str) -> str:
    if not given:
        if provider.needs_address:
            raise AddressMissing
        return ""
    split_address(given, allowed=settings.MESH_PRIVATE_HOSTS)
    return given.rstrip("/")


def _checked_secret(provider: Provider, secret: str, *, own_address: bool) -> str:
    if not secret:
        if provider.needs_key:
            raise KeyMissing
        return ""
    if len(secret) > KEY_LIMIT:
        raise KeyTooLong
    if is_malformed(secret):
        raise KeyMalformed
    # A gateway has keys of its own form.
    owner = load_providers().owner_of(secret) if own_address else None
    if owner is not None and owner.kind != provider.kind:
        raise KeyOfAnotherProvider(f"This is a key of {owner.title}, not of {provider.title}.")
    return secret


def _drop_unlisted(key: ProviderKey) -> None:
    """Empty the slots with our proposed model if the key's provider does not list it."""
    provider = load_providers().find(key.provider)
    if provider is None or not key.listed:
        return
    for slot in key.slots.all():
        is_proposal = provider.tiers.get(slot.tier) == slot.model_id
        if is_proposal and not names(key.listed, slot.model_id):
            slot.delete()


def _refill(organization: Organization) -> None:
    """Fill the empty slots of the default models from the first keys that can."""
    offers = []
    for key in ProviderKey.objects.filter(organization=organization):
        if provider := load_providers().find(key.provider):
            offers.append(Offer(key.pk, provider.tiers, key.listed))
    filled = DefaultModel.objects.filter(organization=organization).values_list("tier", flat=True)
    for tier, (key_id, model_id) in refill(filled, offers).items():
        DefaultModel.objects.create(
            organization=organization, tier=tier, key_id=key_id, model_id=model_id
        )
