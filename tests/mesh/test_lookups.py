"""Looking for a value among many, whatever kind of column it is."""

from uuid import uuid4

import pytest
from django.contrib.sessions.models import Session
from django.utils import timezone

from links.models import Link
from mesh.models import Membership, User
from threads.models import Thread

MANY = 40_000  # more than SQLite takes parameters


@pytest.fixture
def link(ada):
    return Link.objects.create(
        user=ada, machine_id="m1", cli_version="1", protocol_version=1, secret="s"
    )


@pytest.mark.parametrize("others", [0, 1, MANY])
def test_it_finds_what_in_finds(link, others):
    ids = {link.pk, *(uuid4() for _ in range(others))}

    assert list(Link.objects.filter(pk__among=ids)) == [link]


@pytest.mark.parametrize("strangers", [0, 3])
def test_it_finds_nobody_else(link, strangers):
    assert not Link.objects.filter(pk__among=[uuid4() for _ in range(strangers)]).exists()


def test_numbers(ada, bob):
    assert list(User.objects.filter(pk__among=[ada.pk, *range(-MANY, 0)])) == [ada]


def test_numbers_of_a_relation(ada, bob):
    assert Membership.objects.get(user__pk__among={ada.pk}).user == ada


def test_texts(db):
    Session.objects.create(pk="k", session_data="", expire_date=timezone.now())

    found = Session.objects.filter(pk__among=["k", "'", '"', *map(str, range(MANY))])

    assert [session.pk for session in found] == ["k"]


def test_null_is_among_nothing(link):
    assert not Link.objects.filter(registered_with__pk__among=[None]).exists()


def test_an_update(link):
    assert Link.objects.filter(connection_id__among=["another", ""]).update(hostname="new") == 1


@pytest.mark.parametrize(
    ("model", "path", "value"),
    [(Thread, "link__pk", uuid4), (Membership, "user__pk", int), (Session, "pk", str)],
)
def test_the_statement_is_the_same_however_many_there_are(db, model, path, value):
    one, many = (
        model.objects.filter(**{f"{path}__among": [value() for _ in range(n)]}).query
        for n in (1, 500)
    )

    assert one.sql_with_params()[0] == many.sql_with_params()[0]
    assert "JOIN" not in str(one)
