"""vmMap: S92–S102, and what holds for any map."""

from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandboxes.core.kinds import KINDS
from sandboxes.core.vm_map import (
    StartedWith,
    VmEntry,
    find_cell,
    find_entry,
    list_entries,
    normalize_vm_map,
    remove_entry,
    set_entry,
)
from tests.sandboxes.core.test_reference import odd_metadata

V1 = VmEntry(
    vm_id="main-1",
    kind="docker",
    preview_url="https://main-1.preview.example",
    created_at=1_700_000_000_000,
    started_with=StartedWith(package_manager="pnpm", port="4321", path="apps/web"),
)
V2 = VmEntry(vm_id="main-2", kind="remote-user", link_id="l1")
LINK = UUID("0190a0b0-0000-7000-8000-000000000000")


def mapped(cell):
    return {"vmMap": {"u": {"main": cell}}}


@pytest.mark.parametrize(
    "metadata",
    [
        pytest.param(None, id="S92"),
        pytest.param({}, id="S94"),
        pytest.param({"vmMap": None}, id="S93"),
        pytest.param({"vmMap": "x"}, id="S96"),
        pytest.param({"vmMap": [1]}, id="list"),
        pytest.param("text", id="text metadata"),
    ],
)
def test_what_is_no_map_reads_as_an_empty_one(metadata):
    assert normalize_vm_map(metadata) == {}


def test_s95_s99_an_entry_is_read_as_it_was_written():
    metadata = mapped({"docker": V1.as_json()})

    assert normalize_vm_map(metadata) == {"u": {"main": {"docker": V1}}}
    assert find_entry(metadata, user="u", branch="main", kind="docker") == V1


def test_s97_s100_users_and_branches_do_not_see_each_other():
    metadata = mapped({"docker": V1.as_json()})

    assert find_cell(metadata, user="other", branch="main") is None
    assert find_cell(metadata, user="u", branch="dev") is None


@pytest.mark.parametrize(
    ("cell", "kinds"),
    [
        pytest.param(
            {"docker": {"vmId": "a"}, "freestyle": {"vmId": "b"}}, ["docker"], id="unknown kind"
        ),
        pytest.param(
            {"docker": {"vmId": ""}, "remote-user": {"vmId": "b"}}, ["remote-user"], id="no name"
        ),
        pytest.param({"docker": 7, "remote-user": {"vmId": "b"}}, ["remote-user"], id="no object"),
        pytest.param(
            {"vmId": "a", "sandboxProviderKind": "remote-user"}, ["remote-user"], id="two levels"
        ),
        pytest.param({"vmId": "a", "runnerKind": "agent-sandbox"}, ["agent-sandbox"], id="old key"),
        pytest.param({"vmId": "a"}, ["docker"], id="kind-less"),
        pytest.param({"vmId": "a", "runnerKind": "host"}, [], id="a kind that is gone"),
        pytest.param(
            {"vmId": "a", "remote-user": {"vmId": "b"}}, ["docker", "remote-user"], id="both levels"
        ),
    ],
)
def test_odd_cells_keep_what_can_be_read(cell, kinds):
    assert list(normalize_vm_map(mapped(cell))["u"]["main"]) == kinds


def test_odd_fields_are_left_out_and_the_entry_kept():
    read = find_entry(
        mapped({"docker": {"vmId": "a", "previewUrl": 7, "createdAt": True, "startedWith": [1]}}),
        user="u",
        branch="main",
        kind="docker",
    )

    assert read == VmEntry(vm_id="a", kind="docker")


def test_s102_two_kinds_stand_beside_each_other():
    metadata = set_entry({"title": "kept"}, user="u", branch="main", entry=V1)
    metadata = set_entry(metadata, user="u", branch="main", entry=V2)

    assert metadata["title"] == "kept"
    assert find_cell(metadata, user="u", branch="main") == {"docker": V1, "remote-user": V2}


def test_writing_into_a_two_level_cell_keeps_its_entry():
    metadata = set_entry(mapped({"vmId": "old"}), user="u", branch="main", entry=V2)

    cell = find_cell(metadata, user="u", branch="main")
    assert {kind: entry.vm_id for kind, entry in cell.items()} == {
        "docker": "old",
        "remote-user": "main-2",
    }


def test_the_same_sandbox_keeps_its_time_and_another_one_does_not():
    first = set_entry({}, user="u", branch="main", entry=V1)
    again = VmEntry(vm_id="main-1", kind="docker", created_at=1_800_000_000_000)
    other = VmEntry(vm_id="main-9", kind="docker", created_at=1_800_000_000_000)

    for entry, created_at in [(again, V1.created_at), (other, other.created_at)]:
        metadata = set_entry(first, user="u", branch="main", entry=entry)
        found = find_entry(metadata, user="u", branch="main", kind="docker")
        assert found.created_at == created_at


def test_removing_takes_the_kind_then_the_branch_then_the_user():
    both = set_entry(
        set_entry({}, user="u", branch="main", entry=V1), user="u", branch="main", entry=V2
    )

    one = remove_entry(both, user="u", branch="main", kind="docker")
    none = remove_entry(one, user="u", branch="main", kind="remote-user")

    assert find_cell(one, user="u", branch="main") == {"remote-user": V2}
    assert none == {"vmMap": {}}
    assert remove_entry(none, user="u", branch="main", kind="docker") is none


names = st.text(max_size=3)
some_entries = st.builds(
    VmEntry, vm_id=st.text(min_size=1, max_size=4), kind=st.sampled_from(KINDS)
)


@given(metadata=odd_metadata, user=names, branch=names, entry=some_entries)
def test_a_write_is_read_back_and_changes_one_cell_only(metadata, user, branch, entry):
    before = normalize_vm_map(metadata)

    written = set_entry(metadata, user=user, branch=branch, entry=entry)
    after = normalize_vm_map(written)

    assert after[user][branch][entry.kind].vm_id == entry.vm_id
    expected = {**before.get(user, {}).get(branch, {}), entry.kind: after[user][branch][entry.kind]}
    assert after == {**before, user: {**before.get(user, {}), branch: expected}}


@given(metadata=odd_metadata, user=names, branch=names)
def test_one_cell_is_read_as_the_whole_map_reads_it(metadata, user, branch):
    whole = normalize_vm_map(metadata)

    assert find_cell(metadata, user=user, branch=branch) == whole.get(user, {}).get(branch)
    for known, branches in whole.items():
        for name, cell in branches.items():
            assert find_cell(metadata, user=known, branch=name) == cell


@pytest.mark.parametrize(
    ("link_id", "machine"), [(None, None), ("", None), ("laptop", None), (str(LINK), LINK)]
)
def test_only_what_is_an_id_names_a_machine(link_id, machine):
    assert VmEntry(vm_id="v", kind="remote-user", link_id=link_id).machine == machine


@given(metadata=odd_metadata, user=names, branch=names, entry=some_entries)
def test_what_was_written_can_be_removed(metadata, user, branch, entry):
    written = set_entry(metadata, user=user, branch=branch, entry=entry)

    removed = remove_entry(written, user=user, branch=branch, kind=entry.kind)

    assert find_entry(removed, user=user, branch=branch, kind=entry.kind) is None
    others = [one for one in list_entries(written) if one[:2] != (user, branch)]
    assert [one for one in list_entries(removed) if one[:2] != (user, branch)] == others
