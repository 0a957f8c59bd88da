"""What the tests of the services share: one machine, its claims and its presence."""

from links import selectors, services
from links.models import Link
from links.wire.messages import Registration

M1 = Registration(
    machine_id="m1",
    cli_version="1.0.0",
    protocol_version=1,
    capabilities=("claude-code",),
    hostname="laptop",
)


def claim(user, connection_id, machine_id="m1"):
    link = Link.objects.filter(machine_id=machine_id).order_by("created_at").first()
    return services.claim(
        user=user,
        machine_id=machine_id,
        secret_fingerprint=link.secret_hash if link else "",
        connection_id=connection_id,
    )


def presence(user):
    (view,) = selectors.list_links(viewer=user)
    return view.state, view.cause


def connect(link, connection_id="c1", slept=None):
    link.refresh_from_db()
    return services.claim(
        user=link.user,
        machine_id=link.machine_id,
        secret_fingerprint=link.secret_hash,
        connection_id=connection_id,
        slept=slept,
    )
