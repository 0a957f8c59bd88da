"""Registers the app with Django."""

from django.apps import AppConfig


class LinksConfig(AppConfig):
    name = "links"
