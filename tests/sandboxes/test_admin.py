"""The admin's two views of sandboxes."""

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from agents.models import Agent
from links.models import Link
from sandboxes.core.vm_map import VmEntry, list_entries
from sandboxes.models import SandboxRunnerState
from sandboxes.services import record_sandbox
from tests.sandboxes.conftest import use
from tests.sandboxes.doubles import FailingProvider
from tests.sandboxes.test_api import connect

pytestmark = pytest.mark.django_db(transaction=True)
LIST = "admin:sandboxes_sandboxrunnerstate_changelist"


@pytest.fixture
def recorded(agent, ada, bob):
    """Ada has two sandboxes, Bob one."""
    for user, kind in [(ada, "docker"), (ada, "remote-user"), (bob, "docker")]:
        entry = VmEntry(vm_id=f"main-{user}-{kind}", kind=kind, preview_url="javascript:alert(1)")
        record_sandbox(agent=agent, user_id=user.pk, branch="fix/<b>x", entry=entry)
    return agent


@pytest.fixture
def admin(ada):
    ada.is_staff = ada.is_superuser = True
    ada.save()
    client = Client()
    client.force_login(ada)
    return client


def do(admin, action, *kinds):
    rows = SandboxRunnerState.objects.filter(sandbox_provider_kind__in=kinds, user__username="ada")
    form = {"action": action, "_selected_action": [str(row.pk) for row in rows]}
    return admin.post(reverse(LIST), form, follow=True).content.decode()


def tree(admin, agent):
    return admin.get(reverse("admin:sandboxes_vmmap_change", args=[agent.pk])).content.decode()


def left(agent):
    agent.refresh_from_db()
    return {entry.vm_id for _, _, entry in list_entries(agent.metadata)}


def test_the_list_and_the_tree_tell_whose_sandbox_is_what(admin, recorded):
    for page in (admin.get(reverse(LIST)).content.decode(), tree(admin, recorded)):
        for told in ("main-ada-docker", "main-ada-remote-user", "main-bob-docker", "ada", "bob"):
            assert told in page
        assert "<b>x" not in page
        assert "javascript:" not in page
    assert "Mesh" in admin.get(reverse("admin:sandboxes_vmmap_changelist")).content.decode()


def test_stopping_asks_the_provider_and_keeps_the_record(admin, recorded, provider):
    assert "Stopped 1 sandbox." in do(admin, "stop", "docker")

    ((place, force),) = provider.stopped
    assert (place.kind, place.branch, force) == ("docker", "fix/<b>x", False)
    assert len(left(recorded)) == 3


def test_what_can_not_be_stopped_is_said(admin, recorded, monkeypatch):
    use(monkeypatch, FailingProvider())

    assert "It did not end." in do(admin, "stop", "docker")


def test_what_is_of_no_agent_any_more_can_not_be_stopped_and_says_so(admin, recorded, provider):
    Agent.objects.all().delete()

    assert "Forget it instead" in do(admin, "stop", "docker")
    assert (SandboxRunnerState.objects.count(), provider.stopped) == (3, [])


def test_a_machine_is_named_and_a_chats_own_folder_is_told_apart(admin, recorded, ada):
    link = connect(ada)
    Link.objects.update(hostname="adas-laptop")
    branch = "thread:0190a0b0-0000-7000-8000-000000000000"
    entry = VmEntry(vm_id="thread-1", kind="remote-user", link_id=str(link.pk))
    for of in (branch, "main"):
        record_sandbox(agent=recorded, user_id=ada.pk, branch=of, entry=entry)

    listed = admin.get(reverse(LIST)).content.decode()
    assert listed.count("remote-user: adas-laptop") == 2
    assert listed.count("one chat’s folder") == 1
    assert "adas-laptop" in tree(admin, recorded)
    assert branch not in tree(admin, recorded)


def test_the_list_asks_as_much_for_many_rows_as_for_few(admin, recorded, ada):
    with CaptureQueriesContext(connection) as few:
        admin.get(reverse(LIST))
    for n in range(20):
        entry = VmEntry(vm_id=f"b{n}-1", kind="docker")
        record_sandbox(agent=recorded, user_id=ada.pk, branch=f"b{n}", entry=entry)

    with CaptureQueriesContext(connection) as many:
        admin.get(reverse(LIST))

    assert len(many) == len(few)


@pytest.mark.parametrize("odd", [{"x": {"": {"docker": {"vmId": "odd<b>"}}}}, {"7": {"y": 1}}, {}])
def test_any_map_can_be_looked_at(admin, recorded, odd):
    Agent.objects.update(metadata={"vmMap": odd})

    page = tree(admin, recorded)
    assert "<b>" not in page.partition("vm-map")[2]
    assert "unknown person" in page or "No sandbox of this agent" in page


def test_forgetting_takes_the_record_and_asks_nobody(admin, recorded, provider):
    assert "Forgot 2 sandboxes." in do(admin, "forget", "docker", "remote-user")

    assert left(recorded) == {"main-bob-docker"}
    assert provider.removed == []


def test_a_row_of_an_agent_that_is_gone_can_be_forgotten(admin, recorded, provider):
    Agent.objects.all().delete()

    assert "(removed)" in admin.get(reverse(LIST)).content.decode()
    assert "Forgot 2 sandboxes." in do(admin, "forget", "docker", "remote-user")
    assert SandboxRunnerState.objects.count() == 1


@pytest.mark.parametrize(("what", "remaining"), [("stop", 3), ("forget", 2)])
def test_the_tree_asks_before_it_acts(admin, recorded, provider, ada, what, remaining):
    url = reverse("admin:sandboxes_vmmap_act", args=[recorded.pk])
    given = {"do": what, "user": ada.pk, "branch": "fix/<b>x", "kind": "docker"}

    asked = admin.get(url, given).content.decode()
    assert f"Yes, {what} it" in asked
    assert len(left(recorded)) == 3
    assert "main-ada-docker." in admin.post(url, given, follow=True).content.decode()
    assert len(left(recorded)) == remaining


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"do": "x"},
        {"do": "stop"},
        {"do": "forget", "user": "x", "branch": "", "kind": "docker"},
    ],
)
def test_nonsense_does_nothing(admin, recorded, provider, given):
    url = reverse("admin:sandboxes_vmmap_act", args=[recorded.pk])

    assert admin.post(url, given).status_code == 302
    assert (provider.stopped, provider.removed, len(left(recorded))) == ([], [], 3)


def test_nothing_can_be_typed_added_or_deleted_and_others_see_nothing(admin, recorded, bob):
    row = SandboxRunnerState.objects.first()
    page = admin.get(reverse("admin:sandboxes_sandboxrunnerstate_change", args=[row.pk]))
    assert 'name="handle"' not in page.content.decode()
    assert admin.get(reverse("admin:sandboxes_sandboxrunnerstate_add")).status_code == 403
    assert "delete_selected" not in admin.get(reverse(LIST)).content.decode()

    bob.is_staff = True
    bob.save()
    bobs = Client()
    bobs.force_login(bob)
    assert bobs.get(reverse(LIST)).status_code == 403
    assert bobs.post(reverse("admin:sandboxes_vmmap_act", args=[recorded.pk])).status_code == 403
