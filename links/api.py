"""``/api/links``: machines register, say that they live, and are listed."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import InterfaceError, OperationalError
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework.exceptions import NotAuthenticated
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from links import calls, selectors, services
from links.dist.offer import offer_of
from links.errors import (
    AuthenticationRequired,
    BadProof,
    LinkUnknown,
    MissingHeader,
    PersonsOnly,
    StoreNotReady,
)
from links.models import Link
from links.selectors import LinkView
from links.wire import version
from links.wire.messages import MachineStatus, Registration
from mesh.accounts import bearer, find_sign_in, signed_in_at
from mesh.api import signed_in
from mesh.pairing.metadata import issuer
from mesh.selectors import get_membership


class StoreBackedView(APIView):
    """Answers 503 when the database can't be reached: nothing was kept, try again."""

    def handle_exception(self, exc: Exception) -> Response:
        if isinstance(exc, OperationalError | InterfaceError):
            exc = StoreNotReady()
        return super().handle_exception(exc)


@extend_schema(request=OpenApiTypes.OBJECT, responses=OpenApiTypes.OBJECT)
class LinksApi(StoreBackedView):
    """``GET``: the viewer's machines. ``POST``: register one; its secret is told once."""

    def get(self, request: Request) -> Response:
        views = selectors.list_links(viewer=signed_in(request))
        return Response({"links": [as_json(view) for view in views]})

    def post(self, request: Request) -> Response:
        assert isinstance(request.data, dict)  # the parser lets nothing else in
        registration = Registration.parse(request.data)
        registered = services.register(
            user=signed_in(request),
            registration=registration,
            signed_in_at=_signed_in_at(request),
            install_hint=offer_of(issuer(request)).uvx,
        )
        return Response(registered.as_json())


@extend_schema(request=None, responses={204: None})
class HeartbeatApi(StoreBackedView):
    """``POST``: a machine without a tunnel lives."""

    authentication_classes = ()
    permission_classes = ()

    def post(self, request: Request) -> Response:
        found = find_sign_in(request.headers.get("X-Link-Token", ""))
        assert isinstance(request.data, dict)  # the parser lets nothing else in
        services.heartbeat(
            **_proof(request),
            signed_in=found.user.pk if found else None,
            status=MachineStatus.parse(request.data) if request.data else None,
        )
        return Response(status=204)


@extend_schema(request=None, responses={200: OpenApiTypes.OBJECT, 204: None})
class MyLinkApi(StoreBackedView):
    """``GET``: the viewer's machine that is online. ``DELETE``: this machine stops."""

    def get(self, request: Request) -> Response:
        view = selectors.find_online_link(viewer=signed_in(request))
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
        # DELETE proves itself by the link's secret, as the heartbeat does.
        return [] if self._is_delete() else super().get_authenticators()

    def get_permissions(self) -> Any:
        return [] if self._is_delete() else super().get_permissions()

    def _is_delete(self) -> bool:
        return getattr(self, "request", None) is not None and self.request.method == "DELETE"


class OfOneMachine(StoreBackedView):
    """A look-up that is for people and their programs: a machine may not judge another."""

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        found = find_sign_in(bearer(request.headers.get("Authorization", "")))
        if found is not None and found.is_machine:
            raise PersonsOnly


@extend_schema(request=None, responses={204: None})
class LinkApi(OfOneMachine):
    """``DELETE``: sign the machine out; it comes back only when it is paired anew."""

    def delete(self, request: Request, link_id: UUID) -> Response:
        services.revoke(link=_own(request, link_id))
        return Response(status=204)


@extend_schema(request=None, responses=OpenApiTypes.OBJECT)
class ProbeApi(OfOneMachine):
    """``POST``: ask the machine right now whether it is there; it takes 3 s at most."""

    def post(self, request: Request, link_id: UUID) -> Response:
        link = _own(request, link_id)
        seconds = calls.probe(link.pk)
        view = selectors.find_link(viewer=signed_in(request), link_id=link_id)
        if view is None:
            raise LinkUnknown
        round_trip = None if seconds is None else round(seconds * 1000, 1)
        return Response({**as_json(view), "roundTripMs": round_trip})


class Tool(StoreBackedView):
    """``POST /api/<org>/tools/<NAME>``: one thing that programs do, named as they name it."""

    def handle_exception(self, exc: Exception) -> Response:
        if isinstance(exc, NotAuthenticated):
            exc = AuthenticationRequired()
        return super().handle_exception(exc)


@extend_schema(request=OpenApiTypes.OBJECT, responses=OpenApiTypes.OBJECT)
class CurrentLinkTool(Tool):
    """``LINK_CURRENT_GET``: the viewer's machine that is online, for programs."""

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


def as_json(view: LinkView) -> dict[str, Any]:
    """Return a machine as programs and pages see it."""
    return {
        "id": str(view.id),
        "name": view.name,
        "machineId": view.machine_id,
        "state": view.state,
        "cause": view.cause,
        "capabilities": list(view.capabilities),
        "harnesses": view.harnesses,
        "cliVersion": view.cli_version,
    }


def _own(request: Request, link_id: UUID) -> Link:
    link = selectors.find_row(viewer=signed_in(request), link_id=link_id)
    if link is None:
        raise LinkUnknown
    return link


def _signed_in_at(request: Request) -> datetime | None:
    """Return since when the token stands with which the machine asks."""
    found = find_sign_in(bearer(request.headers.get("Authorization", "")))
    return signed_in_at(found) if found else None


def _proof(request: Request) -> dict[str, str]:
    user_sub = request.headers.get("X-Mesh-User-Sub", "")
    if not user_sub:
        raise MissingHeader
    secret = request.headers.get("X-Link-Secret", "")
    if not secret:
        raise BadProof
    return {"user_sub": user_sub, "secret": secret}
