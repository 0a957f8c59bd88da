"""What ends a sign-in for those who are connected by it."""

import pytest
from allauth.idp.oidc.models import Token
from django.contrib.sessions.models import Session
from django.test import Client
from django.utils import timezone

from mesh.credentials import Credential, find_good, find_starters, unseal
from mesh.models import Membership, User
from mesh.services import make_token
from mesh.tokens import find_sign_in


def by_session(user):
    browser = Client()
    browser.force_login(user)
    return Credential(user.pk, session_key=browser.session.session_key)


def by_token(user):
    return Credential(user.pk, token_id=find_sign_in(make_token(user=user)).token_id)


def change_password():
    user = User.objects.get()
    user.set_password("another horse battery")
    user.save()


def sign_in_as_somebody_else():
    """The same session, of another person now."""
    session = Session.objects.get()
    store = session.get_session_store_class()(session.session_key)
    store["_auth_user_id"] = "999"
    store.save()


@pytest.mark.parametrize("made", [by_session, by_token])
def test_a_sign_in_holds(ada, made):
    credential = made(ada)

    assert find_good([credential]) == {credential}


@pytest.mark.parametrize(
    ("made", "end"),
    [
        pytest.param(by_session, Session.objects.all().delete, id="signed out"),
        pytest.param(
            by_session,
            lambda: Session.objects.update(expire_date=timezone.now()),
            id="the session expired",
        ),
        pytest.param(by_session, change_password, id="another password"),
        pytest.param(by_session, lambda: User.objects.update(is_active=False), id="shut out"),
        pytest.param(by_session, sign_in_as_somebody_else, id="somebody else's session now"),
        pytest.param(
            by_session, lambda: Session.objects.update(session_data="x"), id="a broken session"
        ),
        pytest.param(by_token, Token.objects.all().delete, id="revoked"),
        pytest.param(
            by_token,
            lambda: Token.objects.update(expires_at=timezone.now()),
            id="the token expired",
        ),
        pytest.param(by_token, lambda: User.objects.update(is_active=False), id="its person"),
    ],
)
def test_it_ends(ada, made, end):
    credential = made(ada)
    end()

    assert find_good([credential]) == set()


def test_another_password_does_not_end_a_token(ada):
    credential = by_token(ada)
    change_password()

    assert find_good([credential]) == {credential}


def test_one_that_stands_on_nothing_never_holds(ada):
    assert find_good([Credential(ada.pk)]) == set()


def test_nobody_comes_by_another_person_s_token(ada, eve):
    stolen = Credential(ada.pk, token_id=by_token(eve).token_id)

    assert find_good([stolen]) == set()


def test_any_number_costs_three_queries(ada, bob, django_assert_max_num_queries):
    credentials = [make(user) for user in (ada, bob) for make in [by_session, by_token] * 5]

    with django_assert_max_num_queries(3):
        assert find_good(credentials) == set(credentials)


def test_a_viewer_may_start_nothing(ada, org):
    Membership.objects.update(role="viewer")

    assert find_starters({(ada.pk, org.pk)}) == set()


def test_members_are_told_from_strangers(ada, eve, org):
    asked = {(ada.pk, org.pk), (eve.pk, org.pk)}

    assert find_starters(asked) == {(ada.pk, org.pk)}


@pytest.mark.parametrize("made", [by_session, by_token])
def test_it_is_written_down_without_its_secret(ada, made):
    credential = made(ada)
    text = credential.sealed()

    assert not credential.session_key or credential.session_key not in text
    assert unseal(text, user_id=ada.pk) == credential


@pytest.mark.parametrize("text", ["", "token:", "token:x", "token:-1", "session:x", "other:1"])
def test_what_is_none_is_not_read(text, settings):
    assert unseal(text, user_id=1) is None
