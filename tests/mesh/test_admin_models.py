"""Every page of the admin, as a superuser sees it: no secret stands on any."""

import re

import pytest
from allauth.account.models import EmailAddress
from allauth.idp.oidc.models import Client as OAuthClient
from allauth.idp.oidc.models import Token
from allauth.mfa.models import Authenticator
from django.contrib import admin
from django.contrib.auth.models import Group
from django.test import Client, RequestFactory
from django.urls import reverse
from django.utils import timezone

from links.models import Link
from mesh.models import Invitation, Membership, Organization, User
from sandboxes.models import SandboxRunnerState, VmMap
from tests.secrecy import MARK
from threads.models import Message, Run, Thread

SECRET_NAMES = re.compile(r"secret|hash|key|token|password|code|sealed|^data$|^state$|metadata")
SECRET_ADDRESS = f"https://u:{MARK}@app.example/x?t={MARK}#{MARK}"


@pytest.fixture
def staff(ada):
    ada.is_staff = ada.is_superuser = True
    ada.save()
    return ada


@pytest.fixture
def superuser(staff):
    client = Client()
    client.force_login(staff)
    return client


def a_link(person, agent):
    return Link.objects.create(
        user=person,
        machine_id="m1",
        hostname="laptop",
        protocol_version=1,
        secret=MARK,
        secret_hash=MARK,
    )


def a_sandbox(person, agent):
    return SandboxRunnerState.objects.create(
        user=person,
        project_ref="p",
        sandbox_provider_kind="docker",
        handle="h",
        state={"token": MARK},
    )


def a_vm_map(person, agent):
    entry = {"vmId": "h", "sandboxProviderKind": "docker", "previewUrl": SECRET_ADDRESS}
    entry |= {"sandboxUrl": SECRET_ADDRESS}
    agent.metadata = {"vmMap": {str(person.pk): {"main": {"docker": entry}}}, "token": MARK}
    agent.save()
    return VmMap.objects.get(pk=agent.pk)


def an_authenticator(person, agent):
    data = {"secret": MARK, "seed": MARK, "migrated_codes": [MARK]}
    return Authenticator.objects.create(user=person, type="totp", data=data)


def a_token(person, agent):
    client = OAuthClient.objects.create(id="c", name="C", secret=MARK)
    return Token.objects.create(
        type="ia", user=person, client=client, hash=MARK, data={"name": MARK}, scopes=""
    )


def a_person(person, agent):
    person.set_password(MARK)
    person.save()
    return person


def an_invitation(person, agent):
    return Invitation.objects.create(
        organization=agent.organization,
        role="member",
        digest=MARK,
        made_by=person,
        expires_at=timezone.now(),
    )


def a_thread(person, agent):
    return Thread.objects.create(
        organization=agent.organization,
        owner=person,
        agent=agent,
        title=f"said in private: {MARK}",
        session_ref=MARK,
    )


def a_run(person, agent):
    thread = a_thread(person, agent)
    said = [{"type": "text", "text": MARK}]
    prompt = Message.objects.create(
        thread=thread, role="user", author=person, client_id="c", seq=1, parts=said
    )
    return Run.objects.create(
        thread=thread,
        prompt=prompt,
        error_code="stuck",
        error_text=MARK,
        system_messages=[MARK],
        usage={"said": MARK},
    )


ROWS = {
    Authenticator: an_authenticator,
    EmailAddress: lambda person, agent: EmailAddress.objects.create(
        user=person, email="a@b.example"
    ),
    Group: lambda person, agent: Group.objects.create(name="operators"),
    Invitation: an_invitation,
    Link: a_link,
    Membership: lambda person, agent: person.memberships.get(),
    Organization: lambda person, agent: agent.organization,
    Run: a_run,
    SandboxRunnerState: a_sandbox,
    Thread: a_thread,
    Token: a_token,
    User: a_person,
    VmMap: a_vm_map,
}


def names(model):
    return model._meta.label


def test_each_model_with_a_page_is_looked_at_here():
    assert set(admin.site._registry) == set(ROWS)


@pytest.mark.parametrize("model", ROWS, ids=names)
def test_no_page_shows_a_secret(superuser, bob, agent, model):
    row = ROWS[model](bob, agent)
    name = f"admin:{model._meta.app_label}_{model._meta.model_name}"

    lists = [reverse(f"{name}_changelist"), reverse(f"{name}_add")]
    shown = [reverse(f"{name}_{page}", args=[row.pk]) for page in ("change", "history", "delete")]
    answers = [superuser.get(address) for address in lists + shown]

    assert {answer.status_code for answer in answers} <= {200, 403}
    assert answers[2].status_code == 200
    assert MARK not in "".join(answer.content.decode() for answer in answers)


@pytest.mark.parametrize("model", ROWS, ids=names)
def test_no_page_has_a_field_that_holds_secrets(staff, model):
    page = admin.site._registry[model]
    request = RequestFactory().get("/")
    request.user = staff
    fields = {*page.get_fields(request), *page.get_list_display(request), *page.list_filter}
    fields |= {*page.get_search_fields(request)}
    columns = {field.name for field in model._meta.get_fields()}

    assert [name for name in fields & columns if SECRET_NAMES.search(str(name))] == []


