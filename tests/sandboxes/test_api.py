"""VM_START, VM_DELETE and ensure_vm: S110–S116 and their refusals."""

import asyncio
import threading
import time
from datetime import timedelta

import httpx
import pytest
from django.utils import timezone
from rest_framework.test import APIClient

from agents.models import Agent
from links import services as links
from links.models import Link
from links.wire.messages import Registration
from sandboxes.core.handle import handle_for
from sandboxes.core.vm_map import VmEntry
from sandboxes.models import SandboxRunnerState
from sandboxes.services import record_sandbox
from tests.mesh.pairing.test_races import at_once
from tests.sandboxes.conftest import use
from tests.sandboxes.doubles import (
    AnsweringProvider,
    BusyProvider,
    FailingProvider,
    NotingProvider,
)

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def containers(settings):
    settings.STUDIO_SANDBOX_RUNNER = "docker"


@pytest.fixture
def api(ada):
    client = APIClient()
    client.force_authenticate(ada)
    return client


@pytest.fixture
def acme(agent):
    agent.metadata = {
        "githubRepo": {"url": "https://github.com/acme/app", "owner": "acme", "name": "app"},
        "runtime": {"selected": "npm", "port": "3000"},
    }
    agent.save()
    return agent


def call(api, tool, org="home", **body):
    return api.post(f"/api/{org}/tools/{tool}", {"virtualMcpId": "default", **body})


def start(api, **body):
    return call(api, "VM_START", branch="main", **body)


def cell(agent, user, branch="main"):
    agent.refresh_from_db()
    return agent.metadata["vmMap"][str(user.pk)][branch]


def connect(user):
    links.register(
        user=user,
        registration=Registration(
            machine_id="m1", cli_version="1.0.0", protocol_version=1, capabilities=()
        ),
    )
    link = Link.objects.get(user=user)
    links.claim(user=user, machine_id="m1", secret_fingerprint=link.secret_hash, connection_id="c1")
    return link


def code(answer):
    return answer.status_code, answer.json()["error"]["code"]


def test_s110_the_provider_is_asked_once_with_everything_it_needs(api, acme, ada, provider):
    answer = start(api)

    (place,) = provider.places
    assert answer.status_code == 200, answer.content
    assert (
        place.handle
        == answer.json()["vmId"]
        == handle_for(user_id=ada.pk, org_id=acme.organization_id, agent_id=acme.pk, branch="main")
    )
    assert "acme/app" in place.repo["cloneUrl"]
    assert (place.branch, place.title, place.kind) == ("main", "Mesh", "docker")
    assert place.application == {
        "runtime": "node",
        "packageManager": {"name": "npm"},
        "port": 3000,
    }


def test_a_sandbox_is_told_of_its_project_whole(api, acme, monkeypatch):
    provider = AnsweringProvider()
    use(monkeypatch, provider)

    start(api)

    ((_, method, path, config),) = provider.asked
    assert (method, path) == ("POST", "config")
    assert config == {
        "git": {"repository": {"cloneUrl": "https://github.com/acme/app", "branch": "main"}},
        "application": {"runtime": "node", "packageManager": {"name": "npm"}, "port": 3000},
    }


def test_one_that_was_made_for_another_repository_says_so(api, acme, monkeypatch):
    error = {"error": {"code": "immutable", "message": "Of another repository.", "hint": "h"}}
    use(monkeypatch, AnsweringProvider(httpx.Response(409, json=error)))

    assert code(start(api)) == (502, "immutable")


def test_s111_it_is_recorded_under_user_branch_and_kind(api, acme, ada, provider):
    start(api)

    entry = cell(acme, ada)["docker"]
    assert abs(entry["createdAt"] - time.time() * 1000) < 60_000
    assert entry["sandboxProviderKind"] == "docker"


@pytest.mark.parametrize(
    ("runtime", "started_with"),
    [
        pytest.param(
            {"selected": "pnpm", "port": "4321", "path": "apps/web"},
            {"packageManager": "pnpm", "port": "4321", "path": "apps/web"},
            id="S112",
        ),
        pytest.param(None, {"packageManager": None, "port": None, "path": None}, id="S113"),
        pytest.param(
            {"selected": "rm -rf", "port": "99999", "path": "../x"},
            {"packageManager": None, "port": None, "path": None},
            id="nonsense",
        ),
    ],
)
def test_what_it_was_started_with(api, acme, ada, provider, runtime, started_with):
    Agent.objects.update(metadata={"runtime": runtime})

    start(api)

    assert cell(acme, ada)["docker"]["startedWith"] == started_with


