"""The members' page: who sees and does what on it."""

import re

import pytest
from django.test import Client
from django.urls import reverse

from mesh.models import Invitation, Membership, User

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def team(settings):
    settings.MESH_EMBEDDED = False


@pytest.fixture
def people(ada, bob, org, eve):
    """The memberships by the names of their people: one in each role, and a stranger's."""
    for name, role in (("ann", "admin"), ("vic", "viewer")):
        user = User.objects.create_user(name)
        Membership.objects.create(user=user, organization=org, role=role)
    return {each.user.username: each for each in Membership.objects.select_related("user")}


@pytest.fixture
def signed_in(people):
    """Return ``signed_in(name)``: a browser in which that person is signed in, or nobody."""

    def make(name=""):
        client = Client()
        if name:
            client.force_login(people[name].user)
        return client

    return make


def address(name, *args):
    return reverse(name, args=["home", *args])


def said(client, answer):
    """Return the notices on the page that an answer leads to."""
    assert answer.status_code == 302, answer
    page = client.get(answer.url).content.decode()
    found = re.findall(r'<div class="notice.*?role="(\w+)">\s*<span>(.*?)</span>', page, re.S)
    return [(role, re.sub(r"<.*?>", "", text)) for role, text in found]


INVITED = {"invite-role": "member", "invite-uses": "1", "invite-days": "7"}


@pytest.mark.parametrize(
    ("name", "status", "may_invite", "owns"),
    [
        ("ada", 200, True, True),
        ("ann", 200, True, False),
        ("bob", 200, False, False),
        ("vic", 200, False, False),
        ("eve", 404, False, False),
        ("", 302, False, False),
    ],
)
def test_who_sees_what(signed_in, name, status, may_invite, owns):
    answer = signed_in(name).get(address("settings_members"))
    page = answer.content.decode()

    assert answer.status_code == status
    assert ("Invite people" in page) is may_invite
    assert ("Hand over" in page) is owns
    if status == 200:
        names = re.findall(r'who__name">(?:<bdi[^>]*>)?(\w+)', page)
        assert names == ["ada", "ann", "bob", "vic"]


# Who may do what to Vic, a viewer; to somebody above them see tests/mesh/test_members.py.
CHANGES = [
    ("settings_member_role", {"role": "member"}),
    ("settings_member_owner", {}),
    ("settings_member_remove", {"chats": "keep"}),
]
ALLOWED = {"ada": set(range(3)), "ann": {0, 2}, "bob": set(), "vic": set(), "eve": set(), "": set()}


def state():
    return sorted(Membership.objects.values_list("user__username", "role"))


@pytest.mark.parametrize("number", range(3))
@pytest.mark.parametrize("name", ALLOWED)
def test_who_changes_a_member(signed_in, people, name, number):
    view, body = CHANGES[number]
    before = state()

    answer = signed_in(name).post(address(view, people["vic"].pk), body)

    if number in ALLOWED[name]:
        assert (answer.status_code, answer.url) == (302, address("settings_members"))
        assert state() != before
        return
    refused = {"eve": 404, "": 302}.get(name, 403)
    assert (answer.status_code, state()) == (refused, before)


@pytest.mark.parametrize("name", ALLOWED)
def test_who_invites_and_revokes(signed_in, name):
    may = name in ("ada", "ann")
    answer = signed_in(name).post(address("settings_invite"), INVITED)
    assert Invitation.objects.exists() is may
    if may:
        assert answer.status_code == 200
        assert Invitation.objects.get().made_by.username == name
        signed_in(name).post(address("settings_invitation_revoke", Invitation.objects.get().pk))
        assert Invitation.objects.get().revoked_at is not None
    else:
        assert answer.status_code == {"eve": 404, "": 302}.get(name, 403)


@pytest.mark.parametrize("name", ["bob", "vic", "eve", ""])
def test_who_does_not_revoke(signed_in, name):
    signed_in("ada").post(address("settings_invite"), INVITED)
    invitation = Invitation.objects.get()

    answer = signed_in(name).post(address("settings_invitation_revoke", invitation.pk))

    assert answer.status_code == {"eve": 404, "": 302}.get(name, 403)
    assert Invitation.objects.get().revoked_at is None


@pytest.mark.parametrize("name", ["ada", "ann", "bob", "vic", "eve", ""])
def test_who_leaves(signed_in, name):
    before = state()
    answer = signed_in(name).post(address("settings_leave"), {"chats": "keep"})

    gone = {each for each, _ in before} - {each for each, _ in state()}
    # Ada is the only owner; Eve is no member.
    assert gone == ({name} if name in ("ann", "bob", "vic") else set())
    assert answer.status_code == (404 if name == "eve" else 302)


