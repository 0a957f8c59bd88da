"""Invitations: one person, once, into the organization and the role that they name."""

from datetime import timedelta
from urllib.parse import parse_qs, urlsplit

import pytest
from django.core.management import CommandError, call_command
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from mesh import invitations
from mesh.accounts import AccountAdapter
from mesh.models import Membership, Role, User

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
        invitations.join(user=eve, text=invitation)
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


@pytest.mark.parametrize("wrong", ["x", "", "e30:1:1"])
def test_what_is_no_invitation_opens_nothing(team, ada, client, wrong):
    answer = client.get(reverse("join"), {"invitation": wrong})

    assert answer.status_code == 403
    assert client.get(reverse("account_signup")).status_code == 403


def test_it_is_good_for_a_week(invitation, client, monkeypatch):
    later = timezone.now() + invitations.LIFE + timedelta(minutes=1)
    monkeypatch.setattr("django.core.signing.time.time", later.timestamp)

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
    assert invitations.read_invitation(text)[0].role == Role.ADMIN


@pytest.mark.parametrize(("words", "embedded"), [(["--org", "none"], False), ([], True)])
def test_the_command_refuses(org, settings, words, embedded):
    settings.MESH_EMBEDDED = embedded

    with pytest.raises(CommandError):
        call_command("mesh_invite", *words)
