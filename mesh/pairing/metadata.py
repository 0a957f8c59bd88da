"""The server's OAuth metadata, at its well-known paths."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.http import HttpRequest, JsonResponse
from django.urls import reverse
from django.views.decorators.http import require_safe
from rest_framework.request import Request

from mesh.lib import oauth


@require_safe
def authorization_server(request: HttpRequest) -> JsonResponse:
    """RFC 8414. Also served at OpenID's path, for clients that look there first.

    There is no ``authorization_endpoint`` and no ``jwks_uri``: no flow redirects a browser here,
    and no ID token is signed, so there is no private key to lose.
    """
    root = issuer(request)
    return JsonResponse(
        {
            "issuer": root,
            "device_authorization_endpoint": root + reverse("idp:oidc:device_code"),
            "token_endpoint": root + reverse("idp:oidc:token"),
            "revocation_endpoint": root + reverse("idp:oidc:revoke"),
            "grant_types_supported": [oauth.DEVICE_GRANT, oauth.REFRESH_GRANT],
            "response_types_supported": [],
            "scopes_supported": [oauth.SCOPE],
            "token_endpoint_auth_methods_supported": ["none"],
            "revocation_endpoint_auth_methods_supported": ["none"],
        }
    )


@require_safe
def protected_resource(request: HttpRequest) -> JsonResponse:
    """RFC 9728: which authorization server's tokens the API accepts, and how they are sent."""
    root = issuer(request)
    body: dict[str, Any] = {
        "resource": root,
        "resource_name": "Mesh",
        "authorization_servers": [root],
        "scopes_supported": [oauth.SCOPE],
        "bearer_methods_supported": ["header"],
    }
    return JsonResponse(body)


def issuer(request: HttpRequest | Request) -> str:
    """Return the server's public address, without a trailing slash."""
    return str(settings.MESH_URL) or request.build_absolute_uri("/").rstrip("/")
