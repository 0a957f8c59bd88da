"""Refresh tokens that rotate, and that no crash can lose.

allauth revokes a refresh token as soon as it is used. A laptop whose power fails between the
server's response and its own ``fsync`` would be locked out, whatever grace period there is: it may
come back after a week. So here a token is revoked when its *successor* is first used, because only
that proves that the successor has arrived. A stolen token is worth no more than under plain
rotation: as soon as either holder uses the next one, the other's stops working.
"""

from __future__ import annotations

from typing import Any, Final
from uuid import UUID

from allauth.idp.oidc.adapter import get_adapter
from allauth.idp.oidc.models import Token
from django.db.models import QuerySet
from django.utils import timezone
from oauthlib.oauth2.rfc6749.errors import InvalidGrantError

from mesh.models import Pairing

UNCONFIRMED: Final = 5  # successors kept of a token that is used repeatedly


def label(issued: dict[str, Any], *, pairing_id: UUID, generation: int) -> None:
    """Label the tokens just issued with their pairing and generation."""
    values = [issued[name] for name in ("access_token", "refresh_token") if name in issued]
    hashes = [get_adapter().hash_token(value) for value in values]
    data = {"pairing": str(pairing_id), "generation": generation}
    Token.objects.filter(hash__in=hashes).update(data=data)


def take(value: str) -> Token | None:
    """Return the refresh token that is about to be used; lock its machine until the commit.

    ``None`` if it is unknown, which allauth then refuses. Call it in a transaction.

    Raises:
        InvalidGrantError: the machine was signed out.
    """
    found = Token.objects.lookup(Token.Type.REFRESH_TOKEN, value)
    if found is None:
        return None
    pairing_id = pairing_of(found)
    # Lock the machine, not the token, which is deleted and made again below.
    if pairing_id is None or not Pairing.objects.select_for_update().filter(pk=pairing_id).exists():
        raise InvalidGrantError
    return Token.objects.filter(pk=found.pk).first()


def succeed(used: Token, issued: dict[str, Any]) -> None:
    """Keep ``used``, which allauth has just deleted, until one of its successors is used."""
    pairing_id, generation = pairing_of(used), _generation(used)
    assert pairing_id is not None
    used.save(force_insert=True)
    label(issued, pairing_id=pairing_id, generation=generation + 1)
    family = _family(used)
    refreshing = list(family.filter(type=Token.Type.REFRESH_TOKEN).order_by("-pk"))
    older = [one for one in refreshing if _generation(one) <= generation and one.pk != used.pk]
    newer = [one for one in refreshing if _generation(one) > generation]
    gone = [one.pk for one in [*older, *newer[UNCONFIRMED:]]]
    Token.objects.filter(pk__in=gone).delete()
    family.filter(type=Token.Type.ACCESS_TOKEN, expires_at__lte=timezone.now()).delete()


def pairing_of(token: Token) -> UUID | None:
    """Return the id of the pairing that the token belongs to, if it belongs to one."""
    data = token.data if isinstance(token.data, dict) else {}
    return UUID(data["pairing"]) if "pairing" in data else None


def _family(token: Token) -> QuerySet[Token]:
    found: QuerySet[Token] = Token.objects.filter(
        user_id=token.user_id, data__pairing=str(pairing_of(token))
    )
    return found


def _generation(token: Token) -> int:
    return int(token.data["generation"])
