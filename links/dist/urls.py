"""Addresses below ``/dist/``."""

from django.urls import path

from links.dist import views

urlpatterns = [
    path("", views.offer, name="dist"),
    path("command", views.command, name="dist-command"),
    path("<str:name>", views.download, name="dist-wheel"),
]
