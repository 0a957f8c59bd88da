"""The sandbox that a chat's runs work in is the one that tools, proxy and admin know of."""

from datetime import timedelta

import pytest
from asgiref.sync import async_to_sync, sync_to_async
from django.db import DatabaseError
from django.utils import timezone

from agents.models import Agent
from links.models import Link
from sandboxes.core.vm_map import find_entry
from sandboxes.models import SandboxRunnerState
from sandboxes.resolution import find_sandbox
from sandboxes.selectors import find_all_recorded, recorded_cell
from sandboxes.services import delete_vm, ensure_vm, note_used
from tests.sandboxes.conftest import use
from tests.sandboxes.doubles import NotingProvider
from tests.threads import doubles
from tests.threads.doubles import a_turn
from tests.threads.serving.conftest import serve  # noqa: F401  (a fixture)
from tests.threads.serving.test_dispatcher import ended
from tests.waiting import auntil
from threads import services
from threads.decopilot.context import find_link
from threads.serving.sandbox_records import note_sandbox
from threads.targets import Wish, choose_pins, place_of

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def pinned(settings, thread, link):
    """Return ``pinned(kind, branch)``: Ada's thread, as its first message would have pinned it."""
    settings.MESH_SANDBOX_KINDS = ["docker", "agent-sandbox"]

    def pin(kind, branch="main"):
        thread.sandbox_provider_kind, thread.harness_id = kind, "demo"
        thread.branch = branch or f"thread:{thread.pk}"
        thread.link = link if kind == "remote-user" else None
        thread.save()
        return thread

    return pin


@pytest.fixture
def answered(serve, say):  # noqa: F811
    """Return ``answered(text)``: a message of Ada's, answered in a recorded sandbox."""

    async def run(text="hi"):
        before = timezone.now()
        over = await ended(await sync_to_async(say)(text))
        noted = SandboxRunnerState.objects.filter(used_at__gt=before)
        await auntil(noted.aexists, what="the sandbox is noted")
        return over

    async def start():
        await serve(doubles.ScriptedSandbox(*a_turn("ok")))
        return run

    return start


def seen(ada, thread):
    """What the tools, the proxy and the previews find for the thread's branch."""
    agent = Agent.objects.get(pk=thread.agent_id)
    return find_sandbox(viewer=ada, agent=agent, branch=thread.branch)


@pytest.mark.parametrize("kind", ["remote-user", "docker", "agent-sandbox"])
async def test_what_a_run_works_in_is_what_everybody_finds(pinned, answered, ada, link, kind):
    thread = await sync_to_async(pinned)(kind)
    run = await answered()
    await run()

    found = await sync_to_async(seen)(ada, thread)
    row = await SandboxRunnerState.objects.aget()
    assert found.place == place_of(thread)
    assert found.entry.vm_id == row.handle == found.place.handle
    assert row.link_id == (link.pk if kind == "remote-user" else None)
    assert found.entry.link_id == (str(link.pk) if kind == "remote-user" else None)


async def test_the_tools_start_nothing_beside_it_and_deleting_clears_it(
    pinned, answered, ada, monkeypatch
):
    provider = NotingProvider()
    use(monkeypatch, provider)
    thread = await sync_to_async(pinned)("docker")
    run = await answered()
    await run()
    asked = {"viewer": ada, "agent": await Agent.objects.aget(), "branch": "main", "kind": "docker"}

    assert not (await ensure_vm(**asked)).is_new
    await delete_vm(**asked)

    assert ([p.handle for p, _ in provider.removed], provider.places) == (
        [place_of(thread).handle],
        [],
    )
    assert (await sync_to_async(seen)(ada, thread)).entry is None
    await run("again")
    assert (await sync_to_async(seen)(ada, thread)).entry.vm_id == place_of(thread).handle


async def test_the_folder_of_one_conversation_does_not_grow_the_agent(pinned, answered, ada):
    thread = await sync_to_async(pinned)("docker", branch="")
    run = await answered()
    await run()

    found = await sync_to_async(seen)(ada, thread)
    assert found.entry.vm_id == found.place.handle
    assert "vmMap" not in (await Agent.objects.aget()).metadata


