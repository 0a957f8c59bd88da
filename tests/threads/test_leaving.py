"""Who was shut out, has left the organization or may only read there runs nothing any more."""

import pytest

from mesh.models import Membership, Organization, User
from threads import services
from threads.models import Run

pytestmark = pytest.mark.django_db


def leave(ada):
    Membership.objects.filter(user=ada).delete()


def be_shut_out(ada):
    User.objects.filter(pk=ada.pk).update(is_active=False)


def move_on(ada):
    """She is still a member, but of another organization."""
    leave(ada)
    other = Organization.objects.create(slug="elsewhere", name="Elsewhere")
    Membership.objects.create(organization=other, user=ada, role="owner")


def be_lowered(ada):
    """She is still a member, but may only read."""
    Membership.objects.filter(user=ada).update(role="viewer")


GONE = pytest.mark.parametrize("go", [leave, be_shut_out, move_on, be_lowered])


@GONE
def test_what_waits_does_not_begin(say, ada, go):
    run = say()
    go(ada)

    assert not services.claim_run(run_id=run.pk)


@GONE
def test_what_waits_ends(say, ada, go):
    run = say()
    go(ada)

    assert (services.stop_revoked_runs(), services.stop_revoked_runs()) == (
        1,
        0,
    )

    run.refresh_from_db()
    assert run.state == "cancelled"


@GONE
def test_active_runs_are_stopped(say, ada, link, go):
    run = say()
    services.claim_run(run_id=run.pk)
    go(ada)

    assert services.stop_revoked_runs() == 1

    run.refresh_from_db()
    assert run.cancelled_at is not None


def test_the_runs_of_members_continue(say):
    waiting, running = say(), say()
    services.claim_run(run_id=waiting.pk)

    assert services.stop_revoked_runs() == 0
    assert set(Run.objects.values_list("state", flat=True)) == {"dispatched", "queued"}
    assert running.pk != waiting.pk
