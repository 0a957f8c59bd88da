"""Migrations 085–088 as pure functions: their tables, and what holds for any row."""

import copy
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandboxes.core import reference
from sandboxes.core.vm_map import normalize_vm_map

STEPS = [
    reference.rename_runner_kind,
    reference.restore_runner_kind,
    reference.wrap_entries,
    reference.collapse_entries,
    reference.fix_vm_map,
]


def meta(cell, **more):
    return {"title": "kept", "vmMap": {"u": {"main": cell}}, **more}


def entry(**kinds):
    return {"vmId": "v1", "previewUrl": None, **kinds}


UNTOUCHED = [
    pytest.param(None, id="null metadata"),
    pytest.param("{broken", id="a text"),
    pytest.param([], id="a list"),
    pytest.param({}, id="no map"),
    pytest.param({"vmMap": {}}, id="empty map"),
    pytest.param({"vmMap": {"u": {}}}, id="empty user map"),
    pytest.param({"vmMap": {"u": {"main": {}}}}, id="empty branch"),
    pytest.param({"vmMap": None}, id="null map"),
    pytest.param({"vmMap": [1]}, id="list for a map"),
    pytest.param({"vmMap": "x"}, id="text for a map"),
    pytest.param({"vmMap": {"u": 7}}, id="number for a user"),
    pytest.param({"vmMap": {"u": {"main": "x"}}}, id="text for a branch"),
    pytest.param(meta({"docker": 3}), id="number for an entry"),
]


@pytest.mark.parametrize("metadata", UNTOUCHED)
@pytest.mark.parametrize("step", STEPS)
def test_what_no_rule_speaks_of_is_not_written(step, metadata):
    assert step(metadata) is metadata


@pytest.mark.parametrize(
    ("before", "after"),
    [
        pytest.param(
            entry(runnerKind="agent-sandbox"),
            entry(sandboxProviderKind="agent-sandbox"),
            id="old key",
        ),
        pytest.param(
            entry(runnerKind="host", sandboxProviderKind="docker"),
            entry(runnerKind="host", sandboxProviderKind="docker"),
            id="both keys",
        ),
        pytest.param(entry(), entry(), id="neither"),
        pytest.param(
            {"docker": entry(runnerKind="docker")},
            {"docker": entry(runnerKind="docker")},
            id="three levels",
        ),
    ],
)
def test_085_renames_the_key_of_two_level_entries(before, after):
    assert reference.rename_runner_kind(meta(before)) == meta(after)


def test_085_down_gives_the_old_key_back():
    before = meta(entry(runnerKind="docker"))

    assert reference.restore_runner_kind(reference.rename_runner_kind(before)) == before


@pytest.mark.parametrize(
    ("before", "after"),
    [
        pytest.param(
            entry(sandboxProviderKind="remote-user"),
            {"remote-user": entry(sandboxProviderKind="remote-user")},
            id="named",
        ),
        pytest.param(entry(), {"docker": entry()}, id="kind-less"),
        pytest.param({"docker": entry()}, {"docker": entry()}, id="three levels already"),
    ],
)
def test_086_wraps_an_entry_below_its_kind(before, after):
    assert reference.wrap_entries(meta(before)) == meta(after)


def test_086_down_keeps_the_first_kind_as_jsonb_orders_keys():
    both = {"remote-user": entry(sandboxProviderKind="remote-user"), "docker": entry()}

    assert reference.collapse_entries(meta(both)) == meta(entry(sandboxProviderKind="docker"))


@pytest.mark.parametrize(
    ("before", "after"),
    [
        pytest.param(
            entry(runnerKind="agent-sandbox"),
            {"agent-sandbox": entry(sandboxProviderKind="agent-sandbox")},
            id="two levels, old key",
        ),
        pytest.param(
            entry(runnerKind="host", sandboxProviderKind="remote-user"),
            {"remote-user": entry(sandboxProviderKind="remote-user")},
            id="two levels, both keys",
        ),
        pytest.param(entry(), {"docker": entry()}, id="two levels, neither"),
        pytest.param(
            entry(runnerKind=None), {"docker": entry(sandboxProviderKind=None)}, id="null kind"
        ),
        pytest.param(
            {"docker": entry(runnerKind="docker")},
            {"docker": entry(sandboxProviderKind="docker")},
            id="three levels, old key",
        ),
        pytest.param(
            {"docker": entry(runnerKind="host", sandboxProviderKind="docker")},
            {"docker": entry(sandboxProviderKind="docker")},
            id="three levels, both keys",
        ),
        pytest.param({"docker": entry()}, {"docker": entry()}, id="three levels, neither"),
        pytest.param(
            {**entry(runnerKind="docker"), "remote-user": entry(vmId="v2")},
            {"docker": entry(sandboxProviderKind="docker"), "remote-user": entry(vmId="v2")},
            id="both levels in one cell",
        ),
    ],
)
def test_087_ends_with_three_levels_and_one_kind_field(before, after):
    assert reference.fix_vm_map(meta(before)) == meta(after)


