"""Pages of no app: entering by the printed address, signing up, and what sends no mail."""

from datetime import timedelta

import pytest
from allauth.idp.oidc.models import Token
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from mesh import services, sign_in_link
from mesh.models import User
from tests.second_factor import code_of, set_up


@pytest.fixture
def embedded(settings):
    """A Mesh of one person, which alone has tickets."""
    settings.MESH_EMBEDDED = True


def test_the_printed_address_signs_in_once(embedded, ada, client):
    ticket = sign_in_link.make_ticket(user=ada)

    answer = client.get(reverse("enter"), {"ticket": ticket})

    assert (answer.status_code, answer.url) == (302, "/")
    assert client.session["_auth_user_id"] == str(ada.pk)
    assert Client().get(reverse("enter"), {"ticket": ticket}).status_code == 403


def test_who_is_signed_in_already_may_use_the_address_again(ada, client):
    client.force_login(ada)

    assert client.get(reverse("enter"), {"ticket": "used"}).status_code == 302


def test_a_ticket_is_no_way_round_the_second_factor(embedded, ada, client, still_period):
    secret = set_up(ada)

    answer = client.get(reverse("enter"), {"ticket": sign_in_link.make_ticket(user=ada)})

    assert answer.url == reverse("mfa_authenticate")
    assert "_auth_user_id" not in client.session
    assert client.post(answer.url, {"code": code_of(secret)}).url == "/"
    assert client.session["_auth_user_id"] == str(ada.pk)


def test_no_ticket_opens_a_mesh_of_several_people(ada, client, settings):
    settings.MESH_EMBEDDED = False

    answer = client.get(reverse("enter"), {"ticket": sign_in_link.make_ticket(user=ada)})

    assert (answer.status_code, "_auth_user_id" in client.session) == (403, False)


def test_wrong_tickets_are_counted_and_lock_nobody_out(embedded, ada, client):
    wrong = [client.get(reverse("enter"), {"ticket": "guess"}).status_code for _ in range(11)]

    right = client.get(reverse("enter"), {"ticket": sign_in_link.make_ticket(user=ada)})

    assert wrong == [403] * 10 + [429]
    assert right.status_code == 302


@pytest.mark.parametrize(
    "path",
    ["password/reset/", "password/reset/key/a-b/", "confirm-email/", "confirm-email/MQ:a:b/"],
)
def test_no_page_promises_a_mail_that_is_never_sent(ada, client, path, capfd):
    for answer in (
        client.get(f"/accounts/{path}"),
        client.post(f"/accounts/{path}", {"email": ada.email}),
    ):
        assert "This server sends no e-mail" in answer.content.decode()
    assert "reset" not in capfd.readouterr().out


def test_an_address_can_be_added_and_nothing_is_written_down(ada, client, capfd):
    client.force_login(ada)
    form = {"email": "ada@home.example", "action_add": ""}

    page = client.post(reverse("account_email"), form, follow=True).content.decode()

    assert "Confirm Access" in page or "ada@home.example" in page
    assert "confirm-email" not in capfd.readouterr().out


def test_an_old_ticket_opens_nothing(embedded, ada, client):
    ticket = sign_in_link.make_ticket(user=ada)
    Token.objects.update(expires_at=timezone.now() - timedelta(seconds=1))

    assert client.get(reverse("enter"), {"ticket": ticket}).status_code == 403


def test_an_access_token_is_no_ticket(embedded, ada, client):
    token = services.make_token(user=ada)

    assert client.get(reverse("enter"), {"ticket": token}).status_code == 403


SIGN_UP = {"username": "mallory", "password1": "correct horse b", "password2": "correct horse b"}


@pytest.fixture
def open_to_all(settings):
    settings.MESH_EMBEDDED = False
    settings.MESH_OPEN_SIGNUP = True
    return settings


def signing_up(client):
    """The answers to who looks at the page, and to who sends its form."""
    address = reverse("account_signup")
    return client.get(address), client.post(address, SIGN_UP)


def test_sign_up_is_closed_until_the_operator_opens_it(client, ada, open_to_all):
    open_to_all.MESH_OPEN_SIGNUP = False

    for answer in signing_up(client):
        assert answer.status_code == 403
        assert "manage.py mesh_invite" in answer.content.decode()
    assert not User.objects.filter(username="mallory").exists()


def test_sign_up_is_closed_until_there_is_an_owner(client, db, open_to_all):
    for answer in signing_up(client):
        assert answer.status_code == 403
        assert "manage.py mesh_owner" in answer.content.decode()
    assert not User.objects.exists()


def test_nobody_opens_an_account_on_an_embedded_mesh(client, ada, open_to_all):
    open_to_all.MESH_EMBEDDED = True

    assert [answer.status_code for answer in signing_up(client)] == [403, 403]
    assert not User.objects.filter(username="mallory").exists()


def test_who_signs_up_where_it_is_open_belongs_to_nothing(client, ada, open_to_all):
    page, done = signing_up(client)

    assert (page.status_code, done.status_code) == (200, 302)
    mallory = User.objects.get(username="mallory")
    assert not mallory.is_staff
    assert not mallory.memberships.exists()