async def test_a_run_whose_sandbox_can_not_be_noted_is_answered(
    pinned,
    serve,  # noqa: F811
    say,
    monkeypatch,
):
    def broken(place):
        raise DatabaseError("The disk is full.")

    monkeypatch.setattr("threads.serving.sandbox_records.note_used", broken)
    await sync_to_async(pinned)("docker")
    await serve(doubles.ScriptedSandbox(*a_turn("ok")))

    over = await ended(await sync_to_async(say)("hi"))
    assert over.state == "completed"
    assert not await SandboxRunnerState.objects.aexists()


@pytest.mark.parametrize("branch", ["main", ""])
def test_what_is_recorded_costs_each_further_run_one_statement(
    pinned, django_assert_num_queries, branch
):
    place = place_of(pinned("docker", branch))
    note_used(place)
    before = SandboxRunnerState.objects.get().used_at

    with django_assert_num_queries(1):
        note_used(place)

    assert SandboxRunnerState.objects.get().used_at > before


def test_a_run_of_another_machine_moves_the_record_and_keeps_its_preview(pinned, ada, link):
    thread = pinned("remote-user")
    note_used(place_of(thread))
    other = Link.objects.create(user=ada, machine_id="m2", cli_version="1", protocol_version=1)
    thread.link = other

    note_used(place_of(thread))

    entry = find_entry(
        Agent.objects.get().metadata, user=str(ada.pk), branch="main", kind="remote-user"
    )
    assert entry.machine == SandboxRunnerState.objects.get().link_id == other.pk


@pytest.fixture
def two_machines(pinned, ada, org, agent, link):
    """Ada's files of ``main`` are on her laptop; another machine was seen later."""
    note_used(place_of(pinned("remote-user")))
    soon = timezone.now() + timedelta(minutes=5)
    other = Link.objects.create(
        user=ada,
        machine_id="m2",
        hostname="desk",
        cli_version="1",
        protocol_version=1,
        capabilities=link.capabilities,
        offline_after=soon,
        seen_at=soon,
    )
    agent.refresh_from_db()
    fresh = services.create_thread(owner=ada, organization=org, agent=agent)
    return fresh, other


def pins(thread, **wish):
    return choose_pins(thread=thread, wish=Wish(harness_id="demo", **wish), tier="fast")[0]


def test_a_new_chat_on_a_branch_goes_where_its_files_are(two_machines, link):
    fresh, other = two_machines

    assert pins(fresh, branch="main").link_id == link.pk
    assert pins(fresh, branch="dev").link_id == pins(fresh).link_id == other.pk
    assert pins(fresh, branch="main", link_id=other.pk).link_id == other.pk


def test_a_machine_that_is_away_keeps_nobody_from_beginning_elsewhere(two_machines, link):
    fresh, other = two_machines
    Link.objects.filter(pk=link.pk).update(offline_after=None)

    assert pins(fresh, branch="main").link_id == other.pk


def test_the_tools_of_a_loop_in_the_server_look_where_its_files_are(two_machines, pinned, ada):
    place, (_, other) = place_of(pinned("remote-user")), two_machines

    assert find_link(user_id=str(ada.pk), place=place).id == place.link_id
    Link.objects.filter(pk=place.link_id).update(offline_after=None)
    away = find_link(user_id=str(ada.pk), place=place)
    assert (away.id, away.is_online) == (place.link_id, False)
    Link.objects.filter(pk=place.link_id).delete()
    assert find_link(user_id=str(ada.pk), place=place).id == other.pk


def test_an_admins_row_says_the_same_as_the_map(pinned, ada):
    thread = pinned("docker", branch="")
    async_to_sync(note_sandbox)(place_of(thread))

    [recorded] = find_all_recorded(list(SandboxRunnerState.objects.all()))
    agent = Agent.objects.get()
    cell = recorded_cell(agent=agent, user_id=ada.pk, branch=thread.branch)
    assert recorded.entry == cell["docker"]
