"""Bearer tokens: whose one is, what it may do, which machine it is bound to, when it was used.

A token's scope is ``user`` (whatever its person may do) or that of a machine (the work of one
machine). Whatever is not plainly a person's token is treated as a machine's.
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

LIFE: Final = timedelta(days=90)  # a machine's begins anew whenever it is used
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
    text = "A machine's own token is not enough for this."
    hint = "Do it in the browser, or with a token of mesh_token."
    status = 403


@dataclass(frozen=True, slots=True)
class SignIn:
    """Whose token it is; ``pairing_id`` for a paired machine's, whose tokens renew themselves."""

    user: User
    token_id: int
    pairing_id: UUID | None
    scope: Scope
    machine_id: str = ""

    @property
    def is_machine(self) -> bool:
        return self.scope != "user"

    def speaks_for(self, machine_id: str) -> bool:
        """Say whether the token may do the work of that machine, or may yet be bound to it."""
        return not self.is_machine or self.machine_id in ("", machine_id)


def find_sign_in(value: str) -> SignIn | None:
    """Return what the unexpired access token ``value`` stands for, if its person is active.

    Its use is noted, once a minute at most.
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
    """Note that these tokens are in use, each at most once a minute; a machine's lives on by it."""
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
    """Let a machine's token work for ``machine_id`` from now on, and for no other.

    Does nothing for a person's token, which may register any machine of theirs.

    Raises:
        WrongMachine: it is bound to another machine already.
    """
    if not sign_in.is_machine:
        return
    rows: QuerySet[Pairing] | QuerySet[IssuedToken]
    if sign_in.pairing_id:
        rows = Pairing.objects.filter(pk=sign_in.pairing_id)
    else:
        rows = IssuedToken.objects.filter(token=sign_in.token_id)
    # Two machines may come with one token at once: the update decides whose it is.
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
    """Return those that were revoked since, or whose person was shut out.

    A paired machine's access token that merely expired ends nothing: the machine renews it, and
    works on meanwhile. Any other token ends with its expiry.
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
