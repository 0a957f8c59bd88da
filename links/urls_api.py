"""Addresses of the app, below ``/api/``. The tunnel's is the gateway's (``mesh/asgi.py``)."""

from django.urls import path

from links import api, checks

urlpatterns = [
    path("links", api.LinksApi.as_view(), name="links"),
    path("links/heartbeat", api.HeartbeatApi.as_view(), name="link-heartbeat"),
    path("links/me", api.MyLinkApi.as_view(), name="link-me"),
    path("links/<uuid:link_id>", api.LinkApi.as_view(), name="link"),
    path("links/<uuid:link_id>/probe", api.ProbeApi.as_view(), name="link-probe"),
    path(
        "<slug:org>/tools/LINK_CURRENT_GET",
        api.CurrentLinkTool.as_view(),
        name="link-current-get",
    ),
    path("tokens", api.TokensApi.as_view(), name="tokens"),
    path("tokens/<uuid:token_id>", api.TokenApi.as_view(), name="token"),
    path("links/stream", checks.stream, name="link-stream"),
]
