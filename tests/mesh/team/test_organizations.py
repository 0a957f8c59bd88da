"""Another organization of a person: who may make one, and how they change between them."""

import pytest
from django.test import Client
from django.urls import reverse

from mesh import services
from mesh.models import Membership, Organization
from tests.threads.races import in_parallel

pytestmark = pytest.mark.django_db
PAGE = reverse("new_organization")


@pytest.fixture
def post():
    """Return ``post(user, **form)``: what that user's form is answered."""

    def send(user, **form):
        client = Client()
        client.force_login(user)
        return client.post(PAGE, form)

    return send


def test_the_founder_owns_it_and_sees_it(post, ada):
    answer = post(ada, name="Acme Research")

    made = Membership.objects.get(organization__slug="acme-research")
    assert (made.user, made.role, made.organization.name) == (ada, "owner", "Acme Research")
    assert answer.url == "/acme-research/settings/members"


@pytest.mark.parametrize(
    ("role", "is_staff", "may"),
    [
        ("owner", False, True),
        ("admin", False, True),
        ("member", False, False),
        ("viewer", False, False),
        ("viewer", True, True),
    ],
)
def test_who_may_make_one(post, ada, role, is_staff, may):
    Membership.objects.update(role=role)
    ada.is_staff = is_staff
    ada.save()

    answer = post(ada, name="Acme")

    assert answer.status_code == (302 if may else 403)
    assert Organization.objects.filter(slug="acme").exists() is may


def test_a_person_of_no_organization_makes_none(post, ada):
    Membership.objects.all().delete()

    assert post(ada, name="Acme").status_code == 403


def test_a_stranger_signs_in_first(client):
    assert client.get(PAGE).url.startswith("/accounts/login/")
    assert client.post(PAGE, {"name": "Acme"}).url.startswith("/accounts/login/")


@pytest.mark.parametrize(
    ("form", "words"),
    [
        ({"name": ""}, "required"),
        ({"name": "  "}, "required"),
        ({"name": "x" * 121}, "at most 120"),
        ({"name": "+++"}, "short name of letters"),
        ({"name": "日本"}, "short name of letters"),
        ({"name": "A", "slug": "-a"}, "short name of letters"),
        ({"name": "A", "slug": "a_b"}, "short name of letters"),
        ({"name": "A", "slug": "a/b"}, "short name of letters"),
        ({"name": "A", "slug": "x" * 61}, "at most 60"),
        ({"name": "Admin"}, "Mesh uses that address"),
        ({"name": "A", "slug": "ADMIN"}, "Mesh uses that address"),
        ({"name": "Home"}, "short name already"),
    ],
)
def test_a_wrong_name_is_refused_on_the_page(post, ada, form, words):
    answer = post(ada, **form)

    assert answer.status_code == 400
    assert words in answer.content.decode()
    assert Organization.objects.count() == 1


def test_a_person_owns_so_many_at_most(post, ada, monkeypatch):
    monkeypatch.setattr("mesh.services.people.MOST_OWNED", 2)
    post(ada, name="Second")

    assert post(ada, name="Third").status_code == 400
    assert Organization.objects.count() == 2


def test_every_short_name_of_the_form_is_one_of_the_url_map(post, ada):
    post(ada, name="A", slug="a--9")

    assert reverse("home", args=["a--9"]) == "/a--9/"
    client = Client()
    client.force_login(ada)
    assert client.get("/a--9/").status_code == 200


def test_with_one_organization_there_is_nothing_to_change(ada, agent, client):
    client.force_login(ada)

    assert 'id="organizations"' not in client.get("/home/").content.decode()


def test_with_two_each_page_leads_to_the_other(ada, agent, client, eve):
    Membership.objects.create(user=ada, organization=eve.organizations.get(), role="viewer")
    client.force_login(ada)
    page = client.get("/home/").content.decode()

    assert 'href="/other/"' in page
    assert 'aria-current="true"' in page
    assert 'href="/home/"' in client.get("/other/").content.decode()


def test_only_one_s_own_are_named(ada, agent, client, eve):
    client.force_login(ada)

    assert "/other/" not in client.get("/home/").content.decode()


@pytest.mark.parametrize("turn", range(5))
@pytest.mark.django_db(transaction=True)
def test_of_two_with_one_short_name_one_is_made(ada, eve, turn):
    done = in_parallel(
        *[
            lambda who=who: services.found_organization(owner=who, name="Acme", slug="acme")
            for who in (ada, eve)
        ]
    )

    assert sum(isinstance(one, services.SlugTaken) for one in done) == 1
    assert Membership.objects.filter(organization__slug="acme").count() == 1
