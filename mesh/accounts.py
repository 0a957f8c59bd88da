"""Sign-in for people (allauth) and for programs (bearer tokens of ``allauth.idp.oidc``)."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from allauth.account.adapter import DefaultAccountAdapter
from allauth.idp.oidc.models import Token
from django.conf import settings
from django.db.models import QuerySet
from django.http import HttpRequest
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from rest_framework.authentication import BaseAuthentication, get_authorization_header
from rest_framework.exceptions import AuthenticationFailed, PermissionDenied
from rest_framework.request import Request

from mesh.lib import oauth
from mesh.models import Membership, Pairing, PairingState, Role, User
from mesh.pairing.metadata import issuer
from mesh.pairing.tokens import pairing_of
from mesh.proxied import address_of

# All that a paired machine's token opens: it is not the person, only one of their machines.
OPEN_TO_MACHINES: Final = "/api/links"
_AT_ONCE = 500  # SQLite takes so many values in one list


def owners() -> QuerySet[Membership]:
    """Return the memberships of active owners."""
    return Membership.objects.filter(role=Role.OWNER, user__is_active=True)


class AccountAdapter(DefaultAccountAdapter):  # type: ignore[misc]  # allauth has no types
    """Who may open an account: nobody, unless the operator lets everybody."""

    def is_open_for_signup(self, request: HttpRequest) -> bool:
        """Return whether sign-up is open; never before there is an owner.

        Nor on an embedded Mesh, which has one person.
        """
        is_let = settings.MESH_OPEN_SIGNUP and not settings.MESH_EMBEDDED
        return bool(is_let and owners().exists())

    def get_client_ip(self, request: HttpRequest) -> str:
        """Return what allauth's limits count the caller as."""
        return address_of(request) or "unknown"


@dataclass(frozen=True, slots=True)
class SignIn:
    """Whose token it is; ``pairing_id`` for a machine's, which outlives its single tokens."""

    user: User
    token_id: int
    pairing_id: UUID | None
    scopes: tuple[str, ...]

    @property
    def is_machine(self) -> bool:
        return oauth.SCOPE in self.scopes


def find_sign_in(value: str) -> SignIn | None:
    """Return what the unexpired access token ``value`` stands for, if its person is active."""
    token = (
        Token.objects.valid()
        .by_value(value)
        .filter(type=Token.Type.ACCESS_TOKEN, user__is_active=True)
        .select_related("user")
        .first()
    )
    if token is None:
        return None
    pairing_id = pairing_of(token)
    if pairing_id is not None and not Pairing.objects.filter(pk=pairing_id).exists():
        return None
    return SignIn(token.user, token.pk, pairing_id, tuple(token.get_scopes()))


def signed_in_at(sign_in: SignIn) -> datetime | None:
    """Return when the machine asked to be paired, or the person's token was made."""
    if sign_in.pairing_id:
        rows = Pairing.objects.filter(pk=sign_in.pairing_id)
    else:
        rows = Token.objects.filter(pk=sign_in.token_id)
    found: datetime | None = rows.values_list("created_at", flat=True).first()
    return found


def find_user_by_token(value: str) -> User | None:
    """Return the active person whose unexpired access token ``value`` is, or whose machine's."""
    found = find_sign_in(value)
    return found.user if found else None


def find_person_by_token(value: str) -> User | None:
    """Return the person for whom ``value`` may do everything: not for a machine's token."""
    found = find_sign_in(value)
    return found.user if found and not found.is_machine else None


def find_ended(sign_ins: Collection[SignIn]) -> set[SignIn]:
    """Return those that were revoked since, or whose person was shut out.

    A token that merely expired ends nothing: a machine renews it, and works on meanwhile.
    """
    alive: set[object] = set()
    for some in _parts([one.pairing_id for one in sign_ins if one.pairing_id]):
        paired = Pairing.objects.filter(pk__in=some, state=PairingState.PAIRED)
        alive |= set(paired.filter(user__is_active=True).values_list("pk", flat=True))
    for some in _parts([one.token_id for one in sign_ins if not one.pairing_id]):
        tokens = Token.objects.filter(pk__in=some, user__is_active=True)
        alive |= set(tokens.values_list("pk", flat=True))
    return {one for one in sign_ins if (one.pairing_id or one.token_id) not in alive}


def _parts(ids: list[Any]) -> list[list[Any]]:
    return [ids[start : start + _AT_ONCE] for start in range(0, len(ids), _AT_ONCE)]


def bearer(header: str) -> str:
    """Return the token of an ``Authorization: Bearer`` header, or an empty string."""
    scheme, _, value = header.partition(" ")
    return value.strip() if scheme.lower() == "bearer" else ""


class TokenAuthentication(BaseAuthentication):
    """``Authorization: Bearer <token>``; a wrong one is refused, not passed over."""

    def authenticate(self, request: Request) -> tuple[User, str] | None:
        value = bearer(get_authorization_header(request).decode("latin-1"))
        if not value:
            return None
        found = find_sign_in(value)
        if found is None:
            raise AuthenticationFailed
        if found.is_machine and not _is_open_to_machines(request.path):
            raise PermissionDenied
        return found.user, "token"

    def authenticate_header(self, request: Request) -> str:
        described = f"{issuer(request)}/.well-known/oauth-protected-resource"  # RFC 9728, 5.1
        return f'Bearer realm="mesh", resource_metadata="{described}"'


def _is_open_to_machines(path: str) -> bool:
    return path == OPEN_TO_MACHINES or path.startswith(OPEN_TO_MACHINES + "/")


class TokenScheme(OpenApiAuthenticationExtension):  # type: ignore[misc]  # it has no types
    """How OpenAPI names the bearer token; drf-spectacular finds it by being a subclass."""

    target_class = TokenAuthentication
    name = "token"

    def get_security_definition(self, auto_schema: Any) -> dict[str, str]:
        return {"type": "http", "scheme": "bearer"}
