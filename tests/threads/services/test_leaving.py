"""What becomes of a member's chats, machines and tokens when they leave or are removed."""

import pytest
from allauth.idp.oidc.models import Token

from links.models import Link
from mesh.models import Membership, Organization, Pairing, User
from mesh.services import LastOwner, make_token
from mesh.tokens import find_sign_in
from threads import selectors, services
from threads.models import Thread
from threads.services import Chats

pytestmark = pytest.mark.django_db


@pytest.fixture
def owner(org):
    user = User.objects.create_user("olga")
    return Membership.objects.create(user=user, organization=org, role="owner")


@pytest.fixture
def remove(owner, ada):
    """Return ``remove(chats)``: Olga removes Ada."""

    def do(chats=Chats.KEEP):
        return services.remove_member(
            actor=owner.user,
            organization=owner.organization,
            member_id=Membership.objects.get(user=ada, organization=owner.organization).pk,
            chats=chats,
        )

    return do


def read_by(user, thread):
    return selectors.find_thread(viewer=user, thread_id=thread.pk)


def test_kept_chats_are_there_again_when_the_person_is(remove, thread, ada, org, owner):
    remove()
    assert read_by(ada, thread) is None
    assert read_by(owner.user, thread) is None

    Membership.objects.create(user=ada, organization=org)

    assert read_by(ada, thread) == thread


def test_deleted_chats_are_not(remove, thread, ada, org):
    remove(Chats.DELETE)
    Membership.objects.create(user=ada, organization=org)

    assert read_by(ada, thread) is None
    assert Thread.objects.get().deleted_at is not None


def test_chats_of_others_and_elsewhere_stay(remove, ada, bob, org, agent, eve):
    other = eve.organizations.get()
    Membership.objects.create(user=ada, organization=other)
    kept = [
        services.create_thread(owner=bob, organization=org, agent=agent),
        Thread.objects.create(owner=ada, organization=other, agent=agent),
    ]

    remove(Chats.DELETE)

    assert set(Thread.objects.filter(deleted_at=None)) == set(kept)


@pytest.mark.parametrize("chats", Chats)
def test_what_runs_is_stopped(remove, say, chats):
    run = say()
    services.claim_run(run_id=run.pk)

    remove(chats)
    services.stop_revoked_runs()

    run.refresh_from_db()
    assert run.cancelled_at is not None


def test_who_is_nowhere_any_more_is_signed_out_on_machines_and_programs(remove, ada, link):
    value = make_token(user=ada)
    Pairing.objects.create(state="paired", user=ada, machine_id="m1")

    remove()

    assert find_sign_in(value) is None
    assert not Pairing.objects.exists()
    assert not Token.objects.filter(user=ada).exists()
    assert Link.objects.get().revoked_at is not None
    assert User.objects.get(pk=ada.pk).is_active


def test_who_is_a_member_elsewhere_keeps_machines_and_tokens(remove, ada, link):
    other = Organization.objects.create(slug="elsewhere", name="Elsewhere")
    Membership.objects.create(user=ada, organization=other)
    value = make_token(user=ada)

    remove()

    assert find_sign_in(value) is not None
    assert Link.objects.get().revoked_at is None


def test_a_refused_removal_changes_nothing(ada, thread, link, org):
    value = make_token(user=ada)
    member = Membership.objects.get(user=ada)

    with pytest.raises(LastOwner):
        services.remove_member(actor=ada, organization=org, member_id=member.pk, chats=Chats.DELETE)

    assert read_by(ada, thread) == thread
    assert find_sign_in(value) is not None
    assert Link.objects.get().revoked_at is None