@pytest.mark.parametrize("model", [Authenticator, Token], ids=names)
def test_nobody_types_a_second_factor_or_a_token(superuser, bob, agent, model):
    row = ROWS[model](bob, agent)
    name = f"admin:{model._meta.app_label}_{model._meta.model_name}"
    forged = {"user": bob.pk, "type": row.type, "data": "{}", "hash": "f", "client": ""}

    added = superuser.post(reverse(f"{name}_add"), forged)
    changed = superuser.post(reverse(f"{name}_change", args=[row.pk]), forged)

    assert (added.status_code, changed.status_code) == (403, 403)
    assert model.objects.count() == 1


def test_a_lost_second_factor_can_be_deleted_here(superuser, bob, agent):
    row = an_authenticator(bob, agent)

    superuser.post(reverse("admin:mfa_authenticator_delete", args=[row.pk]), {"post": "yes"})

    assert not Authenticator.objects.exists()


OURS = [User, Organization, Membership, Invitation, Thread, Run]


@pytest.mark.parametrize("model", OURS, ids=names)
def test_nobody_adds_changes_or_deletes_what_has_pages_of_its_own(superuser, bob, agent, model):
    row = ROWS[model](bob, agent)
    name = f"admin:{model._meta.app_label}_{model._meta.model_name}"
    before = model.objects.filter(pk=row.pk).values().get()
    addresses = [
        reverse(f"{name}_add"),
        reverse(f"{name}_change", args=[row.pk]),
        reverse(f"{name}_delete", args=[row.pk]),
    ]

    answers = [superuser.post(address, {"post": "yes", "role": "owner"}) for address in addresses]

    assert {answer.status_code for answer in answers} == {403}
    assert model.objects.filter(pk=row.pk).values().get() == before


@pytest.mark.parametrize("model", OURS, ids=names)
def test_each_list_is_searched_and_filtered(superuser, bob, agent, model):
    row = ROWS[model](bob, agent)
    page, name = admin.site._registry[model], model._meta.model_name
    address = reverse(f"admin:{model._meta.app_label}_{name}_changelist")
    path = reverse(f"admin:{model._meta.app_label}_{name}_change", args=[row.pk])
    known = "home" if model is Organization else "bob"

    assert path in superuser.get(address, {"q": known}).content.decode()
    assert path not in superuser.get(address, {"q": "nobody"}).content.decode()
    assert superuser.get(address, {"q": "\0"}).status_code == 400
    assert page.list_filter or model is Organization


@pytest.mark.parametrize("state", ["unfinished", "queued", "completed"])
def test_runs_are_filtered_by_their_state(superuser, bob, agent, state):
    run = a_run(bob, agent)

    page = superuser.get(reverse("admin:threads_run_changelist"), {"in": state})

    assert (str(run.pk) in page.content.decode()) is (state != "completed")


def test_a_run_is_ended_from_its_list(superuser, bob, agent):
    run = a_run(bob, agent)
    form = {"action": "end", "_selected_action": [str(run.pk)]}
    address = reverse("admin:threads_run_changelist")

    pages = [superuser.post(address, form, follow=True).content.decode() for _ in range(2)]

    assert ["Ended: 1." in pages[0], "Ended: 0." in pages[1]] == [True, True]
    run.refresh_from_db()
    assert run.state == "cancelled"


def test_an_invitation_is_revoked_from_its_list(superuser, bob, agent):
    row = an_invitation(bob, agent)
    form = {"action": "revoke", "_selected_action": [str(row.pk)]}

    superuser.post(reverse("admin:mesh_invitation_changelist"), form)

    row.refresh_from_db()
    assert row.revoked_at is not None


def many(agent, count):
    """Make so many rows of each model of ours."""
    people = User.objects.bulk_create(User(username=f"u{n}") for n in range(count))
    teams = Organization.objects.bulk_create(
        Organization(slug=f"o{n}", name=f"O{n}") for n in range(count)
    )
    pairs = list(zip(people, teams, strict=True))
    Membership.objects.bulk_create(Membership(user=u, organization=o) for u, o in pairs)
    soon = timezone.now()
    Invitation.objects.bulk_create(
        Invitation(organization=o, made_by=u, role="member", digest=f"d{u.pk}", expires_at=soon)
        for u, o in pairs
    )
    threads = Thread.objects.bulk_create(
        Thread(owner=u, organization=o, agent=agent) for u, o in pairs
    )
    prompts = Message.objects.bulk_create(
        Message(thread=t, role="user", client_id="c", seq=1, parts=[]) for t in threads
    )
    Run.objects.bulk_create(Run(thread=p.thread, prompt=p) for p in prompts)


@pytest.mark.parametrize("model", OURS, ids=names)
def test_a_list_of_many_costs_as_many_queries_as_one_of_few(
    superuser, agent, model, django_assert_max_num_queries
):
    many(agent, 60)
    address = reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist")

    with django_assert_max_num_queries(9):
        assert superuser.get(address).status_code == 200
