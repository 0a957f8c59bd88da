"""Bearer tokens: their owner, scope and machine, and when they were last used.

A token's scope is ``user`` (everything that its owner may do) or ``machine`` (the work of one
machine). A token that is not clearly a person's is treated as a machine's.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, Literal
from uuid import UUID

from allauth.idp.oidc.models import Token
from django.db.models import Q, QuerySet
from django.utils import timezone

from mesh.lib import oauth
from mesh.lib.errors import AppError
from mesh.models import IssuedToken, Pairing, PairingState, User
from mesh.pairing.tokens import pairing_of

LIFE: Final = timedelta(days=90)  # a machine's token is extended each time it is used
NOTED_EVERY: Final = timedelta(minutes=1)
_RENEWED_EVERY: Final = timedelta(days=1)

Scope = Literal["user", "machine"]


class WrongMachine(AppError):
    code = "wrong_machine"
    text = "This token belongs to another machine."
    hint = "Make a token for each machine: manage.py mesh_token --machine NAME, or pair it."
    status = 403


class PersonsOnly(AppError):
    code = "forbidden"
    text = "A machine's token may not do this."
    hint = "Do it in the browser, or with a person's token from manage.py mesh_token."
    status = 403


@dataclass(frozen=True, slots=True)
class SignIn:
    """A token's owner and scope; ``pairing_id`` if it is a paired machine's, which renews it."""

    user: User
    token_id: int
    pairing_id: UUID | None
    scope: Scope
    machine_id: str = ""

    @property
    def is_machine(self) -> bool:
        return self.scope != "user"

    def speaks_for(self, machine_id: str) -> bool:
        """Return whether the token works for that machine, or can still be bound to it."""
        return not self.is_machine or self.machine_id in ("", machine_id)


def find_sign_in(value: str) -> SignIn | None:
    """Return the sign-in of the unexpired access token ``value``, if its owner is active.

    Records the token's use, at most once a minute.
    """
    token = (
        Token.objects.valid()
        .by_value(value)
        .filter(type=Token.Type.ACCESS_TOKEN, user__is_active=True)
        .select_related("user", "issued")
        .first()
    )
    if token is None:
        return None
    pairing_id = pairing_of(token)
    row: Pairing | IssuedToken | None
    if pairing_id is None:
        row = getattr(token, "issued", None)
    else:
        row = Pairing.objects.filter(pk=pairing_id, state=PairingState.PAIRED).first()
    if row is None:
        return None
    scope = _scope_of(token, is_paired=pairing_id is not None)
    sign_in = SignIn(token.user, token.pk, pairing_id, scope, row.machine_id)
    if row.last_used_at is None or row.last_used_at <= timezone.now() - NOTED_EVERY:
        note_use([sign_in])
    return sign_in


def find_persons_sign_in(value: str) -> SignIn | None:
    """Return the sign-in of a person's own token ``value``.

    Raises:
        PersonsOnly: it is a machine's token.
    """
    found = find_sign_in(value)
    if found is not None and found.is_machine:
        raise PersonsOnly
    return found


def bearer(header: str) -> str:
    """Return the token of an ``Authorization: Bearer`` header, or an empty string."""
    scheme, _, value = header.partition(" ")
    return value.strip() if scheme.lower() == "bearer" else ""


def note_use(sign_ins: Collection[SignIn]) -> None:
    """Record that these tokens are in use, at most once a minute each; extend machines' tokens."""
    now = timezone.now()
    stale = Q(last_used_at=None) | Q(last_used_at__lte=now - NOTED_EVERY)
    if pairings := [one.pairing_id for one in sign_ins if one.pairing_id]:
        Pairing.objects.filter(stale, pk__among=pairings).update(last_used_at=now)
    if tokens := [one.token_id for one in sign_ins if not one.pairing_id]:
        IssuedToken.objects.filter(stale, token__pk__among=tokens).update(last_used_at=now)
    if machines := [one.token_id for one in sign_ins if one.is_machine and not one.pairing_id]:
        aged = Token.objects.filter(pk__among=machines, expires_at__lte=now + LIFE - _RENEWED_EVERY)
        aged.filter(expires_at__gt=now).update(expires_at=now + LIFE)


def bind(sign_in: SignIn, machine_id: str) -> None:
    """Bind a machine's token to ``machine_id``, so that it works for no other machine.

    Does nothing for a person's token, which may register any of that person's machines.

    Raises:
        WrongMachine: it is already bound to another machine.
    """
    if not sign_in.is_machine:
        return
    rows: QuerySet[Pairing] | QuerySet[IssuedToken]
    if sign_in.pairing_id:
        rows = Pairing.objects.filter(pk=sign_in.pairing_id)
    else:
        rows = IssuedToken.objects.filter(token=sign_in.token_id)
    # Two machines may register with one token at the same time: the update decides.
    if not rows.filter(machine_id__in=["", machine_id]).update(machine_id=machine_id):
        raise WrongMachine


def signed_in_at(sign_in: SignIn) -> datetime | None:
    """Return when the machine asked to be paired, or the token was made."""
    rows: QuerySet[Any]
    if sign_in.pairing_id:
        rows = Pairing.objects.filter(pk=sign_in.pairing_id)
    else:
        rows = Token.objects.filter(pk=sign_in.token_id)
    found: datetime | None = rows.values_list("created_at", flat=True).first()
    return found


def find_ended(sign_ins: Collection[SignIn]) -> set[SignIn]:
    """Return those that have been revoked since, or whose owner is no longer active.

    An expired access token of a paired machine does not count: the machine renews it, and works
    on in the meantime. Any other token ends when it expires.
    """
    alive: set[object] = set()
    if pairings := [one.pairing_id for one in sign_ins if one.pairing_id]:
        paired = Pairing.objects.filter(pk__among=pairings, state=PairingState.PAIRED)
        alive |= set(paired.filter(user__is_active=True).values_list("pk", flat=True))
    if token_ids := [one.token_id for one in sign_ins if not one.pairing_id]:
        tokens = Token.objects.valid().filter(pk__among=token_ids, user__is_active=True)
        alive |= set(tokens.values_list("pk", flat=True))
    return {one for one in sign_ins if (one.pairing_id or one.token_id) not in alive}


def _scope_of(token: Token, *, is_paired: bool) -> Scope:
    scopes = token.get_scopes()
    return "user" if scopes == [oauth.USER_SCOPE] and not is_paired else "machine"
