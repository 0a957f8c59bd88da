import pytest
from django.test import Client
from django.urls import reverse

from links import selectors, services
from links.models import Link
from links.wire.messages import Registration

M1 = Registration(
    machine_id="m1",
    cli_version="1.2.3",
    protocol_version=1,
    capabilities=("codex",),
    hostname="<b>laptop</b>",
)


@pytest.fixture
def secret(ada):
    """What the machine was told when it registered; it is online since."""
    told = services.register(user=ada, registration=M1)
    link = Link.objects.get()
    services.claim(
        user=ada, machine_id="m1", secret_fingerprint=link.secret_hash, connection_id="c1"
    )
    return told.link_secret


@pytest.fixture
def admin(ada):
    ada.is_staff = ada.is_superuser = True
    ada.save()
    client = Client()
    client.force_login(ada)
    return client


def listing():
    return reverse("admin:links_link_changelist")


def details():
    return reverse("admin:links_link_change", args=[Link.objects.get().pk])


def do(admin, action):
    form = {"action": action, "_selected_action": [str(Link.objects.get().pk)]}
    return admin.post(listing(), form, follow=True).content.decode()


def test_the_list_tells_what_a_machine_is_and_does(admin, secret):
    page = admin.get(listing()).content.decode()

    for told in ("ada", "online", "1.2.3", "codex"):
        assert told in page
    assert "<b>laptop" not in page


def test_no_secret_is_shown(admin, secret):
    row = Link.objects.get()
    pages = admin.get(listing()).content.decode() + admin.get(details()).content.decode()

    assert not [word for word in (secret, row.secret, row.secret_hash) if word in pages]


def test_nothing_can_be_typed_added_or_deleted(admin, secret):
    page = admin.get(details()).content.decode()

    assert 'name="hostname"' not in page
    assert admin.get(reverse("admin:links_link_add")).status_code == 403
    assert "delete_selected" not in admin.get(listing()).content.decode()


@pytest.mark.parametrize(
    ("action", "said", "cause"),
    [
        ("disconnect", "1 machine was disconnected.", "disconnected"),
        ("rotate", "1 machine was given a new secret.", "disconnected"),
        ("revoke", "1 machine was signed out.", "signed_out"),
    ],
)
def test_actions(admin, secret, ada, action, said, cause):
    assert said in do(admin, action)

    (view,) = selectors.list_links(viewer=ada)
    assert (view.state, view.cause) == ("offline", cause)


def test_a_person_who_may_not_change_machines_has_no_action(secret, bob):
    bob.is_staff = True
    bob.save()
    client = Client()
    client.force_login(bob)

    assert client.get(listing()).status_code == 403
