"""The admin has no sign-in of its own, and asks staff for a second factor."""

import pytest
from allauth.mfa.models import Authenticator
from django.test import Client
from django.urls import reverse

from tests.second_factor import code_of, set_up

PASSWORD = "correct horse battery"
ADMIN, LOGIN, SET_UP = "/admin/", "/accounts/login/", "/accounts/2fa/totp/activate/"

pytestmark = pytest.mark.usefixtures("still_period")


@pytest.fixture
def asked(settings):
    """A Mesh that others reach: staff need a second factor."""
    settings.MESH_ADMIN_SECOND_FACTOR = True


@pytest.fixture
def staff(ada):
    ada.is_staff = ada.is_superuser = True
    ada.save()
    return ada


def sign_in(client, password=PASSWORD, **query):
    address = reverse("account_login", query=query)
    return client.post(address, {"login": "ada", "password": password})


def confirm(client, address):
    """Give the password again, as setting up a second factor asks."""
    return client.post(address, {"password": PASSWORD}, follow=True)


def authenticate(client, code):
    return client.post(reverse("mfa_authenticate"), {"code": code})


def opens(client):
    return client.get(ADMIN).status_code == 200


def test_a_stranger_is_sent_to_the_one_sign_in_and_back(client, staff):
    answer = client.get(ADMIN, follow=True)

    assert answer.redirect_chain[-1][0] == f"{LOGIN}?next=%2Fadmin%2F"


@pytest.mark.parametrize("path", ["/admin/login/", "/admin/", "/admin/links/link/"])
def test_the_admin_takes_no_password(client, staff, path):
    form = {"username": "ada", "password": PASSWORD, "this_is_the_login_form": "1"}

    answer = client.post(path, form)

    assert answer.status_code == 302
    assert "_auth_user_id" not in client.session


def test_a_person_who_is_no_staff_is_refused_without_a_second_sign_in(client, bob):
    client.force_login(bob)

    assert client.get(ADMIN, follow=True).status_code == 403


def test_the_way_back_leads_to_no_other_host(client, staff):
    client.force_login(staff)

    answer = client.get("/admin/login/", {"next": "https://evil.example/"})

    assert answer.headers["Location"] == ADMIN


def test_staff_without_a_second_factor_are_led_to_set_it_up(transactional_db, client, staff, asked):
    assert sign_in(client, next=ADMIN).headers["Location"] == ADMIN

    asked_again = client.get(ADMIN, follow=True)
    set_up_page = confirm(client, asked_again.redirect_chain[-1][0])
    client.post(SET_UP, {"code": code_of(client.session["mfa.totp.secret"])})

    assert "The admin pages need a second factor" in asked_again.content.decode()
    assert "Authenticator secret" in set_up_page.content.decode()
    assert opens(client)


def test_a_person_without_a_password_sees_the_recovery_codes_immediately(
    transactional_db, client, staff
):
    staff.set_unusable_password()
    staff.save()
    client.force_login(staff)
    page = client.get(SET_UP).content.decode()
    secret = client.session["mfa.totp.secret"]

    shown = client.post(SET_UP, {"code": code_of(secret)}, follow=True)

    assert secret in page
    assert "Unused codes" in shown.content.decode()


def test_a_password_alone_opens_no_admin_page(client, staff, asked):
    set_up(staff)
    sign_in(client)

    assert not opens(client)
    assert "_auth_user_id" not in client.session


def test_password_and_second_factor_open_the_admin(client, staff, asked):
    secret = set_up(staff)
    sign_in(client, next=ADMIN)

    assert authenticate(client, code_of(secret)).headers["Location"] == ADMIN
    assert opens(client)


def test_a_session_older_than_the_second_factor_must_prove_it(client, staff, asked):
    sign_in(client)
    secret = set_up(staff)

    assert client.get(ADMIN, follow=True).redirect_chain[-1][0].startswith("/accounts/2fa/")
    client.post(reverse("mfa_reauthenticate", query={"next": ADMIN}), {"code": code_of(secret)})

    assert opens(client)


def test_a_person_who_removes_the_second_factor_must_set_one_again(client, staff, asked):
    secret = set_up(staff)
    sign_in(client)
    authenticate(client, code_of(secret))
    Authenticator.objects.all().delete()

    assert not opens(client)


def test_recovery_codes_alone_are_no_second_factor(client, staff, asked):
    set_up(staff)
    Authenticator.objects.filter(type="totp").delete()
    sign_in(client)

    assert not opens(client)


@pytest.mark.parametrize("is_set_up", [False, True])
def test_where_it_is_not_asked_for_only_who_has_one_must_give_it(client, staff, is_set_up):
    client.force_login(staff)
    if is_set_up:
        set_up(staff)

    assert opens(client) is not is_set_up


def test_an_unverified_address_keeps_nobody_from_a_second_factor(client, staff):
    staff.emailaddress_set.create(email="ada@mesh.example", verified=False)
    sign_in(client)

    page = confirm(client, reverse("account_reauthenticate", query={"next": SET_UP}))

    assert "Authenticator secret" in page.content.decode()


@pytest.mark.parametrize("again", [ADMIN, "/admin/login/", LOGIN])
def test_wrong_passwords_are_counted_wherever_the_admin_sends_people(client, staff, again):
    for _ in range(5):
        sign_in(client, "wrong", next=again)

    assert b"Too many failed login attempts" in sign_in(client, next=again).content
    assert "_auth_user_id" not in client.session


def test_wrong_second_factors_are_counted_across_sessions(client, staff):
    secret = set_up(staff)
    for _ in range(5):
        other = Client()
        sign_in(other)
        authenticate(other, "000000")

    sign_in(client)
    authenticate(client, code_of(secret))

    assert "_auth_user_id" not in client.session


def test_an_old_password_is_changed_on_the_page_that_counts(client, staff):
    client.force_login(staff)

    answer = client.post("/admin/password_change/", {"old_password": "guessed"})

    assert answer.headers["Location"] == reverse("account_change_password")
    form = {"oldpassword": "wrong", "password1": "another horse b", "password2": "another horse b"}
    codes = [client.post(answer.headers["Location"], form).status_code for _ in range(6)]
    assert codes == [200] * 5 + [429]
