"""Registers the app with Django."""

from django.apps import AppConfig


class ThreadsConfig(AppConfig):
    name = "threads"
