"""The rules that the tables of people, organizations and sign-ins enforce."""

from datetime import UTC, datetime

import pytest
from allauth.idp.oidc.models import Token
from django.db import IntegrityError

from mesh.models import (
    CacheEntry,
    IssuedToken,
    Membership,
    Organization,
    Pairing,
    Role,
    UsedTicket,
    User,
    WrongCode,
)
from mesh.services import make_token

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


@pytest.fixture
def issued(ada):
    """The row of a token of Ada's."""
    make_token(user=ada, name="laptop")
    return IssuedToken.objects.get()


def test_two_organizations_never_share_a_slug(org):
    with pytest.raises(IntegrityError):
        Organization.objects.create(slug="home", name="Another home")


def test_a_person_is_a_member_of_an_organization_once(ada, org):
    with pytest.raises(IntegrityError):
        Membership.objects.create(user=ada, organization=org, role=Role.ADMIN)


def test_a_person_is_a_member_of_several_organizations(ada, org):
    other = Organization.objects.create(slug="other", name="Other")

    Membership.objects.create(user=ada, organization=other)

    assert set(ada.organizations.all()) == {org, other}


@pytest.mark.parametrize("role", ["", "guest", "Owner", None])
def test_the_database_refuses_an_unknown_role(ada, role):
    with pytest.raises(IntegrityError):
        Membership.objects.filter(user=ada).update(role=role)


def test_a_new_member_may_not_manage(eve, org):
    added = Membership.objects.create(user=eve, organization=org)

    assert added.role == Role.MEMBER


@pytest.mark.parametrize(
    ("role", "manages", "starts"),
    [
        (Role.OWNER, True, True),
        (Role.ADMIN, True, True),
        (Role.MEMBER, False, True),
        (Role.VIEWER, False, False),
    ],
)
def test_owners_and_admins_manage_and_viewers_start_nothing(role, manages, starts):
    assert (role.manages, role.starts) == (manages, starts)


def test_an_organization_takes_its_memberships_along_but_not_its_people(ada, org):
    org.delete()

    assert not Membership.objects.exists()
    assert User.objects.get() == ada


def test_a_person_takes_their_sign_ins_along_but_not_the_organization(ada, bob, org, issued):
    for user in (ada, bob):
        Pairing.objects.create(state="paired", user=user)
        WrongCode.objects.create(user=user, address="192.0.2.1")

    ada.delete()

    assert not IssuedToken.objects.exists()
    for model in (Membership, Pairing, WrongCode):
        assert model.objects.get().user == bob
    assert Organization.objects.get() == org


def test_a_revoked_token_takes_its_row_along_but_not_the_person(ada, issued):
    Token.objects.all().delete()

    assert not IssuedToken.objects.exists()
    assert User.objects.get() == ada


def test_a_token_has_one_row_of_ours(issued):
    with pytest.raises(IntegrityError):
        IssuedToken.objects.create(token=issued.token, name="again")


@pytest.mark.parametrize(
    ("state", "has_user", "expires_at"),
    [
        pytest.param("asked", True, NOON, id="answered, yet still asking"),
        pytest.param("approved", False, NOON, id="approved by nobody"),
        pytest.param("denied", False, NOON, id="denied by nobody"),
        pytest.param("paired", False, None, id="nobody's machine"),
        pytest.param("paired", True, NOON, id="a sign-in that ends with its code"),
        pytest.param("asked", False, None, id="a code that never expires"),
        pytest.param("lost", True, NOON, id="no such state"),
    ],
)
def test_the_database_refuses_a_pairing(ada, state, has_user, expires_at):
    with pytest.raises(IntegrityError):
        Pairing.objects.create(state=state, user=ada if has_user else None, expires_at=expires_at)


@pytest.mark.parametrize(
    ("state", "has_user", "expires_at"),
    [
        ("asked", False, NOON),
        ("approved", True, NOON),
        ("denied", True, NOON),
        ("paired", True, None),
    ],
)
def test_the_database_accepts_a_pairing(ada, state, has_user, expires_at):
    Pairing.objects.create(state=state, user=ada if has_user else None, expires_at=expires_at)

    assert Pairing.objects.get().state == state


@pytest.mark.parametrize("field", ["device_code", "user_code"])
def test_a_code_belongs_to_one_pairing(db, field):
    Pairing.objects.create(expires_at=NOON, **{field: "x"})

    with pytest.raises(IntegrityError):
        Pairing.objects.create(expires_at=NOON, **{field: "x"})


def test_any_number_of_pairings_have_no_code_any_more(ada):
    for _ in range(2):
        Pairing.objects.create(state="paired", user=ada)

    assert ada.pairings.count() == 2


@pytest.mark.parametrize(
    ("row", "text"),
    [
        pytest.param(Organization(slug="home", name="Home"), "Home", id="organization"),
        pytest.param(
            Membership(user=User(username="ada"), organization=Organization(name="Home")),
            "ada in Home (member)",
            id="membership",
        ),
        pytest.param(Pairing(hostname="mbp"), "mbp", id="pairing"),
        pytest.param(Pairing(), "an unnamed machine", id="pairing of a machine without a name"),
        pytest.param(IssuedToken(name="laptop"), "laptop", id="token"),
        pytest.param(
            WrongCode(user_id=7, address="192.0.2.1"), "wrong code of 7 from 192.0.2.1", id="code"
        ),
        pytest.param(UsedTicket(digest="0123456789"), "used ticket 01234567", id="ticket"),
        pytest.param(CacheEntry(cache_key="rate:ada"), "rate:ada", id="cache entry"),
    ],
)
def test_a_row_has_a_name_for_the_admin(row, text):
    assert str(row) == text
