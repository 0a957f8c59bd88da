"""Sign-in for people (allauth) and for programs (bearer tokens of ``allauth.idp.oidc``)."""

from __future__ import annotations

from typing import Any

from allauth.account.adapter import DefaultAccountAdapter
from allauth.idp.oidc.models import Token
from django.conf import settings
from django.http import HttpRequest
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from rest_framework.authentication import BaseAuthentication, get_authorization_header
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.request import Request

from mesh.models import User


class AccountAdapter(DefaultAccountAdapter):  # type: ignore[misc]  # allauth has no types
    """Who may open an account: on an embedded Mesh nobody, its owner exists already."""

    def is_open_for_signup(self, request: HttpRequest) -> bool:
        return not settings.MESH_EMBEDDED


def find_user_by_token(value: str) -> User | None:
    """Return the active person whose unexpired access token ``value`` is; one query."""
    token = (
        Token.objects.valid()
        .by_value(value)
        .filter(type=Token.Type.ACCESS_TOKEN, user__is_active=True)
        .select_related("user")
        .first()
    )
    return token.user if token else None


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
        user = find_user_by_token(value)
        if user is None:
            raise AuthenticationFailed
        return user, "token"

    def authenticate_header(self, request: Request) -> str:
        return 'Bearer realm="mesh"'


class TokenScheme(OpenApiAuthenticationExtension):  # type: ignore[misc]  # it has no types
    """How OpenAPI names the bearer token; drf-spectacular finds it by being a subclass."""

    target_class = TokenAuthentication
    name = "token"

    def get_security_definition(self, auto_schema: Any) -> dict[str, str]:
        return {"type": "http", "scheme": "bearer"}
