"""What a Celery worker does for links: the services of the same names."""

# mypy: disable-error-code="untyped-decorator"
# (Celery has no types)

from __future__ import annotations

from celery import shared_task

from links import services


@shared_task(name="links.expire")
def expire() -> int:
    """Mark silent machines offline. Each server does it too (``links.upkeep``), while one lives."""
    return services.expire()
