"""Invitations: into the organization and the role that they name, as often as they say."""

from datetime import timedelta
from urllib.parse import parse_qs, urlsplit

import pytest
from django.contrib.sessions.models import Session
from django.core.management import CommandError, call_command
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from mesh import invitations
from mesh.accounts import AccountAdapter
from mesh.models import Invitation, Membership, Role, User
from mesh.single_use import forget_expired
from tests.threads.races import in_parallel

FORM = {
    "username": "grace",
    "password1": "correct horse battery",
    "password2": "correct horse battery",
}


@pytest.fixture
def team(settings):
    settings.MESH_EMBEDDED = False


@pytest.fixture
def invitation(org, ada, team):
    return invitations.make_invitation(organization=org, role=Role.MEMBER)


@pytest.fixture
def opened(invitation):
    """Return ``opened(user=None)``: a browser in which the invitation was opened."""

    def make(user=None):
        client = Client()
        if user is not None:
            client.force_login(user)
        client.get(reverse("join"), {"invitation": invitation})
        return client

    return make


def test_a_stranger_makes_an_account_with_it_and_is_a_member(opened, org):
    client = opened()
    assert b"Join Home" in client.get(reverse("join")).content

    answer = client.post(reverse("account_signup"), FORM)

    member = Membership.objects.get(user__username="grace")
    assert (answer.status_code, member.organization, member.role) == (302, org, Role.MEMBER)
    assert not member.user.is_staff


def test_it_makes_one_account(opened):
    first, second = opened(), opened()
    first.post(reverse("account_signup"), FORM)

    answer = second.post(reverse("account_signup"), FORM | {"username": "heidi"})

    assert answer.status_code == 403
    assert not User.objects.filter(username="heidi").exists()


def test_of_two_who_use_it_at_the_same_time_one_gets_an_account(
    opened, invitation, eve, monkeypatch
):
    client = opened()
    make = AccountAdapter.new_user

    def others_first(adapter, request):
        invitations.join(user=eve, invitation=invitations.read_invitation(invitation))
        return make(adapter, request)

    monkeypatch.setattr(AccountAdapter, "new_user", others_first)
    answer = client.post(reverse("account_signup"), FORM)

    assert answer.status_code == 403
    assert not User.objects.filter(username="grace").exists()


def test_an_account_of_another_organization_joins_by_a_press_of_the_button(opened, eve, org):
    client = opened(eve)
    assert not Membership.objects.filter(user=eve, organization=org).exists()

    answer = client.post(reverse("join"))

    assert answer.url == "/home/"
    assert Membership.objects.get(user=eve, organization=org).role == Role.MEMBER


def test_a_member_keeps_their_role_and_the_invitation(opened, ada, eve, org):
    opened(ada).post(reverse("join"))

    assert Membership.objects.get(user=ada).role == Role.OWNER
    assert opened(eve).post(reverse("join")).url == "/home/"


@pytest.mark.parametrize("wrong", ["x", "", "e30:1:1", "\N{PILE OF POO}", "x" * 3000])
def test_what_is_no_invitation_opens_nothing(team, ada, client, wrong):
    answer = client.get(reverse("join"), {"invitation": wrong})

    assert answer.status_code == 403
    assert client.get(reverse("account_signup")).status_code == 403


def test_it_ends_after_a_week(invitation, client):
    left = Invitation.objects.get().expires_at - timezone.now()
    assert timedelta(days=6) < left <= invitations.LIFE

    Invitation.objects.update(expires_at=timezone.now() - timedelta(seconds=1))

    assert client.get(reverse("join"), {"invitation": invitation}).status_code == 403


def test_it_leaves_the_address_at_once_and_a_look_uses_nothing_up(invitation, client):
    for _ in range(2):
        answer = client.get(reverse("join"), {"invitation": invitation})

    assert (answer.status_code, answer.url) == (302, reverse("join"))


def test_an_organization_that_is_gone_takes_nobody(invitation, client, org):
    org.delete()

    assert client.get(reverse("join"), {"invitation": invitation}).status_code == 403


def test_the_command_prints_a_link(org, team, settings, capsys):
    settings.MESH_URL = "https://mesh.example"
    call_command("mesh_invite", "--role", "admin")

    link = urlsplit(capsys.readouterr().out.strip())
    (text,) = parse_qs(link.query)["invitation"]
    assert link.netloc + link.path == "mesh.example/join"
    assert invitations.read_invitation(text).role == Role.ADMIN


def test_the_command_makes_a_link_for_several_people_and_days(org, team, capsys):
    call_command("mesh_invite", "--uses", "3", "--days", "30")

    made = Invitation.objects.get()
    assert (made.max_uses, made.made_by) == (3, None)
    assert made.expires_at - timezone.now() > timedelta(days=29)


@pytest.mark.parametrize(
    ("words", "embedded"),
    [
        (["--org", "none"], False),
        ([], True),
        (["--uses", "0"], False),
        (["--uses", "x"], False),
        (["--uses", "9" * 5000], False),
        (["--days", "366"], False),
        (["--role", "guest"], False),
    ],
)
def test_the_command_refuses(org, settings, words, embedded):
    settings.MESH_EMBEDDED = embedded

    with pytest.raises(CommandError):
        call_command("mesh_invite", *words)
    assert not Invitation.objects.exists()


