"""Addresses of the app, below ``/api/links``. The tunnel's is the gateway's (``mesh/asgi.py``)."""

from django.urls import path

from links import api

urlpatterns = [
    path("", api.LinksApi.as_view(), name="links"),
    path("/heartbeat", api.HeartbeatApi.as_view(), name="link-heartbeat"),
    path("/me", api.MyLinkApi.as_view(), name="link-me"),
]