def test_s114_the_same_sandbox_is_not_a_new_one_and_keeps_its_time(api, acme, ada, provider):
    first, created_at = start(api).json(), cell(acme, ada)["docker"]["createdAt"]
    again = start(api).json()

    assert (first["isNewVm"], again["isNewVm"]) == (True, False)
    assert cell(acme, ada)["docker"]["createdAt"] == created_at


def test_s115_without_a_branch_one_is_made_up(api, acme, provider):
    answer = call(api, "VM_START").json()

    assert answer["branch"].startswith("deco/")
    assert provider.places[0].branch == answer["branch"]


def test_s116_what_can_not_be_started_is_said_and_not_recorded(api, acme, monkeypatch):
    use(monkeypatch, FailingProvider())

    assert code(start(api)) == (502, "sandbox_failed")
    acme.refresh_from_db()
    assert "vmMap" not in acme.metadata


def test_a_branch_with_a_shells_characters_is_only_a_name(api, acme, provider):
    name = "$(touch${IFS}x);`id`&|'\""

    assert call(api, "VM_START", branch=name).status_code == 200
    assert provider.places[0].branch == name


def test_two_kinds_of_one_branch_stand_beside_each_other(api, acme, ada, provider):
    start(api)
    start(api, sandboxProviderKind="agent-sandbox")

    assert set(cell(acme, ada)) == {"docker", "agent-sandbox"}


def test_the_machine_that_is_online_is_the_default(api, acme, ada, provider):
    link = connect(ada)

    assert start(api).json()["sandboxProviderKind"] == "remote-user"
    assert provider.places[0].link_id == link.pk
    assert cell(acme, ada)["remote-user"]["linkId"] == str(link.pk)


def test_what_is_recorded_goes_before_the_machine(api, acme, ada, provider):
    record_sandbox(
        agent=acme,
        user_id=ada.pk,
        branch="main",
        entry=VmEntry(vm_id="x-1", kind="agent-sandbox"),
    )
    connect(ada)

    assert start(api).json()["sandboxProviderKind"] == "agent-sandbox"


def test_no_container_stands_in_for_a_machine_that_is_away(api, acme, provider):
    answer = start(api, sandboxProviderKind="remote-user")

    assert code(answer) == (409, "link_offline")
    assert provider.places == []


def test_ensuring_what_is_recorded_asks_no_provider(api, acme, provider):
    first = call(api, "ensure_vm", branch="main", sandboxProviderKind="docker").json()
    again = call(api, "ensure_vm", branch="main", sandboxProviderKind="docker").json()

    assert (first["isNewVm"], again["isNewVm"]) == (True, False)
    assert first["vmId"] == again["vmId"]
    assert len(provider.places) == 1


def test_deleting_forgets_first_and_is_safe_to_repeat(api, acme, ada, monkeypatch):
    provider = FailingProvider()
    use(monkeypatch, provider)
    record_sandbox(
        agent=acme, user_id=ada.pk, branch="main", entry=VmEntry(vm_id="m-1", kind="docker")
    )
    body = {"branch": "main", "sandboxProviderKind": "docker"}

    answers = [call(api, "VM_DELETE", **body).json() for _ in range(2)]

    assert answers == [{"success": True}] * 2
    acme.refresh_from_db()
    assert acme.metadata["vmMap"] == {}
    assert len(provider.removed) == 1


def test_deleting_of_an_unknown_agent_is_a_success(api, agent, provider):
    body = {"branch": "main", "sandboxProviderKind": "docker", "virtualMcpId": "nobody"}

    assert call(api, "VM_DELETE", **body).json() == {"success": True}


@pytest.mark.parametrize(
    ("tool", "body", "expected"),
    [
        ("VM_START", {"branch": ""}, (400, "invalid_input")),
        ("VM_START", {"branch": ["x"]}, (400, "invalid_input")),
        ("VM_START", {"branch": "-x"}, (400, "invalid_input")),
        ("VM_START", {"branch": "../x"}, (400, "invalid_input")),
        ("ensure_vm", {"branch": "a b", "sandboxProviderKind": "docker"}, (400, "invalid_input")),
        ("VM_START", {"sandboxProviderKind": "host"}, (400, "invalid_input")),
        ("VM_START", {"virtualMcpId": "nobody"}, (404, "not_found")),
        ("VM_START", {"virtualMcpId": {}}, (400, "invalid_input")),
        ("ensure_vm", {"branch": "main"}, (400, "invalid_input")),
        ("VM_DELETE", {"branch": "main"}, (400, "invalid_input")),
    ],
)
def test_refusals(api, agent, provider, tool, body, expected):
    assert code(call(api, tool, **body)) == expected
    assert provider.places == []


