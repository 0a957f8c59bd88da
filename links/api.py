"""``/api/links``: registration, heartbeats and the list of machines."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework.exceptions import NotAuthenticated
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from links import calls, selectors, services
from links.dist.offer import offer_of
from links.errors import (
    BadProof,
    LinkUnknown,
    MissingHeader,
)
from links.models import Link
from links.selectors import link_as_json
from links.wire import version
from links.wire.headers import LINK_SECRET, LINK_TOKEN, SERVER_KEY, USER_SUB
from links.wire.messages import MachineStatus, Registration
from mesh.api import signed_in
from mesh.authentication import OPEN_TO_MACHINES
from mesh.lib.errors import Unauthorized
from mesh.pairing.metadata import issuer
from mesh.selectors import TokenView, get_membership, list_tokens
from mesh.tokens import SignIn, find_sign_in


@extend_schema(request=OpenApiTypes.OBJECT, responses=OpenApiTypes.OBJECT)
class LinksApi(APIView):
    """``GET``: the viewer's machines. ``POST``: register one; its secret is returned only once.

    A machine sees and registers only itself.
    """

    authentication_classes = OPEN_TO_MACHINES

    def get(self, request: Request) -> Response:
        own = _requesting_machine(request)
        views = selectors.list_links(viewer=signed_in(request), machine_id=own)
        return Response({"links": [link_as_json(view) for view in views]})

    def post(self, request: Request) -> Response:
        assert isinstance(request.data, dict)  # the parser refuses anything else
        registration = Registration.parse(request.data)
        registered = services.register(
            user=signed_in(request),
            registration=registration,
            sign_in=_sign_in(request),
            install_hint=offer_of(issuer(request)).uv,
        )
        return Response(registered.as_json())


@extend_schema(request=None, responses={204: None})
class HeartbeatApi(APIView):
    """``POST``: a machine without a tunnel reports that it is alive."""

    authentication_classes = ()
    permission_classes = ()

    def post(self, request: Request) -> Response:
        proof = _proof(request)
        services.prove(**proof)  # before the body is read
        assert isinstance(request.data, dict)  # the parser refuses anything else
        services.heartbeat(
            **proof,
            sign_in=find_sign_in(request.headers.get(LINK_TOKEN, "")),
            server_key=request.headers.get(SERVER_KEY),
            status=MachineStatus.parse(request.data) if request.data else None,
        )
        return Response(status=204)


@extend_schema(request=None, responses={200: OpenApiTypes.OBJECT, 204: None})
class MyLinkApi(APIView):
    """``GET``: the viewer's machine that is online. ``DELETE``: this machine stops.

    A machine sees only itself.
    """

    authentication_classes = OPEN_TO_MACHINES

    def get(self, request: Request) -> Response:
        own = _requesting_machine(request)
        view = selectors.find_online_link(viewer=signed_in(request), machine_id=own)
        if view is None:
            return Response({"status": "offline"})
        return Response(
            {
                "status": "online",
                "capabilities": list(view.capabilities),
                "machineId": view.machine_id,
                "hostname": view.name,
                "cliVersion": view.cli_version,
                "currentProtocolVersion": version.CURRENT,
                "reportedProtocolVersion": view.protocol_version,
            }
        )

    def delete(self, request: Request) -> Response:
        services.stop(**_proof(request))
        return Response(status=204)

    def get_authenticators(self) -> Any:
        # DELETE is authenticated by the link's secret, like the heartbeat.
        return [] if self._is_delete() else super().get_authenticators()

    def get_permissions(self) -> Any:
        return [] if self._is_delete() else super().get_permissions()

    def _is_delete(self) -> bool:
        return getattr(self, "request", None) is not None and self.request.method == "DELETE"


@extend_schema(request=None, responses={204: None})
class LinkApi(APIView):
    """``DELETE``: sign the machine out; it must be paired again to reconnect."""

    def delete(self, request: Request, link_id: UUID) -> Response:
        services.revoke(link=_own(request, link_id))
        return Response(status=204)


@extend_schema(request=None, responses=OpenApiTypes.OBJECT)
class ProbeApi(APIView):
    """``POST``: check now whether the machine answers; takes 3 s at most."""

    def post(self, request: Request, link_id: UUID) -> Response:
        link = _own(request, link_id)
        seconds = calls.probe(link.pk)
        view = selectors.find_link(viewer=signed_in(request), link_id=link_id)
        if view is None:
            raise LinkUnknown
        round_trip = None if seconds is None else round(seconds * 1000, 1)
        return Response({**link_as_json(view), "roundTripMs": round_trip})


@extend_schema(request=None, responses=OpenApiTypes.OBJECT)
class TokensApi(APIView):
    """``GET``: the viewer's tokens, and the sign-ins of their machines; never a value."""

    def get(self, request: Request) -> Response:
        views = list_tokens(viewer=signed_in(request))
        return Response({"tokens": [token_as_json(view) for view in views]})


@extend_schema(request=None, responses={204: None})
class TokenApi(APIView):
    """``DELETE``: revoke a token; a machine that uses it is signed out."""

    def delete(self, request: Request, token_id: UUID) -> Response:
        services.revoke_token(viewer=signed_in(request), token_id=token_id)
        return Response(status=204)


class Tool(APIView):
    """``POST /api/<org>/tools/<NAME>``: one operation for programs, under the name they use."""

    def handle_exception(self, exc: Exception) -> Response:
        if isinstance(exc, NotAuthenticated):
            exc = Unauthorized("Authentication required")
        return super().handle_exception(exc)


@extend_schema(request=OpenApiTypes.OBJECT, responses=OpenApiTypes.OBJECT)
class CurrentLinkTool(Tool):
    """``LINK_CURRENT_GET``: the viewer's machine that is online, for programs."""

    open_to_viewers = True

    def post(self, request: Request, org: str) -> Response:
        viewer = signed_in(request)
        get_membership(viewer=viewer, slug=org)
        view = selectors.find_online_link(viewer=viewer)
        if view is None:
            return Response({"online": False, "capabilities": []})
        return Response(
            {
                "online": True,
                "machineId": view.machine_id,
                "hostname": view.name,
                "cliVersion": view.cli_version,
                "capabilities": list(view.capabilities),
            }
        )


def token_as_json(view: TokenView) -> dict[str, Any]:
    """Return a token as programs see it."""
    return {
        "id": str(view.id),
        "name": view.name,
        "scope": view.scope,
        "machineId": view.machine_id,
        "createdAt": view.created_at,
        "lastUsedAt": view.last_used_at,
        "expiresAt": view.expires_at,
    }


def _own(request: Request, link_id: UUID) -> Link:
    link = selectors.find_row(viewer=signed_in(request), link_id=link_id)
    if link is None:
        raise LinkUnknown
    return link


def _sign_in(request: Request) -> SignIn | None:
    """Return the request's token; ``None`` for a browser."""
    return request.auth if isinstance(request.auth, SignIn) else None


def _requesting_machine(request: Request) -> str | None:
    """Return the machine whose token the request has; ``None`` for a person's request."""
    sign_in = _sign_in(request)
    return sign_in.machine_id if sign_in is not None and sign_in.is_machine else None


def _proof(request: Request) -> dict[str, str]:
    user_sub = request.headers.get(USER_SUB, "")
    if not user_sub:
        raise MissingHeader
    secret = request.headers.get(LINK_SECRET, "")
    if not secret:
        raise BadProof
    return {"user_sub": user_sub, "secret": secret}
