"""A preview ends with the sign-in that it was opened by: pages, streams, sockets, uploads."""

import asyncio
from contextlib import asynccontextmanager

import httpx
import pytest
from allauth.idp.oidc.models import Token
from asgiref.sync import sync_to_async
from django.contrib.sessions.models import Session
from websockets.exceptions import ConnectionClosed

from mesh import connection_checks
from mesh.credentials import Credential
from mesh.models import Membership, User
from mesh.services import make_token
from mesh.tokens import find_sign_in
from sandboxes.preview.tickets import find_place, read_cookie, use_ticket
from tests.sandboxes.preview.test_app import socket

pytestmark = pytest.mark.django_db(transaction=True)


def change_password():
    user = User.objects.get()
    user.set_password("another horse battery")
    user.save()


SIGNED_OUT = [
    pytest.param(lambda: Session.objects.all().delete(), id="signed out"),
    pytest.param(change_password, id="another password"),
    pytest.param(lambda: User.objects.update(is_active=False), id="shut out"),
]
LET_GO = [*SIGNED_OUT, pytest.param(lambda: Membership.objects.all().delete(), id="left")]


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(connection_checks, "LOOK_EVERY", 0.05)


@pytest.mark.parametrize("end", SIGNED_OUT)
async def test_its_cookie_is_worth_nothing_any_more(site, end):
    cookie = await site.cookie()
    await sync_to_async(end)()
    now = site.previews.clock()
    site.previews.clock = lambda: now + 4  # a look-up is good for three seconds

    async with site.client() as client:
        client.headers["cookie"] = cookie
        assert (await client.get("/")).status_code == 401


def test_one_that_a_token_opened_ends_with_the_token(site, ada):
    token = find_sign_in(make_token(user=ada))
    ticket = site.ticket(sign_in=Credential(ada.pk, token_id=token.token_id).sealed())
    grant = read_cookie(use_ticket(ticket, handle=site.grant.handle), handle=site.grant.handle)
    Session.objects.all().delete()
    assert find_place(grant)

    Token.objects.all().delete()
    assert find_place(grant) is None


def test_a_ticket_tells_nobody_the_session(site, session):
    from django.core import signing

    ticket = site.ticket()
    told = signing.loads(ticket, salt="mesh.preview.ticket")

    assert session not in str(told)


@pytest.mark.parametrize("sign_in", ["", "session:x", "token:1"])
def test_a_grant_that_names_no_sign_in_opens_nothing(site, sign_in):
    cookie = use_ticket(site.ticket(sign_in=sign_in), handle=site.grant.handle)

    assert find_place(read_cookie(cookie, handle=site.grant.handle)) is None


@pytest.mark.parametrize("end", LET_GO)
async def test_an_open_websocket_is_closed(site, dev_server, end):
    cookie = await site.cookie()
    opening = socket(site, "/hmr", cookie, subprotocols=["vite-hmr"])
    async with dev_server.echoing(), opening as near:
        await near.send("hello")
        await near.recv()
        await sync_to_async(end)()

        with pytest.raises(ConnectionClosed) as closed:
            await asyncio.wait_for(near.recv(), 60)
    assert closed.value.rcvd.code == 4401


@asynccontextmanager
async def never_ending(place, method, path, *, headers=(), body=b""):
    """A dev server's event stream."""

    async def pieces():
        yield b"first"
        await asyncio.Event().wait()

    yield httpx.Response(200, content=pieces())


@pytest.mark.parametrize("end", LET_GO)
async def test_an_open_stream_is_cut(site, dev_server, end):
    dev_server.open = never_ending
    cookie = await site.cookie()
    async with site.client() as client, client.stream("GET", "/", headers={"cookie": cookie}) as r:
        pieces = r.aiter_raw()
        assert await anext(pieces) == b"first"
        await sync_to_async(end)()

        with pytest.raises(httpx.RemoteProtocolError):  # it must not look whole
            await asyncio.wait_for(anext(pieces), 60)


async def test_an_upload_on_its_way_is_refused(site):
    head = f"POST / HTTP/1.1\r\nHost: {site.host()}\r\nCookie: {await site.cookie()}\r\n"
    reader, writer = await asyncio.open_connection("127.0.0.1", site.port)
    writer.write(f"{head}Content-Length: 9\r\n\r\nhalf".encode())
    await writer.drain()

    await sync_to_async(Session.objects.all().delete)()

    assert b" 401 " in await asyncio.wait_for(reader.readline(), 60)
    writer.close()
