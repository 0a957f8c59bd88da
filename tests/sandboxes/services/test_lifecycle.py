"""Starting, ensuring, deleting and stopping a person's sandbox, without HTTP.

``tests/sandboxes/test_api.py`` has the tools that call this, and the cases of the reference.
"""

import asyncio
from dataclasses import dataclass

import httpx
import pytest

from agents.models import Agent
from links.models import Link
from mesh import database_pool
from mesh.models import User
from sandboxes.core.kinds import NoLink
from sandboxes.models import SandboxRunnerState
from sandboxes.providers.base import DispatchRefused, LinkOffline
from sandboxes.services import delete_vm, ensure_vm, start_vm, stop_sandbox
from sandboxes.services.lifecycle import SandboxBusy
from sandboxes.services.records import DeletedMeanwhile
from tests.sandboxes.conftest import connect, use
from tests.sandboxes.doubles import (
    AnsweringProvider,
    BusyProvider,
    FailingProvider,
    NotingProvider,
)

pytestmark = pytest.mark.django_db(transaction=True)

OWN = "thread:0190a0b0-0000-7000-8000-000000000000"


@pytest.fixture(autouse=True)
def containers(settings):
    settings.STUDIO_SANDBOX_RUNNER = "docker"


@dataclass
class Person:
    """Calls the services for one person and their agent, as the tools do."""

    user: User
    agent: Agent

    async def start(self, branch="main", **options):
        return await start_vm(viewer=self.user, agent=self.agent, branch=branch, **options)

    async def ensure(self, branch="main", kind="docker"):
        return await ensure_vm(viewer=self.user, agent=self.agent, branch=branch, kind=kind)

    async def delete(self, branch="main", kind="docker", **options):
        cell = {"viewer": self.user, "agent": self.agent, "branch": branch, "kind": kind}
        await delete_vm(**cell, **options)

    async def stop(self, entry, branch="main"):
        await stop_sandbox(agent=self.agent, user_id=self.user.pk, branch=branch, entry=entry)

    async def cell(self, branch="main"):
        """Return vmMap's entries of the branch, by kind."""
        await database_pool.writes.run(self.agent.refresh_from_db)
        map_ = self.agent.metadata.get("vmMap", {})
        return map_.get(str(self.user.pk), {}).get(branch, {})


@pytest.fixture
def adas(ada, acme):
    return Person(ada, acme)


async def rows():
    return await database_pool.writes.run(SandboxRunnerState.objects.count)


# Starting


async def test_a_started_sandbox_gets_the_whole_configuration_of_its_project(adas, monkeypatch):
    use(monkeypatch, provider := AnsweringProvider())

    await adas.start()

    ((_, method, path, config),) = provider.asked
    assert (method, path) == ("POST", "config")
    assert config == {
        "git": {"repository": {"cloneUrl": "https://github.com/acme/app", "branch": "main"}},
        "application": {"runtime": "node", "packageManager": {"name": "npm"}, "port": 3000},
    }


async def test_a_sandbox_without_a_project_gets_no_configuration(adas, monkeypatch):
    use(monkeypatch, provider := AnsweringProvider())
    adas.agent.metadata = {}

    await adas.start()

    assert (len(provider.places), provider.asked) == (1, [])


async def test_a_sandbox_of_another_repository_refuses_and_is_not_recorded(adas, monkeypatch):
    error = {"error": {"code": "immutable", "message": "Of another repository.", "hint": "h"}}
    use(monkeypatch, AnsweringProvider(httpx.Response(409, json=error)))

    with pytest.raises(DispatchRefused) as refused:
        await adas.start()

    assert refused.value.code == "immutable"
    assert (await adas.cell(), await rows()) == ({}, 0)


async def test_a_failed_start_leaves_no_record(adas, monkeypatch):
    use(monkeypatch, FailingProvider())

    with pytest.raises(DispatchRefused, match="It did not start"):
        await adas.start()

    assert (await adas.cell(), await rows()) == ({}, 0)