def test_nobody_and_strangers(api, agent, eve, provider):
    anyone, stranger = APIClient(), APIClient()
    stranger.force_authenticate(eve)

    answer = start(anyone)
    assert code(answer) == (401, "unauthorized")
    assert answer.json()["error"]["message"] == "Authentication required"
    assert code(start(stranger)) == (404, "not_found")
    assert code(call(stranger, "VM_START", org="other", virtualMcpId=str(agent.pk))) == (
        404,
        "not_found",
    )


def test_a_person_never_gets_another_ones_sandbox(api, acme, bob, provider):
    bobs = APIClient()
    bobs.force_authenticate(bob)

    assert start(api).json()["vmId"] != start(bobs).json()["vmId"]


class Waiting(NotingProvider):
    """Is slow to start: until ``go``. What is removed meanwhile is gone."""

    def __init__(self):
        super().__init__()
        self.begun, self.go = threading.Event(), threading.Event()

    async def ensure(self, place):
        await super().ensure(place)
        self.begun.set()
        await asyncio.to_thread(self.go.wait, 20)


def test_deleting_what_is_only_starting_ends_it_and_the_start_says_so(api, acme, ada, monkeypatch):
    provider = Waiting()
    use(monkeypatch, provider)
    body = {"branch": "main", "sandboxProviderKind": "docker"}

    def delete():
        provider.begun.wait(20)
        answer = call(api, "VM_DELETE", **body).json()
        provider.go.set()
        return answer

    started, deleted = at_once(lambda: start(api), delete)

    assert (code(started), deleted) == ((409, "sandbox_deleted"), {"success": True})
    assert provider.removed[0][1] is True  # without asking whether anybody works in it
    acme.refresh_from_db()
    assert "vmMap" not in acme.metadata
    assert not SandboxRunnerState.objects.exists()


def test_a_start_that_failed_leaves_no_row(api, acme, monkeypatch):
    use(monkeypatch, FailingProvider())
    start(api)

    assert not SandboxRunnerState.objects.exists()


@pytest.mark.parametrize(
    ("force", "expected", "left"),
    [({}, 409, 1), ({"force": False}, 409, 1), ({"force": True}, 200, 0)],
)
def test_one_in_which_an_agent_works_is_deleted_by_force_only(
    api, acme, ada, monkeypatch, force, expected, left
):
    use(monkeypatch, BusyProvider())
    first = start(api).json()

    answer = call(api, "VM_DELETE", branch="main", sandboxProviderKind="docker", **force)

    assert answer.status_code == expected
    assert SandboxRunnerState.objects.filter(handle=first["vmId"]).count() == left
    if left:
        assert code(answer) == (409, "sandbox_busy")
        assert cell(acme, ada)["docker"]["previewUrl"] == first["previewUrl"]


def test_a_machine_that_has_the_files_and_is_away_is_named(api, acme, ada, provider):
    link = connect(ada)
    start(api)
    Link.objects.filter(pk=link.pk).update(offline_after=None)
    Link.objects.create(
        user=ada,
        machine_id="m2",
        cli_version="1",
        protocol_version=1,
        offline_after=timezone.now() + timedelta(minutes=5),
    )

    answer = start(api)

    assert code(answer) == (409, "link_offline")
    assert "This sandbox is on “m1”" in answer.json()["error"]["message"]


def test_the_folder_of_a_conversation_is_found_again_by_the_tools(api, acme, ada, provider):
    branch = "thread:0190a0b0-0000-7000-8000-000000000000"
    started = call(api, "VM_START", branch=branch).json()
    again = call(api, "ensure_vm", branch=branch, sandboxProviderKind="docker").json()

    assert (again["vmId"], again["isNewVm"]) == (started["vmId"], False)
    call(api, "VM_DELETE", branch=branch, sandboxProviderKind="docker")
    assert len(provider.removed) == 1
    acme.refresh_from_db()
    assert "vmMap" not in acme.metadata
