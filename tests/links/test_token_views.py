"""The page of a person's tokens: made there, shown once, listed without their value, revoked."""

import re
from datetime import timedelta

import pytest
from allauth.idp.oidc.models import Token
from django.test import Client
from django.utils import timezone

from mesh.models import IssuedToken, Pairing
from mesh.services import make_token
from mesh.tokens import find_sign_in

PAGE = "/accounts/machines/tokens"
FORM = {"name": "nightly <b>", "scope": "user", "days": "30"}


@pytest.fixture
def page(client, ada):
    """Return ``page()``: what ada sees."""
    client.force_login(ada)
    return lambda: client.get(PAGE).content.decode()


def value_in(answer):
    [value] = re.findall(r'id="token" value="([^"]+)"', answer.content.decode())
    return value


def test_a_new_token_is_shown_once_and_works(page, client, ada):
    page()
    answer = client.post(PAGE, FORM)
    value = value_in(answer)

    assert answer.headers["Cache-Control"].count("no-store")
    assert find_sign_in(value).user == ada
    assert not find_sign_in(value).is_machine
    shown = page()
    assert value not in shown
    assert "nightly &lt;b&gt;" in shown
    assert "can do everything that you can" in shown


@pytest.mark.parametrize(("scope", "is_machine"), [("user", False), ("machine", True)])
@pytest.mark.parametrize("days", [7, 30, 90, 365])
def test_it_has_the_scope_and_expiry_that_were_chosen(page, client, scope, is_machine, days):
    page()
    value = value_in(client.post(PAGE, FORM | {"scope": scope, "days": str(days)}))

    left = Token.objects.get().expires_at - timezone.now()
    assert timedelta(days=days - 1) < left <= timedelta(days=days)
    assert find_sign_in(value).is_machine is is_machine


@pytest.mark.parametrize(
    "wrong",
    [
        {"name": ""},
        {"name": "  "},
        {"name": "x" * 121},
        {"scope": "admin"},
        {"scope": ""},
        {"days": "0"},
        {"days": "99999"},
        {"days": "x"},
    ],
)
def test_a_wrong_form_makes_no_token(page, client, wrong):
    page()

    assert client.post(PAGE, FORM | wrong).status_code == 400
    assert not Token.objects.exists()


def test_a_person_has_so_many_at_most(page, client, monkeypatch):
    monkeypatch.setattr("links.token_views.MOST_TOKENS", 2)
    page()
    answers = [client.post(PAGE, FORM).status_code for _ in range(3)]

    assert answers == [200, 200, 400]
    assert Token.objects.count() == 2


def test_other_sites_make_none(ada):
    client = Client(enforce_csrf_checks=True)
    client.force_login(ada)

    assert client.post(PAGE, FORM).status_code == 403
    assert not Token.objects.exists()


def test_a_stranger_signs_in_first(client, db):
    for answer in (client.get(PAGE), client.post(PAGE, FORM)):
        assert answer.url.startswith("/accounts/login/")
    assert not Token.objects.exists()


def test_a_token_makes_no_other(client, ada):
    headers = {"Authorization": f"Bearer {make_token(user=ada)}"}

    assert client.post(PAGE, FORM, headers=headers).status_code == 302
    assert Token.objects.count() == 1


def test_the_list_has_what_is_known_of_each(page, ada):
    make_token(user=ada, name="build", scope="machine", machine_id="m1")
    Pairing.objects.create(state="paired", user=ada, hostname="mbp", machine_id="m2")
    shown = page()

    for part in ("build", "one machine only", "m1", "never", "Expires"):
        assert part in shown


def test_only_one_s_own_are_listed(page, eve):
    make_token(user=eve, name="of eve")

    assert "of eve" not in page()


def test_a_person_revokes_a_token(page, client, ada):
    page()
    value = make_token(user=ada)
    answer = client.post(f"{PAGE}/{IssuedToken.objects.get().pk}/revoke")

    assert (answer.status_code, answer.url) == (302, PAGE)
    assert find_sign_in(value) is None


def test_a_stranger_s_token_is_not_there(page, client, eve):
    page()
    value = make_token(user=eve)
    issued = IssuedToken.objects.get()

    assert client.post(f"{PAGE}/{issued.pk}/revoke").status_code == 404
    assert client.get(f"{PAGE}/{issued.pk}/revoke").status_code == 405
    assert find_sign_in(value)


def test_many_tokens_cost_as_many_queries_as_one(page, client, ada, django_assert_max_num_queries):
    page()
    for number in range(40):
        make_token(user=ada, name=f"t{number}")

    with django_assert_max_num_queries(6):
        client.get(PAGE)