async def test_a_failed_start_of_a_recorded_sandbox_keeps_its_record(adas, provider, monkeypatch):
    await adas.start()
    before = await adas.cell()
    use(monkeypatch, FailingProvider())

    with pytest.raises(DispatchRefused):
        await adas.start()

    assert (await adas.cell(), await rows()) == (before, 1)


async def test_a_cancelled_start_leaves_no_record(adas, monkeypatch):
    use(monkeypatch, provider := SlowProvider())
    start = asyncio.create_task(adas.start())
    await provider.started.wait()
    start.cancel()

    with pytest.raises(asyncio.CancelledError):
        await start

    assert (await adas.cell(), await rows()) == ({}, 0)


async def test_starting_again_ensures_the_sandbox_and_makes_no_new_record(adas, provider):
    first = await adas.start()
    again = await adas.start()

    assert (first.is_new, again.is_new) == (True, False)
    assert again.entry.vm_id == first.entry.vm_id
    assert (len(provider.places), await rows()) == (2, 1)


async def test_two_kinds_of_a_branch_are_recorded_beside_each_other(adas, provider):
    await adas.start()
    await adas.start(kind="agent-sandbox")

    assert set(await adas.cell()) == {"docker", "agent-sandbox"}


async def test_a_preview_address_contains_the_sandboxs_handle(adas, provider):
    started = await adas.start(preview_url="http://{handle}.localhost:8000/")

    handle = started.entry.vm_id
    assert started.entry.preview_url == f"http://{handle}.localhost:8000/"
    assert (await adas.cell())["docker"]["previewUrl"] == started.entry.preview_url


async def test_no_container_replaces_a_machine_that_is_offline(adas, provider):
    with pytest.raises(NoLink, match="none of your machines"):
        await adas.start(kind="remote-user")

    assert (provider.places, await rows()) == ([], 0)


async def test_the_offline_machine_that_has_the_files_is_named(adas, provider):
    link = await database_pool.writes.run(connect, adas.user)
    await adas.start()
    await database_pool.writes.run(Link.objects.filter(pk=link.pk).update, offline_after=None)
    await database_pool.writes.run(connect, adas.user, "m2")

    with pytest.raises(NoLink, match="This sandbox is on “m1”"):
        await adas.start()

    assert [place.link_id for place in provider.places] == [link.pk]


# Ensuring


async def test_a_recorded_sandbox_is_returned_without_asking_its_provider(adas, provider):
    first = await adas.ensure()
    again = await adas.ensure()

    assert (first.is_new, again.is_new) == (True, False)
    assert again.entry.vm_id == first.entry.vm_id
    assert len(provider.places) == 1


async def test_a_sandbox_of_another_kind_is_started_beside_the_recorded_one(adas, provider):
    await adas.ensure()

    assert (await adas.ensure(kind="agent-sandbox")).is_new
    assert [place.kind for place in provider.places] == ["docker", "agent-sandbox"]


async def test_a_recorded_sandbox_is_returned_even_if_its_machine_is_offline(adas, provider):
    link = await database_pool.writes.run(connect, adas.user)
    await adas.start()
    await database_pool.writes.run(Link.objects.filter(pk=link.pk).update, offline_after=None)

    assert (await adas.ensure(kind="remote-user")).entry.machine == link.pk


async def test_ensuring_starts_nothing_on_an_offline_machine(adas, provider):
    with pytest.raises(NoLink):
        await adas.ensure(kind="remote-user")

    assert (provider.places, await rows()) == ([], 0)


async def test_the_sandbox_of_a_conversation_is_found_again_and_has_no_cell(adas, provider):
    started = await adas.start(OWN)
    again = await adas.ensure(OWN)

    assert (again.entry.vm_id, again.is_new) == (started.entry.vm_id, False)
    await adas.delete(OWN)
    assert len(provider.removed) == 1
    assert (await adas.cell(OWN), await rows()) == ({}, 0)


# Deleting


async def test_deleting_removes_the_record_and_then_ends_the_sandbox(adas, provider):
    started = await adas.start()

    await adas.delete()

    ((place, force),) = provider.removed
    assert (place.handle, place.kind, force) == (started.entry.vm_id, "docker", False)
    assert (await adas.cell(), await rows()) == ({}, 0)


