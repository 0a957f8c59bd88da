"""What was used once stays used until it would have expired, whatever else is used."""

from datetime import timedelta

import pytest
from allauth.core.internal import ratelimit
from django.contrib.sessions.models import Session
from django.core.cache import cache
from django.test import RequestFactory
from django.utils import timezone

from mesh import tasks
from mesh.models import CacheEntry, UsedTicket
from mesh.single_use import forget_expired, use_once
from tests.threads.races import in_parallel

MINUTE = timedelta(minutes=1)


@pytest.fixture
def use(db):
    """Return ``use(value)``: say whether it was new."""
    return lambda value, kind="of a test", life=MINUTE: use_once(
        kind, value, expires_at=timezone.now() + life
    )


def test_the_first_use_is_the_only_one(use):
    assert [use("a"), use("a"), use("b"), use("a")] == [True, False, True, False]


def test_another_kind_of_ticket_is_another_ticket(use):
    assert [use("a", kind="one"), use("a", kind="two")] == [True, True]


def test_no_number_of_others_makes_it_good_again(use):
    use("first")
    for number in range(400):
        use(str(number))
    cache.clear()

    assert not use("first")


def test_it_is_forgotten_when_it_is_too_old_to_be_taken(use):
    use("old", life=-MINUTE)
    use("young")

    assert forget_expired(now=timezone.now()) == 1
    assert [use("old"), use("young")] == [True, False]


def test_nobody_learns_a_ticket_from_the_table(use):
    use("secret")

    assert "secret" not in UsedTicket.objects.get().digest


@pytest.mark.django_db(transaction=True)
def test_of_many_at_once_one_uses_it():
    def use():
        return use_once("of a test", "a", expires_at=timezone.now() + MINUTE)

    assert sorted(in_parallel(*[use] * 8)) == [False] * 7 + [True]


def failed_sign_in(name):
    request = RequestFactory().post("/", REMOTE_ADDR="192.0.2.1")
    return ratelimit.consume(
        request,
        app="allauth.account",
        action="login_failed",
        key=name,
        config={"login_failed": "5/300s/key"},
    )


def test_no_number_of_other_names_forgets_how_often_one_was_tried(db):
    for _ in range(5):
        failed_sign_in("ada")
    for number in range(400):
        failed_sign_in(f"nobody{number}")

    assert failed_sign_in("ada") is None


def test_a_counter_outlives_whatever_is_kept_in_memory(db):
    cache.set("a", 1, 60)

    assert CacheEntry.objects.get().cache_key.endswith("a")


def test_counters_that_expired_are_removed(db):
    CacheEntry.objects.create(cache_key="older", expires=timezone.now() - MINUTE)
    cache.set("young", 1, 60)

    assert tasks.forget_expired() == 1
    assert cache.get("young") == 1


def test_sessions_that_expired_are_removed(client, ada):
    client.force_login(ada)
    Session.objects.create(
        session_key="old", session_data="who it was", expire_date=timezone.now() - MINUTE
    )

    assert tasks.forget_expired() == 1
    assert client.get("/accounts/password/change/").status_code == 200
