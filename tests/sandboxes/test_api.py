"""VM_START, VM_DELETE and ensure_vm: S110–S116 and their refusals."""

import time

import pytest
from rest_framework.test import APIClient

from agents.models import Agent
from sandboxes.core.handle import handle_for
from sandboxes.core.vm_map import VmEntry
from sandboxes.models import SandboxRunnerState
from sandboxes.services import record_sandbox
from tests.sandboxes.conftest import connect, use
from tests.sandboxes.doubles import (
    BusyProvider,
    FailingProvider,
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


def call(api, tool, org="home", **body):
    return api.post(f"/api/{org}/tools/{tool}", {"virtualMcpId": "default", **body})


def start(api, **body):
    return call(api, "VM_START", branch="main", **body)


def cell(agent, user, branch="main"):
    agent.refresh_from_db()
    return agent.metadata["vmMap"][str(user.pk)][branch]


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
