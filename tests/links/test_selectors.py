from dataclasses import replace
from uuid import uuid4

import pytest

from links import selectors, services
from links.core.presence import Fact
from links.models import Link
from tests.links.services.machines import M1, claim


@pytest.fixture
def registered(ada):
    return services.register(user=ada, registration=M1)


def test_the_machine_seen_last_is_the_online_one(ada, registered):
    services.register(user=ada, registration=replace(M1, machine_id="m2", hostname="newer"))
    claim(ada, "c1", "m1")
    claim(ada, "c2", "m2")

    assert selectors.find_online_link(viewer=ada).name == "newer"
    assert [view.name for view in selectors.list_links(viewer=ada)] == ["newer", "laptop"]


def test_online_machines_come_first(ada, registered):
    services.register(user=ada, registration=replace(M1, machine_id="m2", hostname="newer"))
    claim(ada, "c1", "m1")
    claim(ada, "c2", "m2")
    services.release(connection_id="c2", fact=Fact.BREAK)

    assert [view.name for view in selectors.list_links(viewer=ada)] == ["laptop", "newer"]


def test_a_stranger_sees_nothing(ada, eve, registered):
    link_id = claim(ada, "c1").link_id

    assert selectors.list_links(viewer=eve) == []
    assert selectors.find_link(viewer=eve, link_id=link_id) is None
    assert selectors.find_online_link(viewer=eve) is None


def test_the_owner_of_a_machine_is_found(ada, registered):
    link_id = Link.objects.get().pk

    assert selectors.find_owner(link_id=link_id) == ada.pk
    assert selectors.find_owner(link_id=uuid4()) is None
