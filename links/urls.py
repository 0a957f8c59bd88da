"""Addresses of the app, below ``/api/``. The tunnel's is the gateway's (``mesh/asgi.py``)."""

from django.urls import path

from links import api

urlpatterns = [
    path("links", api.LinksApi.as_view(), name="links"),
    path("links/heartbeat", api.HeartbeatApi.as_view(), name="link-heartbeat"),
    path("links/me", api.MyLinkApi.as_view(), name="link-me"),
]
