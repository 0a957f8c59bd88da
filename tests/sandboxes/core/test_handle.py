from __future__ import annotations

from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from links.wire.names import is_handle
from sandboxes.core.handle import handle_for

ADA, ORG, AGENT = UUID(int=1), UUID(int=2), UUID(int=3)


def handle(branch="main", *, user=ADA, org=ORG, agent=AGENT):
    return handle_for(user_id=user, org_id=org, agent_id=agent, branch=branch)


def test_the_hash_has_sixteen_characters():  # S103
    assert len(handle().rpartition("-")[2]) == 16


def test_the_same_four_give_the_same_name():
    assert handle() == handle() == "main-" + handle()[5:]


def test_each_of_the_four_counts():
    names = {
        handle(),
        handle("dev"),
        handle(user=UUID(int=9)),
        handle(org=UUID(int=9)),
        handle(agent=UUID(int=9)),
    }

    assert len(names) == 5


def test_borders_between_the_four_count():
    assert handle("x", agent="ab") != handle("bx", agent="a")


@pytest.mark.parametrize(
    ("branch", "slug"),
    [
        ("Feature/Über-Größe", "feature-uber-groe"),
        ("thread:0190-ab", "thread-0190-ab"),
        ("--", "sandbox"),
        ("日本", "sandbox"),
        ("../../etc", "etc"),
    ],
)
def test_the_slug_is_for_people(branch, slug):
    assert handle(branch).rpartition("-")[0] == slug


@given(st.text())
def test_every_branch_gives_a_name_that_is_a_folder_and_a_host(branch):
    assert is_handle(handle(branch))


@pytest.mark.parametrize(
    "value", ["", "-a", "a-", "a/b", "../x", "A", "a" * 64, "a.b", "a\n", None, ["a"], 7, {}]
)
def test_what_is_no_handle(value):
    assert not is_handle(value)


@pytest.mark.parametrize("value", ["a", "0", "a-b", "a" * 63])
def test_what_is_a_handle(value):
    assert is_handle(value)
