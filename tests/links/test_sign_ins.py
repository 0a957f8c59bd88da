"""A machine that was signed out loses its socket, whoever did it."""

import pytest
from allauth.idp.oidc.models import Token
from asgiref.sync import sync_to_async
from django.db import OperationalError

from links import sign_ins
from links.sign_ins import SignIns
from links.wire.closing import SIGNED_OUT
from mesh.models import User
from tests.links.test_gateway import (  # noqa: F401  # fixtures
    app,
    dial,
    handlers,
    hello,
    laptop,
    presence,
    pulse,
    token,
)
from tests.waiting import auntil

# Every look goes through the thread that has the tests' connection, also where it finds nothing.
pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(sign_ins, "LOOK_EVERY", 0.05)


@sync_to_async
def revoke():
    Token.objects.all().delete()


@sync_to_async
def shut_out():
    User.objects.update(is_active=False)


@pytest.mark.parametrize("how", [revoke, shut_out])
async def test_its_socket_is_dropped_and_the_cause_is_told(how, laptop, handlers, ada):  # noqa: F811
    await how()

    assert await laptop.closed() == (SIGNED_OUT, "signed_out")
    await auntil(lambda: handlers.downs)
    assert handlers.downs[0][1] == "signed_out"
    assert await presence(ada) == ("offline", "signed_out")


async def test_a_machine_that_never_greeted_is_dropped_too(dial, token):  # noqa: F811
    silent = await dial().accepted()
    await revoke()

    assert await silent.closed() == (SIGNED_OUT, "signed_out")


class Held:
    """Stands for a connection."""

    def __init__(self):
        self.closed = None

    def close(self, code, reason, fact=None):
        self.closed = code


async def test_where_the_store_is_down_nobody_is_dropped(monkeypatch):
    def down(_):
        raise OperationalError

    monkeypatch.setattr(sign_ins, "find_ended", down)
    book, connection = SignIns(), Held()
    book.add(connection, "sign-in")

    await book.look()

    assert connection.closed is None


async def test_it_looks_again_after_a_failure(monkeypatch):
    looks = []

    def find(held):
        looks.append(held)
        if len(looks) == 1:
            raise RuntimeError
        return held

    monkeypatch.setattr(sign_ins, "find_ended", find)
    book, connection = SignIns(), Held()
    book.add(connection, "sign-in")

    await auntil(lambda: connection.closed == SIGNED_OUT)


async def test_disconnected_machines_are_not_checked(monkeypatch):
    looks = []
    monkeypatch.setattr(sign_ins, "find_ended", lambda held: looks.append(held) or set())
    book, connection = SignIns(), Held()
    book.add(connection, "sign-in")
    book.remove(connection)

    await book.look()

    assert set(map(frozenset, looks)) == {frozenset()}  # it may have looked by itself, too
