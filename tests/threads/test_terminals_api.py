"""Terminals through the API and the socket: who may have one, and what is recorded."""

from __future__ import annotations

import asyncio
from uuid import UUID, uuid4

import httpx
import pytest
from asgiref.sync import sync_to_async
from rest_framework.test import APIClient

from mesh import connection_checks
from mesh.models import Membership, Organization, Role, TerminalUse
from sandboxes.providers.base import LinkOffline
from tests.sandboxes.doubles import AnsweringProvider
from tests.sandboxes.test_api import code
from tests.waiting import auntil
from threads.models import TerminalRecord
from threads.terminal_socket import serve_terminal

pytestmark = pytest.mark.django_db(transaction=True)


class Machine(AnsweringProvider):
    """A sandbox with the terminals in ``listed``; its sockets echo."""

    listed: list

    async def ensure(self, place):
        if isinstance(self.answer, Exception):
            raise self.answer

    async def join(self, place, path, *, scope, receive, send, headers=()):
        self.joined = path
        await receive()
        await send({"type": "websocket.accept"})
        while (message := await receive())["type"] == "websocket.receive":
            await send({"type": "websocket.send", "bytes": message["bytes"]})


@pytest.fixture
def machine(monkeypatch):
    provider = Machine()
    monkeypatch.setattr("sandboxes.providers.provider_for", lambda kind: provider)
    provider.answer = httpx.Response(200, json={"terminals": []})
    return provider


@pytest.fixture
def api(ada):
    client = APIClient()
    client.force_login(ada)
    return client


def at(thread, rest=""):
    return f"/api/home/decopilot/threads/{thread.pk}/sandbox/terminals{rest}"


def asked(machine):
    return [one[1:3] for one in machine.asked]


def test_opening_one_is_recorded(api, thread, say, machine, ada):
    say()
    machine.answer = httpx.Response(200, json={"id": "x"})

    assert api.post(at(thread), {"rows": 30}, format="json").status_code == 200

    record = TerminalRecord.objects.get()
    assert (record.opened_by, record.thread_key, record.ended_at) == (ada, thread.pk, None)
    body = machine.asked[-1][3]
    assert body == {"id": str(record.pk), "rows": 30, "columns": 80}


@pytest.mark.parametrize(
    "answer",
    [LinkOffline("It sleeps."), httpx.Response(429, json={"error": {"code": "too_many"}})],
)
def test_one_that_could_not_be_opened_is_on_record_too(api, thread, say, machine, answer):
    say()
    machine.answer = answer

    assert api.post(at(thread), {}, format="json").status_code in (429, 503)
    assert TerminalRecord.objects.get().outcome == "refused"


@pytest.mark.parametrize(
    ("is_closed", "outcome"), [(False, "exited"), (True, "closed")], ids=["exit", "close"]
)
def test_an_end_is_recorded_with_its_code(api, thread, say, machine, is_closed, outcome):
    say()
    machine.answer = httpx.Response(200, json={"id": "x"})
    api.post(at(thread), {}, format="json")
    record = TerminalRecord.objects.get()
    ended = {"id": str(record.pk), "endedAt": 1, "exitCode": 7, "isClosed": is_closed}
    machine.answer = httpx.Response(200, json={"terminals": [ended]})

    api.get(at(thread))

    record.refresh_from_db()
    assert (record.outcome, record.exit_code) == (outcome, 7)
    assert record.ended_at >= record.opened_at  # whatever the machine's clock says


@pytest.mark.parametrize("listed", [None, [None, 7, {}], [{"id": [], "endedAt": "x"}][:0], {}])
def test_a_machine_that_tells_nonsense_ends_nothing(api, thread, say, machine, listed):
    say()
    machine.answer = httpx.Response(200, json={"id": "x"})
    api.post(at(thread), {}, format="json")
    machine.answer = httpx.Response(200, json={"terminals": listed})

    assert api.get(at(thread)).status_code == 200
    assert TerminalRecord.objects.get().ended_at is None


@pytest.mark.parametrize(
    ("use", "role", "status"),
    [
        (TerminalUse.OFF, Role.OWNER, 403),
        (TerminalUse.MANAGERS, Role.OWNER, 200),
        (TerminalUse.MANAGERS, Role.ADMIN, 200),
        (TerminalUse.MANAGERS, Role.MEMBER, 403),
        (TerminalUse.MEMBERS, Role.MEMBER, 200),
        (TerminalUse.MEMBERS, Role.VIEWER, 403),
    ],
)
def test_who_may_have_one(api, thread, say, machine, ada, use, role, status):
    say()
    Organization.objects.update(terminals=use)
    Membership.objects.filter(user=ada).update(role=role)
    machine.asked.clear()

    assert api.post(at(thread), {}, format="json").status_code == status
    assert api.get(at(thread)).status_code == status
    assert api.delete(at(thread, f"/{uuid4()}")).status_code == status
    assert bool(machine.asked) == (status == 200)
    assert TerminalRecord.objects.exists() == (status == 200)