def link_in(page):
    [link] = re.findall(r'id="invited" value="([^"]+)"', page)
    return link.replace("&amp;", "&")


def test_the_link_is_shown_once_and_lets_a_stranger_in(signed_in, org):
    ada = signed_in("ada")
    link = link_in(ada.post(address("settings_invite"), INVITED).content.decode())

    page = ada.get(address("settings_members")).content.decode()
    assert "1 use left" in page
    assert link.partition("invitation=")[2] not in page
    stranger = Client()
    stranger.get(link)
    stranger.post(
        reverse("account_signup"),
        {"username": "grace", "password1": "correct horse b", "password2": "correct horse b"},
    )
    assert Membership.objects.get(user__username="grace").organization == org
    assert "1 use left" not in ada.get(address("settings_members")).content.decode()


@pytest.mark.parametrize(
    "wrong",
    [
        {"invite-role": "owner"},
        {"invite-role": "guest"},
        {"invite-uses": "0"},
        {"invite-uses": "-1"},
        {"invite-days": "3650"},
        {"invite-days": ""},
    ],
)
def test_a_wrong_invitation_is_refused_on_the_page(signed_in, wrong):
    answer = signed_in("ann").post(address("settings_invite"), INVITED | wrong)

    assert answer.status_code == 400
    assert "errorlist" in answer.content.decode()
    assert not Invitation.objects.exists()


def test_a_mesh_of_one_person_invites_nobody(signed_in, settings):
    settings.MESH_EMBEDDED = True
    ada = signed_in("ada")
    assert "Make a link" not in ada.get(address("settings_members")).content.decode()

    [(role, _)] = said(ada, ada.post(address("settings_invite"), INVITED))

    assert role == "alert"
    assert not Invitation.objects.exists()


@pytest.mark.parametrize(
    ("view", "who", "body", "words"),
    [
        ("settings_member_role", "ada", {"role": "member"}, "only one"),
        ("settings_member_role", "bob", {"role": "guest"}, "no such role"),
        ("settings_member_role", "bob", {}, "no such role"),
        ("settings_member_owner", "ada", {}, "owner already"),
        ("settings_member_remove", "bob", {}, "the chats"),
        ("settings_member_remove", "bob", {"chats": "burn"}, "the chats"),
        ("settings_member_remove", "ada", {"chats": "keep"}, "This is you"),
    ],
)
def test_a_refusal_says_why_and_changes_nothing(signed_in, people, view, who, body, words):
    ada, before = signed_in("ada"), state()

    [(role, text)] = said(ada, ada.post(address(view, people[who].pk), body))

    assert role == "alert"
    assert words in text
    assert state() == before


def test_an_admin_does_not_touch_an_owner(signed_in, people):
    ann, before = signed_in("ann"), state()
    for view, body in CHANGES[::2]:
        [(role, _)] = said(ann, ann.post(address(view, people["ada"].pk), body))
        assert role == "alert"

    assert state() == before


@pytest.mark.parametrize("view", [view for view, _ in CHANGES])
@pytest.mark.parametrize("which", ["eve", "nobody", "more than a number"])
def test_a_member_who_is_not_here_is_not_found(signed_in, people, view, which):
    number = {"eve": people["eve"].pk, "nobody": 10**6}.get(which, 10**30)

    answer = signed_in("ada").post(address(view, number), {"role": "member", "chats": "keep"})

    assert answer.status_code == 404


def test_who_is_removed_is_out(signed_in, people):
    vic = signed_in("vic")
    assert vic.get(address("home")).status_code == 200

    signed_in("ada").post(address("settings_member_remove", people["vic"].pk), {"chats": "keep"})

    assert vic.get(address("home")).status_code == 404
    assert vic.get("/").status_code == 403  # signed in, and in no organization


def test_forms_are_guarded_against_other_sites(people):
    client = Client(enforce_csrf_checks=True)
    client.force_login(people["ada"].user)

    assert client.post(address("settings_invite"), INVITED).status_code == 403
    assert not Invitation.objects.exists()


def test_hundreds_of_members_cost_as_many_queries_as_one(
    signed_in, org, django_assert_max_num_queries
):
    users = User.objects.bulk_create(User(username=f"u{n}") for n in range(300))
    Membership.objects.bulk_create(Membership(user=user, organization=org) for user in users)
    ada = signed_in("ada")

    with django_assert_max_num_queries(8):
        page = ada.get(address("settings_members")).content.decode()
    assert "u299" in page
