"""Celery tasks for links; each calls the service of its name."""

# mypy: disable-error-code="untyped-decorator"
# (Celery has no types)

from __future__ import annotations

from celery import shared_task

from links import services


@shared_task(name="links.expire")
def expire() -> int:
    """Mark silent machines offline, as each running server does too (``links.upkeep``)."""
    return services.expire()
