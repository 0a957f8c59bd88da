"""Viewers change nothing through the API, wherever a view does not say otherwise."""

import pytest
from django.urls import reverse
from rest_framework.test import APIClient

from mesh.models import Membership


@pytest.fixture
def post(org, agent):
    """Return ``post(user)``: how the server answers that person's request for a new thread."""

    def send(user):
        client = APIClient()
        client.force_authenticate(user)
        return client.post(reverse("threads", args=[org.slug]), {})

    return send


def lower(user):
    Membership.objects.filter(user=user).update(role="viewer")


def test_a_member_starts_a_thread(post, bob):
    assert post(bob).status_code == 201


def test_a_viewer_is_told_why_not(post, bob):
    lower(bob)

    answer = post(bob)

    assert (answer.status_code, answer.json()["error"]["code"]) == (403, "reads_only")


def test_a_viewer_elsewhere_starts_here(post, bob, eve):
    Membership.objects.create(user=bob, organization=eve.organizations.get(), role="viewer")

    assert post(bob).status_code == 201


def test_a_stranger_who_only_reads_at_home_learns_nothing(post, eve):
    lower(eve)

    assert post(eve).status_code == 404


def test_nobody_is_asked_to_sign_in(org, agent, client):
    assert client.post(reverse("threads", args=[org.slug])).status_code == 401


def test_a_viewer_reads(org, bob, agent, client):
    lower(bob)
    client.force_login(bob)

    assert client.get(reverse("threads", args=[org.slug])).status_code == 200
    page = client.get(reverse("home", args=[org.slug])).content.decode()
    assert 'id="reads-only"' in page


def test_a_member_is_not_told_that_they_only_read(org, bob, agent, client):
    client.force_login(bob)

    assert 'id="reads-only"' not in client.get(reverse("home", args=[org.slug])).content.decode()
