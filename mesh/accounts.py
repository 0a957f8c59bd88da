"""Sign-in for people (allauth) and for programs (bearer tokens of ``allauth.idp.oidc``)."""

from __future__ import annotations

from typing import Any, ClassVar

from allauth.account.adapter import DefaultAccountAdapter
from allauth.core.exceptions import ImmediateHttpResponse
from django.conf import settings
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest
from django.shortcuts import render
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from rest_framework.authentication import (
    BaseAuthentication,
    SessionAuthentication,
    get_authorization_header,
)
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.request import Request

from mesh.invitations import IN_SESSION, InvitationRefused, invitation_in, join
from mesh.models import Membership, Role, User
from mesh.pairing.metadata import issuer
from mesh.proxied import address_of
from mesh.tokens import PersonsOnly, SignIn, find_sign_in


def owners() -> QuerySet[Membership]:
    """Return the memberships of active owners."""
    return Membership.objects.filter(role=Role.OWNER, user__is_active=True)


class AccountAdapter(DefaultAccountAdapter):  # type: ignore[misc]  # allauth has no types
    """Who may open an account: those who were invited, and all whom the operator lets."""

    def is_open_for_signup(self, request: HttpRequest) -> bool:
        """Return whether sign-up is open; never before there is an owner.

        Nor on an embedded Mesh, which has one person.
        """
        if settings.MESH_EMBEDDED or not owners().exists():
            return False
        return bool(settings.MESH_OPEN_SIGNUP) or invitation_in(request) is not None

    def save_user(self, request: HttpRequest, user: User, form: Any, commit: bool = True) -> User:
        """Save a new account, as a member of the organization that it was invited to.

        Raises:
            ImmediateHttpResponse: somebody else has used the invitation meanwhile; no account
                was made.
        """
        text = request.session.get(IN_SESSION, "")
        try:
            with transaction.atomic():
                saved: User = super().save_user(request, user, form, commit)
                if text:
                    join(user=saved, text=text)
        except InvitationRefused as exc:
            if not self.is_open_for_signup(request):
                refusal = render(request, "join_refused.html", {"error": exc}, status=exc.status)
                raise ImmediateHttpResponse(refusal) from exc
            del request.session[IN_SESSION]  # anybody may sign up, only not into this organization
            return self.save_user(request, user, form, commit)
        request.session.pop(IN_SESSION, None)
        return saved

    def get_client_ip(self, request: HttpRequest) -> str:
        """Return what allauth's limits count the caller as."""
        return address_of(request) or "unknown"

    def is_safe_url(self, url: str) -> bool:
        """Return whether people may be sent to ``url`` once they are signed in."""
        try:
            return bool(super().is_safe_url(url))
        except ValueError:  # half an IPv6 address, which allauth takes apart unguarded
            return False


def find_user_by_token(value: str) -> User | None:
    """Return the active person whose unexpired access token ``value`` is, or whose machine's."""
    found = find_sign_in(value)
    return found.user if found else None


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


class TokenAuthentication(BaseAuthentication):
    """``Authorization: Bearer <token>`` of a person; a machine's token is refused with 403.

    The default of every view, so that a new one is closed to machines. A wrong token is
    refused, not passed over. ``request.auth`` is the ``SignIn``.
    """

    takes_machines: ClassVar[bool] = False

    def authenticate(self, request: Request) -> tuple[User, SignIn] | None:
        value = bearer(get_authorization_header(request).decode("latin-1"))
        if not value:
            return None
        found = find_sign_in(value)
        if found is None:
            raise AuthenticationFailed
        if found.is_machine and not self.takes_machines:
            raise PersonsOnly
        return found.user, found

    def authenticate_header(self, request: Request) -> str:
        described = f"{issuer(request)}/.well-known/oauth-protected-resource"  # RFC 9728, 5.1
        return f'Bearer realm="mesh", resource_metadata="{described}"'


class MachineTokenAuthentication(TokenAuthentication):
    """As ``TokenAuthentication``, and machines' tokens too.

    A view that names it must ask ``SignIn.speaks_for`` which machine the token is for.
    """

    takes_machines = True


# The authentication of a view that machines use, too; it is declared there and nowhere else.
OPEN_TO_MACHINES = (MachineTokenAuthentication, SessionAuthentication)


class TokenScheme(OpenApiAuthenticationExtension):  # type: ignore[misc]  # it has no types
    """How OpenAPI names a person's token; drf-spectacular finds it by being a subclass."""

    target_class = TokenAuthentication
    name = "token"

    def get_security_definition(self, auto_schema: Any) -> dict[str, str]:
        return {"type": "http", "scheme": "bearer"}


class MachineTokenScheme(TokenScheme):
    """The same for addresses that take a machine's token, too."""

    target_class = MachineTokenAuthentication
    name = "machineToken"
