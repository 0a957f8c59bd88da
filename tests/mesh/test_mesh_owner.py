"""``manage.py mesh_owner``."""

import pytest
from django.core.management import call_command

from mesh.management.commands import mesh_owner
from mesh.models import Membership, User

pytestmark = pytest.mark.django_db


@pytest.fixture
def asked(monkeypatch):
    """For whom a password was asked; it is then set."""
    names = []

    def change(command, name):
        names.append((command, name))
        user = User.objects.get(username=name)
        user.set_password("correct horse battery")
        user.save()

    monkeypatch.setattr(mesh_owner, "call_command", change)
    return names


def test_makes_the_owner_and_asks_for_a_password_once(asked):
    for _ in range(2):
        call_command("mesh_owner", "ada")

    assert asked == [("changepassword", "ada")]
    membership = Membership.objects.get(user__username="ada")
    assert (membership.role, membership.organization.slug) == ("owner", "home")
