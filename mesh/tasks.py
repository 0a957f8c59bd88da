"""What a Celery worker does for the project's own app: the services of the same names."""

# mypy: disable-error-code="untyped-decorator"
# (Celery has no types)

from __future__ import annotations

from celery import shared_task
from django.utils import timezone

from mesh import single_use


@shared_task(name="mesh.forget_expired")
def forget_expired() -> int:
    """Remove used tickets and counters that are too old. Running it twice does no harm."""
    return single_use.forget_expired(now=timezone.now())