def test_087_mends_a_mixed_map_and_keeps_what_is_empty_or_odd():
    users = {"a": {"main": entry(), "dev": {"docker": entry()}}, "b": {}, "c": 5, "d": {"x": None}}

    fixed = reference.fix_vm_map({"vmMap": users})

    assert fixed == {
        "vmMap": {
            "a": {"main": {"docker": entry()}, "dev": {"docker": entry()}},
            "b": {},
            "c": 5,
            "d": {"x": None},
        }
    }


@pytest.mark.parametrize(
    ("text", "after"),
    [
        (None, None),
        ("{broken", "{broken"),
        ("[" * 100_000, "[" * 100_000),
        ("null", "null"),
        (' {"vmMap": {}} ', ' {"vmMap": {}} '),
        (json.dumps(meta(entry())), json.dumps(meta({"docker": entry()}))),
    ],
    ids=["null", "broken", "too deep", "null text", "untouched keeps its form", "fixed"],
)
def test_metadata_kept_as_text_is_fixed_or_left(text, after):
    assert reference.fix_text(text, reference.fix_vm_map) == after


@pytest.mark.parametrize(
    ("provider", "is_one"),
    [("claude-code", True), ("codex", True), ("openai", False), ("", False), (None, False)],
)
def test_088_s122_s123_only_the_marks_of_two_clis_are_purged(provider, is_one):
    assert reference.is_cli_sentinel(provider) is is_one


scalars = st.none() | st.booleans() | st.integers() | st.text(max_size=4)
kinds = st.sampled_from(["docker", "remote-user", "agent-sandbox", "host", "vmId", ""]) | scalars
entries = st.fixed_dictionaries(
    {},
    optional={
        "vmId": st.text(min_size=1, max_size=3) | scalars,
        "runnerKind": kinds,
        "sandboxProviderKind": kinds,
        "createdAt": scalars,
        "startedWith": st.dictionaries(st.sampled_from(["port", "path"]), scalars) | scalars,
    },
)
cells = (
    entries
    | st.dictionaries(st.sampled_from(["docker", "host", "vmId"]), entries | scalars, max_size=3)
    | st.builds(lambda a, b: {**a, "remote-user": b}, entries, entries)
    | scalars
)
odd_maps = st.dictionaries(
    st.text(max_size=3),
    st.dictionaries(st.text(max_size=3), cells, max_size=3) | scalars,
    max_size=3,
)
odd_metadata = (
    st.builds(lambda vm_map: {"kept": 1, "vmMap": vm_map}, odd_maps | scalars)
    | st.dictionaries(st.text(max_size=3), scalars, max_size=2)
    | scalars
)


@given(metadata=odd_metadata, step=st.sampled_from(STEPS))
def test_no_step_fails_or_changes_its_argument_or_empties_a_row(metadata, step):
    before = copy.deepcopy(metadata)

    after = step(metadata)

    assert metadata == before
    assert (after is None) == (before is None)
    if isinstance(before, dict):
        assert {k: v for k, v in after.items() if k != "vmMap"} == {
            k: v for k, v in before.items() if k != "vmMap"
        }


@given(metadata=odd_metadata, step=st.sampled_from(STEPS))
def test_a_second_time_writes_nothing(metadata, step):
    once = step(metadata)

    assert step(once) is once


@given(metadata=odd_metadata)
def test_087_changes_nothing_that_is_read(metadata):
    assert normalize_vm_map(reference.fix_vm_map(metadata)) == normalize_vm_map(metadata)


@given(metadata=odd_metadata)
def test_users_and_branches_stay_the_same(metadata):
    def shape(value):
        vm_map = value.get("vmMap") if isinstance(value, dict) else None
        users = vm_map if isinstance(vm_map, dict) else {}
        return {user: list(b) if isinstance(b, dict) else b for user, b in users.items()}

    assert shape(reference.fix_vm_map(metadata)) == shape(metadata)
