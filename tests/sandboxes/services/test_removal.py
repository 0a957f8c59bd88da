"""Sandboxes whose last thread was purged: removed by the rule of their kind, once."""

from datetime import timedelta
from uuid import uuid4

import httpx
import pytest
from django.utils import timezone

from agents.models import Agent
from links.models import Link
from mesh import database_pool
from sandboxes.core.vm_map import VmEntry, list_entries
from sandboxes.models import SandboxRunnerState
from sandboxes.places import place_for
from sandboxes.providers.base import DispatchRefused, LinkOffline, Place, SandboxDown
from sandboxes.providers.remote_user import RemoteUserProvider
from sandboxes.services import note_used, orphan_sandboxes, record_sandbox, remove_orphans
from tests.sandboxes.conftest import use
from tests.sandboxes.doubles import BusyProvider, NotingProvider
from tests.sandboxes.providers.laptop import refusal

pytestmark = pytest.mark.django_db(transaction=True)

OWN = f"thread:{uuid4()}"


async def in_thread(work, *args, **kwargs):
    return await database_pool.writes.run(work, *args, **kwargs)


class AwayProvider(NotingProvider):
    """Its engine or machine can't be reached."""

    async def remove(self, place, *, force=False):
        await super().remove(place, force=force)
        raise LinkOffline


@pytest.fixture
def laptop(ada):
    return Link.objects.create(
        user=ada, machine_id="m1", cli_version="1", protocol_version=1, secret_hash="s"
    )


@pytest.fixture
def started(agent, ada):
    """Return ``started(branch, kind)``: a sandbox that is recorded; its row."""

    def record(branch=OWN, kind="docker", link_id=None):
        entry = VmEntry(vm_id="h-1", kind=kind, link_id=str(link_id) if link_id else None)
        record_sandbox(
            agent=Agent.objects.get(pk=agent.pk), user_id=ada.pk, branch=branch, entry=entry
        )
        return SandboxRunnerState.objects.get()

    return record


@pytest.fixture
def orphan(agent, ada):
    """Return ``orphan(row)``: what the purge of its last thread does."""

    def mark(row, since=timedelta(minutes=1)):
        now = timezone.now()
        return orphan_sandboxes(
            user_id=ada.pk,
            org_id=agent.organization_id,
            agent_id=agent.pk,
            branch=row.project_ref.split(":", 2)[2],
            unused_since=now + since,
            now=now,
        )

    return mark


@pytest.mark.parametrize("branch", [pytest.param(OWN, id="own"), "main"])
async def test_a_container_is_removed_with_its_record(started, orphan, agent, provider, branch):
    row = await in_thread(started, branch)
    await in_thread(orphan, row)

    assert (await remove_orphans(), await remove_orphans()) == (1, 0)

    ((place, force),) = provider.removed
    assert (place.handle, place.kind, force) == ("h-1", "docker", False)
    assert await in_thread(SandboxRunnerState.objects.count) == 0
    await in_thread(agent.refresh_from_db)
    assert list(list_entries(agent.metadata)) == []


async def test_one_that_is_not_orphaned_stays(started, provider):
    await in_thread(started)

    assert await remove_orphans() == 0
    assert provider.removed == []


def test_one_that_was_used_since_is_not_orphaned(started, orphan):
    assert orphan(started("main"), since=timedelta(days=-1)) == 0


def test_the_folder_of_a_chat_is_its_own_whenever_it_was_used(started, orphan):
    assert orphan(started(OWN), since=timedelta(days=-1)) == 1


def test_a_named_branch_on_a_machine_is_the_persons(started, orphan, laptop):
    assert orphan(started("main", "remote-user", laptop.pk)) == 0


def test_the_folder_of_a_chat_on_a_machine_is_orphaned_with_it(started, orphan, laptop):
    assert orphan(started(OWN, "remote-user", laptop.pk)) == 1


