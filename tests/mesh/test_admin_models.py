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

from links.models import Link
from sandboxes.models import SandboxRunnerState, VmMap
from tests.secrecy import MARK

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


ROWS = {
    Authenticator: an_authenticator,
    EmailAddress: lambda person, agent: EmailAddress.objects.create(
        user=person, email="a@b.example"
    ),
    Group: lambda person, agent: Group.objects.create(name="operators"),
    Link: a_link,
    SandboxRunnerState: a_sandbox,
    Token: a_token,
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