def test_only_a_hash_of_it_is_kept(invitation, opened):
    opened()
    rows = [str(row) for model in (Invitation, Session) for row in model.objects.values()]
    stored = [*rows, *(str(row.get_decoded()) for row in Session.objects.all())]

    assert stored
    assert not any(invitation in text for text in stored)


def members():
    return set(Membership.objects.values_list("user__username", "role"))


@pytest.fixture
def invite(org, team):
    """Return ``invite(**fields)``: a new invitation as its link names it."""

    def make(**fields):
        text = invitations.make_invitation(**{"organization": org, "role": Role.MEMBER} | fields)
        return invitations.read_invitation(text)

    return make


def people(count):
    return [User.objects.create_user(f"person-{n}") for n in range(count)]


def test_one_for_two_lets_two_in(invite, org):
    invitation = invite(max_uses=2)
    first, second, third = people(3)
    invitations.join(user=first, invitation=invitation)
    invitations.join(user=first, invitation=invitation)
    invitations.join(user=second, invitation=invitation)

    with pytest.raises(invitations.InvitationRefused):
        invitations.join(user=third, invitation=invitation)
    assert set(org.members.all()) == {first, second}
    assert Invitation.objects.get().uses == 2


def test_one_for_any_number_lets_everybody_in(invite, org):
    invitation = invite(max_uses=None, role=Role.VIEWER)
    for person in people(4):
        invitations.join(user=person, invitation=invitation)

    assert {role for _, role in members()} == {"viewer"}
    assert Invitation.objects.get().uses == 4


WHO_MAY_INVITE = [
    ("owner", "owner", True),
    ("owner", "viewer", True),
    ("admin", "owner", False),
    ("admin", "admin", True),
    ("member", "viewer", False),
    ("viewer", "viewer", False),
]


@pytest.mark.parametrize(("own", "given", "may"), WHO_MAY_INVITE)
def test_nobody_invites_to_a_role_above_their_own(invite, ada, own, given, may):
    Membership.objects.update(role=own)
    if may:
        assert invite(made_by=ada, role=Role(given)).made_by == ada
        return

    with pytest.raises(invitations.RoleAboveOwn):
        invite(made_by=ada, role=Role(given))
    assert not Invitation.objects.exists()


def test_a_stranger_invites_nobody(invite, eve):
    with pytest.raises(invitations.RoleAboveOwn):
        invite(made_by=eve)


def leave(ada):
    Membership.objects.filter(user=ada).delete()


def be_lowered(ada):
    Membership.objects.filter(user=ada).update(role="member")


def be_shut_out(ada):
    User.objects.filter(pk=ada.pk).update(is_active=False)


@pytest.mark.parametrize("go", [leave, be_lowered, be_shut_out])
def test_it_works_only_while_its_maker_may_give_its_role(invite, ada, eve, go):
    invitation = invite(made_by=ada)
    go(ada)

    with pytest.raises(invitations.InvitationRefused):
        invitations.join(user=eve, invitation=invitation)
    assert not list(invitations.list_open(organization=invitation.organization, now=timezone.now()))


def test_a_revoked_one_is_refused(invite, ada, eve, org):
    invitation = invite()
    owner = Membership.objects.get(user=ada)
    assert invitations.revoke_invitation(member=owner, invitation_id=invitation.pk)
    assert not invitations.revoke_invitation(member=owner, invitation_id=invitation.pk)

    with pytest.raises(invitations.InvitationRefused):
        invitations.join(user=eve, invitation=invitation)


def test_another_organization_s_is_not_found(invite, eve):
    invitation = invite()
    stranger = Membership.objects.get(user=eve)

    assert not invitations.revoke_invitation(member=stranger, invitation_id=invitation.pk)
    assert Invitation.objects.get().revoked_at is None


def test_an_admin_does_not_revoke_an_owner_s(invite, ada, bob):
    invitation = invite(made_by=ada, role=Role.OWNER)
    Membership.objects.filter(user=bob).update(role="admin")

    with pytest.raises(invitations.RoleAboveOwn):
        invitations.revoke_invitation(
            member=Membership.objects.get(user=bob), invitation_id=invitation.pk
        )


def test_an_organization_has_so_many_open_ones_at_most(invite, monkeypatch):
    monkeypatch.setattr(invitations, "MOST_OPEN", 2)
    invite()
    invite()
    with pytest.raises(invitations.TooManyInvitations):
        invite()

    Invitation.objects.update(revoked_at=timezone.now())
    assert invite()


def test_expired_ones_are_forgotten(invite):
    kept = invite()
    Invitation.objects.filter(pk=invite().pk).update(expires_at=timezone.now() - timedelta(days=1))

    forget_expired(now=timezone.now())

    assert Invitation.objects.get() == kept


def test_who_tries_many_links_waits(org, team, client):
    answers = {client.get(reverse("join"), {"invitation": f"x{n}"}).status_code for n in range(40)}

    assert answers == {403, 429}


@pytest.mark.parametrize("turn", range(5))
@pytest.mark.django_db(transaction=True)
def test_of_several_at_the_same_time_as_many_get_in_as_it_says(invite, org, turn):
    invitation = invite(max_uses=2)
    everybody = people(4)

    came = in_parallel(
        *[lambda who=who: invitations.join(user=who, invitation=invitation) for who in everybody]
    )

    assert sorted(isinstance(one, invitations.InvitationRefused) for one in came) == [
        False,
        False,
        True,
        True,
    ]
    assert org.members.count() == Invitation.objects.get().uses == 2