def test_one_that_is_used_again_is_no_orphan_any_more(started, orphan, agent, ada):
    orphan(started())
    place = place_for(agent=agent, user_id=ada.pk, branch=OWN, kind="docker", link_id=None)

    note_used(place)

    assert SandboxRunnerState.objects.get().orphaned_at is None


@pytest.mark.parametrize("kind", [AwayProvider, BusyProvider])
async def test_what_can_not_be_removed_now_is_tried_again_later(started, orphan, monkeypatch, kind):
    provider = kind()
    use(monkeypatch, provider)
    await in_thread(orphan, await in_thread(started))

    assert (await remove_orphans(), await remove_orphans()) == (0, 0)
    row = await in_thread(SandboxRunnerState.objects.get)
    assert row.orphaned_at is not None

    use(monkeypatch, works := NotingProvider())
    ago = timezone.now() - timedelta(hours=1)
    await in_thread(SandboxRunnerState.objects.update, removal_tried_at=ago)
    assert await remove_orphans() == 1
    assert len(works.removed) == 1


async def test_one_that_is_used_while_it_is_removed_keeps_its_record(
    started, orphan, monkeypatch, agent, ada
):
    class UsedMeanwhile(NotingProvider):
        async def remove(self, place, *, force=False):
            place = place_for(agent=agent, user_id=ada.pk, branch=OWN, kind="docker", link_id=None)
            await in_thread(note_used, place)

    use(monkeypatch, UsedMeanwhile())
    await in_thread(orphan, await in_thread(started))

    assert await remove_orphans() == 0
    assert (await in_thread(SandboxRunnerState.objects.get)).orphaned_at is None


async def test_one_whose_agent_is_gone_is_removed_too(started, orphan, agent, provider):
    await in_thread(orphan, await in_thread(started))
    await in_thread(agent.delete)

    assert await remove_orphans() == 1
    assert len(provider.removed) == 1


async def test_nobody_asks_a_machine_that_was_signed_out(started, orphan, laptop, provider):
    row = await in_thread(started, OWN, "remote-user", laptop.pk)
    await in_thread(orphan, row)
    await in_thread(Link.objects.update, revoked_at=timezone.now())

    assert await remove_orphans() == 1
    assert provider.removed == []


# What a machine is asked


class Machine(httpx.AsyncBaseTransport):
    """Notes what it is asked, and gives one answer after the other."""

    def __init__(self, *answers):
        self.answers, self.asked = list(answers), []

    async def handle_async_request(self, request):
        self.asked.append(f"{request.method} {request.url.raw_path.decode()}")
        return self.answers.pop(0)


def provider_of(machine):
    async def client_for(link_id):
        return httpx.AsyncClient(transport=machine, base_url="http://laptop")

    return RemoteUserProvider(client_for)


PLACE = Place("remote-user", uuid4(), "h-1")
REMOVE, FORGET = "DELETE /api/sandboxes/h-1?remove=1", "DELETE /api/sandboxes/h-1?journal=1"


@pytest.mark.parametrize(
    ("answers", "asked"),
    [
        pytest.param([httpx.Response(200, json={})], [REMOVE], id="put aside"),
        pytest.param([refusal(404, "unknown_handle")], [REMOVE], id="not there"),
        pytest.param(
            [refusal(409, "unsaved_work"), httpx.Response(204)], [REMOVE, FORGET], id="unsaved"
        ),
    ],
)
async def test_a_machine_puts_the_folder_aside_and_never_by_force(answers, asked):
    machine = Machine(*answers)

    await provider_of(machine).discard(PLACE)

    assert machine.asked == asked


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        pytest.param(refusal(409, "sandbox_busy"), DispatchRefused, id="at work"),
        pytest.param(refusal(502, "sandbox_down"), SandboxDown, id="no answer"),
    ],
)
async def test_a_refusal_leaves_it_for_later(answer, error):
    with pytest.raises(error):
        await provider_of(Machine(answer)).discard(PLACE)
