"""Tokens of a version that knew no scopes: up, down and up again."""

from datetime import timedelta

import pytest
from django.utils import timezone

pytestmark = pytest.mark.thorough

BEFORE, AFTER = "0003_keep_when_tokens_are_used", "0004_give_tokens_a_scope_and_an_expiry"


def put(chain):
    """A plain token, one with odd data, one of a paired machine, and a ticket."""
    user = chain.model("mesh.User").objects.create(username="ada")
    client = chain.model("allauth_idp_oidc.Client").objects
    tokens = chain.model("allauth_idp_oidc.Token").objects
    cli, link = client.create(id="mesh-cli"), client.create(id="mesh-link")
    tokens.create(type="at", hash="plain", client=cli, user=user, data={"name": "nightly"})
    tokens.create(type="at", hash="odd", client=cli, user=user, data=["x"])
    soon = timezone.now() + timedelta(hours=1)
    tokens.create(type="at", hash="paired", client=link, user=user, scopes="link", expires_at=soon)
    tokens.create(type="ac", hash="ticket", user=user, expires_at=soon)


def scopes(chain):
    return dict(chain.model("allauth_idp_oidc.Token").objects.values_list("hash", "scopes"))


def test_a_token_of_before_is_a_person_s_and_expires(people):
    people.to(BEFORE)
    put(people)
    people.to(AFTER)

    assert scopes(people) == {"plain": "user", "odd": "user", "paired": "link", "ticket": ""}
    issued = people.model("mesh.IssuedToken").objects
    assert dict(issued.values_list("token__hash", "name")) == {"plain": "nightly", "odd": "token"}
    assert not people.model("allauth_idp_oidc.Token").objects.filter(expires_at=None).exists()


def test_it_may_run_again(people):
    people.to(BEFORE)
    put(people)
    people.to(AFTER)
    people.again(AFTER)

    assert people.model("mesh.IssuedToken").objects.count() == 2


def test_down_again_they_are_what_they_were(people):
    people.to(BEFORE)
    put(people)
    people.to(AFTER)
    people.to(BEFORE)

    assert scopes(people) == {"plain": "", "odd": "", "paired": "link", "ticket": ""}
