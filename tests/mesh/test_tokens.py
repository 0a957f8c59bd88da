"""What a token opens, until when, and how its person sees and ends it."""

from datetime import timedelta
from io import StringIO
from uuid import UUID

import pytest
from allauth.idp.oidc.models import Token
from django.core.management import CommandError, call_command
from django.urls import get_resolver
from django.utils import timezone

from mesh import selectors, services, tokens
from mesh.models import IssuedToken, Pairing
from mesh.services import make_token
from mesh.tokens import WrongMachine, bind, find_ended, find_sign_in


def is_good(value):
    return find_sign_in(value) is not None


def used_at(**change):
    IssuedToken.objects.update(**change)
    return IssuedToken.objects.get().last_used_at


@pytest.mark.parametrize(
    ("scope", "is_machine"),
    [pytest.param("user", False, id="user"), pytest.param("machine", True, id="machine")],
)
def test_a_token_has_a_scope_and_an_expiry(ada, scope, is_machine):
    sign_in = find_sign_in(make_token(user=ada, scope=scope))

    assert (sign_in.scope, sign_in.is_machine) == (scope, is_machine)
    assert Token.objects.get().expires_at > timezone.now() + timedelta(days=89)


@pytest.mark.parametrize("scopes", ["", "user\nlink", "admin"], ids=repr)
def test_what_is_not_plainly_a_person_s_token_is_a_machine_s(ada, scopes):
    value = make_token(user=ada)
    Token.objects.update(scopes=scopes)

    assert find_sign_in(value).is_machine


def test_a_token_that_mesh_did_not_make_opens_nothing(ada):
    value = make_token(user=ada)
    IssuedToken.objects.all().delete()

    assert not is_good(value)


def test_a_token_expires(ada):
    value = make_token(user=ada, life=timedelta(days=1))
    sign_in = find_sign_in(value)
    Token.objects.update(expires_at=timezone.now())

    assert not is_good(value)
    assert find_ended([sign_in]) == {sign_in}


def test_the_last_use_is_noted_once_a_minute(ada, django_assert_num_queries):
    value = make_token(user=ada)
    find_sign_in(value)
    first = used_at()
    assert first is not None

    with django_assert_num_queries(1):
        find_sign_in(value)
    assert used_at() == first

    before = used_at(last_used_at=first - timedelta(seconds=61))
    find_sign_in(value)
    assert used_at() > before


@pytest.mark.parametrize(
    ("scope", "lives_on"),
    [pytest.param("machine", True, id="machine"), pytest.param("user", False, id="user")],
)
def test_only_a_machine_s_token_lives_on_by_being_used(ada, scope, lives_on):
    value = make_token(user=ada, scope=scope, life=timedelta(days=1))
    find_sign_in(value)

    ends = Token.objects.get().expires_at
    assert (ends > timezone.now() + timedelta(days=2)) == lives_on


def test_an_open_tunnel_keeps_its_token_in_use(ada):
    sign_in = find_sign_in(make_token(user=ada, scope="machine"))
    before = used_at(last_used_at=timezone.now() - timedelta(hours=1))

    tokens.note_use({sign_in})

    assert used_at() > before


def test_the_first_machine_has_the_token(ada):
    value = make_token(user=ada, scope="machine")
    first = second = find_sign_in(value)
    bind(first, "m1")
    bind(find_sign_in(value), "m1")

    with pytest.raises(WrongMachine):
        bind(second, "m2")
    assert find_sign_in(value).machine_id == "m1"


def test_a_person_s_token_is_bound_to_no_machine(ada):
    sign_in = find_sign_in(make_token(user=ada))
    bind(sign_in, "m1")

    assert sign_in.speaks_for("m2")
    assert IssuedToken.objects.get().machine_id == ""


def test_expired_tokens_are_cleared_away_with_the_next(ada):
    make_token(user=ada)
    Token.objects.update(expires_at=timezone.now())
    make_token(user=ada)

    assert Token.objects.count() == 1


# The list


def test_a_person_sees_their_own_tokens(ada, eve):
    make_token(user=ada, name="notebook")
    make_token(user=eve, name="eve's")

    (view,) = selectors.list_tokens(viewer=ada)
    assert (view.name, view.scope, view.last_used_at) == ("notebook", "user", None)
    assert view.expires_at > view.created_at


def test_of_an_expired_token_nothing_is_listed(ada):
    make_token(user=ada)
    Token.objects.update(expires_at=timezone.now())

    assert selectors.list_tokens(viewer=ada) == []


# The command


def told(*words):
    out = StringIO()
    call_command("mesh_token", *words, stdout=out)
    return out.getvalue().strip()


def test_a_machine_s_token_is_made_by_name(ada):
    sign_in = find_sign_in(told("--machine", "build-7"))

    assert (sign_in.scope, sign_in.machine_id) == ("machine", "")
    assert IssuedToken.objects.get().name == "build-7"


def test_tokens_are_listed_without_their_value(ada):
    value = told("--name", "nightly", "--days", "3")
    find_sign_in(value)
    shown = told("--list")

    assert value not in shown
    assert all(word in shown for word in ("nightly", "user", "made", "used", "expires"))


def test_a_token_is_revoked_by_its_id(ada):
    value = told()
    told("--revoke", str(IssuedToken.objects.get().pk))

    assert not is_good(value)
    assert told("--list") == ""


@pytest.mark.parametrize("words", [["--days", "0"], ["--revoke", str(UUID(int=1))]], ids=str)
def test_the_command_refuses(ada, words):
    with pytest.raises(CommandError):
        told(*words)


def test_another_person_s_token_is_not_revoked(ada, eve):
    value = make_token(user=eve)

    with pytest.raises(CommandError):
        told("ada", "--revoke", str(IssuedToken.objects.get().pk))
    assert is_good(value)


# Short names of organizations


def first_words(patterns, below=""):
    """Return the first words of the addresses below ``below`` that a slug could be."""
    words = set()
    for one in patterns:
        path = str(one.pattern)
        if hasattr(one, "url_patterns") and path in ("", below):
            words |= first_words(one.url_patterns)
        elif not below:
            words.add(path.lstrip(".").split("/")[0].partition(".")[0])
        elif path.startswith(below):
            words.add(path.removeprefix(below).split("/")[0])
    return {word for word in words if word and not word.startswith("<")}


def test_no_organization_is_called_like_an_address_of_mesh():
    patterns = get_resolver().url_patterns
    words = first_words(patterns) | first_words(patterns, "api/")
    words |= {"ws", "static"}  # which Django does not route

    assert {"links", "tokens", "schema", "api", "accounts", "identity", "admin"} <= words
    assert words <= services.RESERVED_SLUGS


@pytest.mark.parametrize("slug", ["links", "api", "admin", "auth", "schema"])
def test_a_reserved_slug_is_refused(db, slug):
    with pytest.raises(services.SlugReserved):
        services.make_organization(slug=slug, name="Ours")


def test_a_paired_machine_is_listed_too(ada):
    Pairing.objects.create(user=ada, state="paired", hostname="laptop")

    assert selectors.list_tokens(viewer=ada) == []  # it has no tokens any more
