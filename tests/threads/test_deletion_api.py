"""Deleted threads over the API: listed and restored by their owner alone."""

from datetime import timedelta

import pytest
from django.urls import reverse
from django.utils import timezone
from rest_framework.test import APIClient

from mesh.models import Membership
from threads import services
from threads.models import Thread

pytestmark = pytest.mark.django_db


@pytest.fixture
def deleted(thread, say):
    services.rename_thread(thread=thread, title="Plans")
    services.delete_thread(thread=thread)
    return thread


def client_of(user):
    client = APIClient()
    client.force_authenticate(user)
    return client


def restore(user, thread, org="home"):
    return client_of(user).post(reverse("restore-thread", args=[org, thread.pk]))


def listed(user, org="home"):
    return client_of(user).get(reverse("deleted-threads", args=[org])).json()["threads"]


def code(answer):
    return answer.status_code, answer.json()["error"]["code"]


def test_what_was_deleted_is_listed_with_the_day_on_which_it_goes(deleted, ada):
    (shown,) = listed(ada)

    deleted.refresh_from_db()
    assert (shown["id"], shown["title"]) == (str(deleted.pk), "Plans")
    assert shown["removedAt"] == (deleted.deleted_at + timedelta(days=7)).isoformat()


def test_others_are_shown_none_of_it(deleted, bob, eve):
    assert listed(bob) == listed(eve, "other") == []


def test_the_owner_restores_it(deleted, ada):
    url = reverse("thread", args=["home", deleted.pk])
    assert client_of(ada).get(url).status_code == 404

    assert restore(ada, deleted).json()["title"] == "Plans"

    assert client_of(ada).get(url).status_code == 200
    assert restore(ada, deleted).status_code == 200
    assert listed(ada) == []


def test_nobody_else_restores_it(deleted, bob, eve):
    assert code(restore(bob, deleted)) == (404, "not_found")
    assert code(restore(eve, deleted)) == (404, "not_found")
    assert code(restore(eve, deleted, "other")) == (404, "not_found")
    assert APIClient().post(reverse("restore-thread", args=["home", deleted.pk])).status_code == 401


def test_a_former_member_restores_nothing(deleted, ada):
    Membership.objects.filter(user=ada).delete()

    assert code(restore(ada, deleted)) == (404, "not_found")


def test_it_is_too_late_after_its_time(deleted, ada):
    Thread.objects.update(deleted_at=timezone.now() - timedelta(days=7))

    assert code(restore(ada, deleted)) == (410, "thread_purged")
    assert listed(ada) == []
