"""Looking for a UUID among many."""

from uuid import uuid4

import pytest

from threads.models import Thread


@pytest.mark.parametrize("others", [0, 1, 2_000])
def test_it_finds_what_in_finds(thread, link, others):
    Thread.objects.update(link=link)
    ids = {link.pk, *(uuid4() for _ in range(others))}

    assert list(Thread.objects.filter(link__pk__among=ids)) == [thread]


@pytest.mark.parametrize("strangers", [0, 3])
def test_it_finds_nobody_else(thread, link, strangers):
    Thread.objects.update(link=link)

    found = Thread.objects.filter(link__pk__among=[uuid4() for _ in range(strangers)])

    assert not found.exists()


def test_the_statement_is_the_same_however_many_there_are(db):
    one, many = (
        Thread.objects.filter(link__pk__among=[uuid4() for _ in range(n)]).query for n in (1, 500)
    )

    assert one.sql_with_params()[0] == many.sql_with_params()[0]
    assert "JOIN" not in str(one)
