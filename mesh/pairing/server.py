"""allauth's OAuth server, extended with device codes and machines.

oauthlib 4 asks its validator about a device code; allauth 65 still implements an older interface
for that. So this validator answers, and also handles a machine's tokens: each is labelled with its
pairing, and renewed by the rules of ``tokens``.
"""

from __future__ import annotations

from typing import Any

from allauth.idp.oidc import app_settings
from allauth.idp.oidc.internal.oauthlib.request_validator import OAuthLibRequestValidator
from allauth.idp.oidc.internal.oauthlib.server import (
    generate_access_token,
    generate_refresh_token,
)
from allauth.idp.oidc.models import Token
from oauthlib.common import Request
from oauthlib.oauth2.rfc8628.grant_types import DeviceCodeGrant
from oauthlib.openid import Server

from mesh.lib import oauth
from mesh.models import Pairing
from mesh.pairing import services, tokens


def make_server() -> Server:
    """Return a server for one request; call it in a transaction."""
    return Server(
        request_validator=Validator(),
        token_generator=generate_access_token,
        refresh_token_generator=generate_refresh_token,
        token_expires_in=app_settings.ACCESS_TOKEN_EXPIRES_IN,
    )


class Validator(OAuthLibRequestValidator):  # type: ignore[misc]  # allauth has no types
    """Answers oauthlib's questions about one request, and remembers its answers."""

    _pairing: Pairing | None = None
    _used: Token | None = None

    def validate_device_code(self, client_id: str, device_code: str, request: Request) -> str:
        """Use up an approved code; return that it is authorized.

        Raises:
            OAuth2Error: it is not approved; the reasons are those of RFC 8628.
        """
        interval = app_settings.DEVICE_CODE_INTERVAL
        self._pairing = services.collect(device_code=device_code, interval=interval)
        request.user, request.scopes = self._pairing.user, [oauth.SCOPE]
        approved: str = DeviceCodeGrant.DEVICE_CODE_AUTHORIZED
        return approved

    def validate_refresh_token(
        self, refresh_token: str, client: Any, request: Request, *args: Any, **kwargs: Any
    ) -> bool:
        self._used = tokens.take(refresh_token)
        is_valid: bool = super().validate_refresh_token(refresh_token, client, request)
        return is_valid

    def save_bearer_token(
        self, token: dict[str, Any], request: Request, *args: Any, **kwargs: Any
    ) -> None:
        super().save_bearer_token(token, request, *args, **kwargs)
        if self._pairing is not None:
            tokens.label(token, pairing_id=self._pairing.pk, generation=0)
        elif self._used is not None:
            tokens.succeed(self._used, token)

    def revoke_token(
        self, token: str, token_type_hint: str, request: Request, *args: Any, **kwargs: Any
    ) -> None:
        """End the machine's sign-in: either of its tokens ends them all (RFC 7009, 2.1)."""
        found = Token.objects.by_value(token).filter(client=request.client).first()
        pairing_id = tokens.pairing_of(found) if found else None
        if pairing_id is not None:
            services.end(Pairing.objects.filter(pk=pairing_id))