async def test_deleting_what_is_not_recorded_asks_no_provider(adas, provider):
    await adas.delete()
    await adas.start()
    await adas.delete(kind="agent-sandbox")

    assert provider.removed == []
    assert set(await adas.cell()) == {"docker"}


@pytest.mark.parametrize(
    "error", [DispatchRefused("sandbox_failed", "It did not end."), LinkOffline()]
)
async def test_a_sandbox_that_cannot_be_ended_is_logged_and_its_record_stays_removed(
    adas, monkeypatch, caplog, error
):
    use(monkeypatch, provider := UnendingProvider(error))
    started = await adas.start()

    await adas.delete()
    await adas.delete()

    assert len(provider.removed) == 1
    assert f"sandbox {started.entry.vm_id}: record removed" in caplog.text
    assert (await adas.cell(), await rows()) == ({}, 0)


async def test_a_busy_sandbox_is_not_deleted_and_keeps_its_record(adas, monkeypatch):
    use(monkeypatch, provider := BusyProvider())
    await adas.start()
    before = await adas.cell()

    with pytest.raises(SandboxBusy):
        await adas.delete()

    assert (provider.removed, await adas.cell(), await rows()) == ([], before, 1)


async def test_a_busy_sandbox_is_deleted_by_force(adas, monkeypatch):
    use(monkeypatch, provider := BusyProvider())
    await adas.start()

    await adas.delete(force=True)

    assert [force for _, force in provider.removed] == [True]
    assert (await adas.cell(), await rows()) == ({}, 0)


async def test_a_sandbox_deleted_during_its_start_is_ended_and_the_start_fails(adas, monkeypatch):
    use(monkeypatch, provider := SlowProvider())
    start = asyncio.create_task(adas.start())
    await provider.started.wait()

    await adas.delete()
    provider.proceed.set()

    with pytest.raises(DeletedMeanwhile):
        await start
    # By force first: a sandbox that is still starting can't say whether an agent works in it.
    assert [force for _, force in provider.removed] == [True, False]
    assert (await adas.cell(), await rows()) == ({}, 0)


# Stopping


async def test_a_stopped_sandbox_keeps_its_record(adas, provider):
    started = await adas.start()
    before = await adas.cell()

    await adas.stop(started.entry)

    ((place, force),) = provider.stopped
    assert (place.handle, force) == (started.entry.vm_id, False)
    assert (await adas.cell(), await rows()) == (before, 1)


async def test_a_sandbox_is_stopped_on_its_own_machine_even_if_another_is_online(adas, provider):
    link = await database_pool.writes.run(connect, adas.user)
    started = await adas.start()
    await database_pool.writes.run(Link.objects.filter(pk=link.pk).update, offline_after=None)
    await database_pool.writes.run(connect, adas.user, "m2")

    await adas.stop(started.entry)

    assert [place.link_id for place, _ in provider.stopped] == [link.pk]


async def test_a_sandbox_that_cannot_be_stopped_says_so(adas, monkeypatch, provider):
    started = await adas.start()
    use(monkeypatch, FailingProvider())

    with pytest.raises(DispatchRefused, match="It did not end"):
        await adas.stop(started.entry)

    assert await rows() == 1


# A person's own


async def test_a_person_deletes_only_their_own_sandbox(adas, bob, provider):
    bobs = Person(bob, await database_pool.writes.run(Agent.objects.get))
    await adas.start()

    await bobs.delete(force=True)

    assert (provider.removed, await rows()) == ([], 1)


class SlowProvider(NotingProvider):
    """Has started once ``proceed`` is set."""

    def __init__(self):
        super().__init__()
        self.started, self.proceed = asyncio.Event(), asyncio.Event()

    async def ensure(self, place):
        await super().ensure(place)
        self.started.set()
        await self.proceed.wait()


class UnendingProvider(NotingProvider):
    """Fails to end with ``error``."""

    def __init__(self, error):
        super().__init__()
        self.error = error

    async def remove(self, place, *, force=False):
        await super().remove(place, force=force)
        raise self.error
