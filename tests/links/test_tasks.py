"""Celery's clock rings for what the services do."""

from datetime import timedelta

from django.utils import timezone

from links import selectors, tasks
from links.models import Link


def test_a_silent_machine_is_marked_offline_once(ada):
    Link.objects.create(
        user=ada,
        machine_id="m1",
        cli_version="1",
        protocol_version=1,
        secret="x",
        connection_id="c1",
        offline_after=timezone.now() - timedelta(seconds=1),
    )

    assert [tasks.expire(), tasks.expire()] == [1, 0]
    (view,) = selectors.list_links(viewer=ada)
    assert (view.state, view.cause) == ("offline", "asleep")
