"""Viewers are a role that what went before does not know: on the way back they are no members."""

import pytest

pytestmark = pytest.mark.thorough

BEFORE, AFTER = "0005_remember_used_tickets", "0007_take_out_viewers_on_the_way_back"


def put(chain, role):
    user = chain.model("mesh.User").objects.create(username=role)
    org, _ = chain.model("mesh.Organization").objects.get_or_create(slug="home", name="Home")
    chain.model("mesh.Membership").objects.create(user=user, organization=org, role=role)


def roles(chain):
    return set(chain.model("mesh.Membership").objects.values_list("role", flat=True))


def test_members_stay_and_viewers_go(people):
    people.to(BEFORE)
    put(people, "owner")
    people.to(AFTER)
    put(people, "viewer")
    assert roles(people) == {"owner", "viewer"}

    assert roles(people.to(BEFORE)) == {"owner"}
    assert roles(people.to(AFTER)) == {"owner"}
