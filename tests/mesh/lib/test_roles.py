"""Which role may do what, and to whom."""

from itertools import pairwise

import pytest

from mesh.lib.roles import PERMISSIONS, Permission, is_above, may, may_give, roles_with
from mesh.models import Role

ROLES = list(PERMISSIONS)


def test_the_table_has_a_row_for_every_role():
    assert Role.values == ROLES


def test_the_table_in_words_says_what_the_table_does():
    import mesh.lib.roles as module

    rows = [line.split() for line in module.__doc__.splitlines() if line.split()]
    [names] = [row[1:] for row in rows if row[0] == "Role"]
    said = {
        row[0]: {name for name, word in zip(names, row[1:], strict=True) if word == "yes"}
        for row in rows
        if row[0] in ROLES
    }

    assert said == {
        role: {permission.value for permission in permissions}
        for role, permissions in PERMISSIONS.items()
    }


def test_each_role_may_do_all_that_the_next_one_may():
    for more, less in pairwise(ROLES):
        assert PERMISSIONS[more] > PERMISSIONS[less]
        assert is_above(more, less)
        assert not is_above(less, more)


def test_everybody_but_a_viewer_starts_something():
    assert roles_with(Permission.START) == ["owner", "admin", "member"]


@pytest.mark.parametrize(
    ("giver", "given"),
    [
        ("owner", {"owner", "admin", "member", "viewer"}),
        ("admin", {"admin", "member", "viewer"}),
        ("member", set()),
        ("viewer", set()),
        ("guest", set()),
        ("", set()),
    ],
)
def test_nobody_gives_a_role_above_their_own(giver, given):
    assert {role for role in [*ROLES, "guest", ""] if may_give(giver, role)} == given


@pytest.mark.parametrize("role", ["guest", "", "Owner"])
def test_an_unknown_role_may_nothing(role):
    assert not any(may(role, permission) for permission in Permission)
