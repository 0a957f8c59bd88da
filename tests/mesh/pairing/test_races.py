"""Two at once: on PostgreSQL they really are; SQLite lets one after the other in."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from allauth.idp.oidc.models import Token
from django.db import connection

from mesh.models import Pairing
from tests.mesh.pairing.conftest import Browser, Machine

pytestmark = pytest.mark.django_db(transaction=True)


def at_once(*calls):
    def run(call):
        try:
            return call()
        finally:
            connection.close()

    with ThreadPoolExecutor(len(calls)) as pool:
        return list(pool.map(run, calls))


@pytest.fixture
def machine(transactional_db):
    return Machine()


@pytest.fixture
def again(machine, monkeypatch):
    """Return ``again()``: another try of the same machine, with a client of its own."""
    monkeypatch.setattr("mesh.pairing.services.EARLY", timedelta(hours=1))  # never too fast

    def again():
        other = Machine()
        other.codes, other.tokens = machine.codes, machine.tokens
        return other

    return again


def test_a_code_that_is_collected_twice_at_once_gives_tokens_once(machine, again, adas):
    machine.ask()
    adas.answer(machine.codes["user_code"], "approve")

    answers = at_once(*(again().poll for _ in range(4)))

    assert sorted(answer.status_code for answer in answers) == [200, 400, 400, 400]


def test_a_refresh_token_used_twice_at_once_gives_good_tokens_twice(machine, again, adas):
    machine.paired(adas)

    answers = at_once(*(again().renew for _ in range(4)))

    assert [answer.status_code for answer in answers] == [200] * 4
    for answer in answers[-1:]:
        assert machine.renew(answer.json()["refresh_token"]).status_code == 200


def test_of_two_people_who_answer_at_once_one_has_the_machine(machine, adas, bob):
    machine.ask()
    code, bobs = machine.codes["user_code"], Browser(bob, address="198.51.100.9")

    answers = at_once(lambda: adas.answer(code, "approve"), lambda: bobs.answer(code, "deny"))

    assert sorted(answer.status_code for answer in answers) == [200, 410]
    assert Pairing.objects.get().state in {"approved", "denied"}


def test_signing_out_while_renewing_leaves_no_token_behind(machine, again, adas):
    machine.paired(adas)

    at_once(again().renew, lambda: again().revoke(machine.tokens["access_token"]), again().renew)

    assert not Pairing.objects.exists()
    assert not Token.objects.exists()
