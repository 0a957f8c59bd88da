"""The Celery tasks of the project's own app; each calls the function of the same name."""

# mypy: disable-error-code="untyped-decorator"
# (Celery has no types)

from __future__ import annotations

from celery import shared_task
from django.utils import timezone

from mesh import single_use


@shared_task(name="mesh.forget_expired")
def forget_expired() -> int:
    """Remove expired tickets, counters and sessions. Safe to repeat."""
    return single_use.forget_expired(now=timezone.now())
