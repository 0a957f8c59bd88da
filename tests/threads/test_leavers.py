"""A person or an organization that is deleted (in a shell: no page does it) takes all along."""

import pytest
from django.apps import apps
from django.contrib import admin
from django.db.models import RestrictedError

from agents.keys.services import NewKey, add_key
from agents.models import Agent, McpServerRow
from links.models import Link
from mesh.models import Membership, User
from mesh.services import make_token
from sandboxes.core.vm_map import VmEntry
from sandboxes.services import record_sandbox
from tests.secrecy import MARK
from threads.models import Approval, ApprovalRule, Attachment, Event, Steer

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def world(say, thread, ada, org, agent, link):
    """One of nearly everything that a person and an organization have."""
    first, second = say("a"), say("b")
    Steer.objects.create(run=second, into=first, asked_by=ada)
    rule = ApprovalRule.objects.create(thread=thread, tool="Bash", scope="tool", created_by=ada)
    Approval.objects.create(
        run=first, approval_id="a", tool_call_id="c", input={}, level="auto", rule=rule
    )
    for of in (thread, None):
        Attachment.objects.create(
            organization=org,
            owner=ada,
            thread=of,
            name="a",
            media_type="text/plain",
            size=1,
            data=b"a",
        )
    McpServerRow.objects.create(agent=agent, name="tools", url="https://tools.example")
    member = Membership.objects.select_related("organization").get(user=ada)
    add_key(member=member, new=NewKey(provider="anthropic", secret=f"sk-ant-{MARK}"))
    record_sandbox(
        agent=agent, user_id=ada.pk, branch="main", entry=VmEntry(vm_id="h", kind="docker")
    )
    make_token(user=ada)


def rows_of(*names):
    """How many rows there are of the models of some apps, where there are any."""
    models = [model for name in names for model in apps.get_app_config(name).get_models()]
    counts = {
        model.__name__: model._base_manager.count() for model in models if not model._meta.proxy
    }
    return {name: count for name, count in counts.items() if count}


def test_a_person_takes_along_what_is_theirs_alone(world, ada, org):
    ada.delete()

    assert rows_of("threads", "sandboxes", "links", "mesh", "allauth_idp_oidc") == {
        "Organization": 1,
        "Client": 1,
    }
    assert Agent.objects.exists()  # the organization's, as are its keys


def test_an_organization_takes_along_all_that_is_in_it(world, ada, org):
    org.delete()

    assert rows_of("threads", "agents") == {}
    assert User.objects.get() == ada
    assert Link.objects.exists()  # the person's


def test_an_agent_that_people_talked_to_is_removed_and_not_deleted(world, agent):
    with pytest.raises(RestrictedError):
        agent.delete()

    assert Event.objects.exists()


def test_no_page_of_the_admin_deletes_people_organizations_or_chats():
    deletable = {
        model.__name__
        for model, page in admin.site._registry.items()
        if type(page).has_delete_permission is admin.ModelAdmin.has_delete_permission
    }

    assert deletable == {"Group", "EmailAddress", "Authenticator", "Token"}
