"""People: the owner of an embedded Mesh, their tokens, and their organizations."""

import pytest
from allauth.idp.oidc.models import Token
from django.core.management import CommandError, call_command

from mesh import services
from mesh.models import Membership, Role, User
from mesh.selectors import NotFound, get_membership
from mesh.tokens import bearer
from tests.tokens import find_user_by_token


def test_the_embedded_start_makes_owner_and_home_once(db):
    first, again = services.make_home(username="ada"), services.make_home(username="ada")

    assert first == again
    assert Membership.objects.get().role == Role.OWNER
    assert not first.has_usable_password()


def test_a_token_names_its_person_until_it_is_revoked(ada):
    value = services.make_token(user=ada)

    assert find_user_by_token(value) == ada
    Token.objects.all().delete()
    assert find_user_by_token(value) is None


def test_no_token_of_someone_who_was_shut_out(ada):
    value = services.make_token(user=ada)
    User.objects.update(is_active=False)

    assert find_user_by_token(value) is None


def test_only_the_hash_of_a_token_is_kept(ada):
    value = services.make_token(user=ada)

    assert value not in str(Token.objects.values())


@pytest.mark.parametrize(
    ("header", "token"),
    [
        pytest.param("Bearer abc", "abc", id="usual"),
        pytest.param("bearer  abc ", "abc", id="lower case, spaces"),
        pytest.param("Basic abc", "", id="another scheme"),
        pytest.param("", "", id="none"),
    ],
)
def test_bearer(header, token):
    assert bearer(header) == token


def test_mesh_token_prints_the_owners(ada, bob, capsys):
    call_command("mesh_token")

    assert find_user_by_token(capsys.readouterr().out.strip()) == ada


def test_mesh_token_prints_anothers(ada, bob, capsys):
    call_command("mesh_token", "bob")

    assert find_user_by_token(capsys.readouterr().out.strip()) == bob


def test_mesh_token_knows_no_strangers(ada):
    with pytest.raises(CommandError, match="no user 'mallory'"):
        call_command("mesh_token", "mallory")


def test_a_foreign_organization_looks_like_none(ada, eve):
    for slug in ["other", "nowhere"]:
        with pytest.raises(NotFound):
            get_membership(viewer=ada, slug=slug)