def test_another_member_sees_no_terminals(thread, say, machine, org, django_user_model):
    say()
    bob = django_user_model.objects.create_user("bob")
    Membership.objects.create(user=bob, organization=org, role=Role.OWNER)
    client = APIClient()
    client.force_login(bob)

    assert client.get(at(thread)).status_code == 404
    assert client.post(at(thread), {}, format="json").status_code == 404
    assert client.delete(at(thread, f"/{uuid4()}")).status_code == 404


def test_before_the_first_message_there_is_none(api, thread, machine):
    assert code(api.post(at(thread), {}, format="json")) == (409, "not_begun")


@pytest.mark.parametrize("size", [{"rows": 0}, {"columns": 5000}, {"rows": "many"}])
def test_a_size_that_there_is_not(api, thread, say, machine, size):
    say()
    assert api.post(at(thread), size, format="json").status_code == 400
    assert not TerminalRecord.objects.exists()


class Socket:
    """A page's socket to ``serve_terminal``."""

    def __init__(self, user, path, query=""):
        self.sent, self.inbox = [], asyncio.Queue()
        self.inbox.put_nowait({"type": "websocket.connect"})
        scope = {
            "type": "websocket",
            "path": path,
            "query_string": query.encode(),
            "user": user,
            "session": None,
        }
        self.serving = asyncio.create_task(serve_terminal(scope, self.inbox.get, self.keep))

    async def keep(self, message):
        self.sent.append(message)

    def type(self, data):
        self.inbox.put_nowait({"type": "websocket.receive", "bytes": data})

    def leave(self):
        self.inbox.put_nowait({"type": "websocket.disconnect", "code": 1001})

    @property
    def closed_with(self):
        return next((m["code"] for m in self.sent if m["type"] == "websocket.close"), None)


def path_to(thread):
    return f"/ws/terminals/home/{thread.pk}/{UUID(int=7)}"


@pytest.fixture
def begun(say, thread):
    say()
    thread.refresh_from_db()
    return thread


@pytest.fixture
def good(monkeypatch):
    """The credential of the socket is good; its own tests are those of credentials."""
    monkeypatch.setattr("threads.terminal_socket.credential_of", lambda user, **_: user.pk)
    monkeypatch.setattr("threads.reading.viewers.find_good", set)


async def test_what_is_typed_goes_to_the_sandbox(begun, machine, ada, good):
    socket = Socket(ada, path_to(begun), "after=12&x=../")
    socket.type(b"ls\n")
    await auntil(lambda: {"type": "websocket.send", "bytes": b"ls\n"} in socket.sent)
    socket.leave()
    await socket.serving
    assert machine.joined == f"terminals/{UUID(int=7)}/socket?after=12"


@pytest.mark.parametrize("after", ["after=-1", "after=x", "after=1%26b=2", "after=" + "9" * 30, ""])
async def test_a_cursor_that_is_none_means_the_beginning(begun, machine, ada, good, after):
    socket = Socket(ada, path_to(begun), after)
    socket.leave()
    await socket.serving
    assert machine.joined.endswith("?after=0")


@pytest.mark.parametrize(
    "path",
    ["/ws/terminals/", "/ws/terminals/home/x/y", "/ws/terminals/home/{}/" + "-" * 36],
)
async def test_an_address_of_nothing(begun, machine, ada, good, path):
    socket = Socket(ada, path.format(begun.pk))
    await socket.serving
    assert socket.closed_with == 4404


async def test_nobody_and_strangers_get_no_socket(begun, machine, ada, django_user_model):
    eve = await sync_to_async(django_user_model.objects.create_user)("eve")
    for user, closed_with in ((None, 4401), (eve, 4404)):
        socket = Socket(user, path_to(begun))
        await socket.serving
        assert socket.closed_with == closed_with
    assert not hasattr(machine, "joined")


def leave(ada):
    Membership.objects.filter(user=ada).delete()


def become_viewer(ada):
    Membership.objects.filter(user=ada).update(role=Role.VIEWER)


def switch_off(ada):
    Organization.objects.update(terminals=TerminalUse.OFF)


@pytest.mark.parametrize("lose", [leave, become_viewer, switch_off])
async def test_a_socket_ends_with_the_right_to_it(begun, machine, ada, good, monkeypatch, lose):
    monkeypatch.setattr(connection_checks, "LOOK_EVERY", 0.01)
    socket = Socket(ada, path_to(begun))
    socket.type(b"x")
    await auntil(lambda: {"type": "websocket.send", "bytes": b"x"} in socket.sent)
    await sync_to_async(lose)(ada)
    await socket.serving
    assert socket.closed_with == 4403
