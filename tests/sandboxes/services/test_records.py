"""Concurrent writes to vmMap's cells; they are really concurrent on PostgreSQL."""

import threading

import pytest

from agents.models import Agent
from sandboxes.core.vm_map import VmEntry, find_entry, list_entries
from sandboxes.models import SandboxRunnerState
from sandboxes.services import forget_sandbox, record_sandbox
from tests.mesh.pairing.test_races import at_once
from tests.waiting import PATIENCE

pytestmark = pytest.mark.django_db(transaction=True)


def record(agent, user, branch="main", kind="docker", vm_id="main-1", **options):
    return record_sandbox(
        agent=Agent.objects.get(pk=agent.pk),
        user_id=user.pk,
        branch=branch,
        entry=VmEntry(vm_id=vm_id, kind=kind),
        **options,
    )


def recorded(agent):
    agent.refresh_from_db()
    return {(user, branch, e.kind) for user, branch, e in list_entries(agent.metadata)}


def test_a_record_is_new_once_and_again_for_another_sandbox(agent, ada):
    assert record(agent, ada) is True
    assert record(agent, ada) is False
    assert record(agent, ada, vm_id="main-2") is True


def test_the_row_keeps_the_providers_notes_until_it_has_others(agent, ada):
    record(agent, ada, state={"container": "c1"})
    record(agent, ada)

    (row,) = SandboxRunnerState.objects.all()
    assert (row.state, row.handle, row.sandbox_provider_kind) == (
        {"container": "c1"},
        "main-1",
        "docker",
    )


def test_of_writers_at_once_none_loses_a_cell(agent, ada, bob):
    together = threading.Barrier(8)
    cells = [
        (u, b, k) for u in (ada, bob) for b in ("main", "dev") for k in ("docker", "remote-user")
    ]

    def write(user, branch, kind):
        together.wait(timeout=PATIENCE)
        return record(agent, user, branch, kind)

    at_once(*(lambda cell=cell: write(*cell) for cell in cells))

    assert recorded(agent) == {(str(user.pk), branch, kind) for user, branch, kind in cells}


def test_writing_while_another_key_of_the_metadata_is_written_loses_neither(agent, ada):
    from agents.services import set_metadata

    together = threading.Barrier(6)

    def write(n):
        together.wait(timeout=PATIENCE)
        if n % 2:
            return record(agent, ada, branch=f"b{n}")
        return set_metadata(agent=Agent.objects.get(pk=agent.pk), values={f"k{n}": n})

    at_once(*(lambda n=n: write(n) for n in range(6)))

    assert recorded(agent) == {(str(ada.pk), f"b{n}", "docker") for n in (1, 3, 5)}
    assert {f"k{n}" for n in (0, 2, 4)} < set(agent.metadata)


def test_one_who_writes_and_one_who_forgets_a_sibling_do_not_meet(agent, ada):
    record(agent, ada, kind="docker")

    at_once(
        lambda: record(agent, ada, kind="remote-user"),
        lambda: forget_sandbox(
            agent=Agent.objects.get(pk=agent.pk), user_id=ada.pk, branch="main", kind="docker"
        ),
    )

    assert recorded(agent) == {(str(ada.pk), "main", "remote-user")}


def test_forgetting_gives_back_what_there_was_and_is_safe_to_repeat(agent, ada):
    record(agent, ada)
    cell = {"agent": agent, "user_id": ada.pk, "branch": "main", "kind": "docker"}

    assert forget_sandbox(**cell).entry.vm_id == "main-1"
    assert forget_sandbox(**cell) is None
    assert not SandboxRunnerState.objects.exists()
    agent.refresh_from_db()
    assert agent.metadata == {"vmMap": {}}


def test_an_odd_map_is_written_into_and_kept(agent, ada):
    Agent.objects.update(metadata={"vmMap": {"7": "odd", str(ada.pk): {"main": {"vmId": "old"}}}})

    record(agent, ada, kind="remote-user")

    agent.refresh_from_db()
    assert agent.metadata["vmMap"]["7"] == "odd"
    cell = {"user": str(ada.pk), "branch": "main"}
    assert find_entry(agent.metadata, **cell, kind="docker").vm_id == "old"
