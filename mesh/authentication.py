"""How a request to the API is authenticated: by a bearer token, or by a browser's session."""

from __future__ import annotations

from typing import ClassVar

from rest_framework.authentication import (
    BaseAuthentication,
    SessionAuthentication,
    get_authorization_header,
)
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.request import Request

from mesh.models import User
from mesh.pairing.metadata import issuer
from mesh.tokens import PersonsOnly, SignIn, bearer, find_sign_in


class TokenAuthentication(BaseAuthentication):
    """``Authorization: Bearer <token>`` of a person; a machine's token is refused with 403.

    The default of every view, so that new views are closed to machines. A wrong token is
    refused, not ignored. ``request.auth`` is the ``SignIn``.
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


# The authentication of views that machines use, too; only those views name it.
OPEN_TO_MACHINES = (MachineTokenAuthentication, SessionAuthentication)
