"""A laptop behind a slow line: what moves is waited for, and what does not is named."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
from uuid import UUID

import httpx
import pytest

from links.daemon.asgi import Server
from links.transport import TunnelTransport
from links.wire.frames import PIECE
from sandboxes.daemon.attachments import Attachments
from sandboxes.providers import sandbox_client
from sandboxes.providers.base import Place, UploadStalled
from sandboxes.providers.remote_user import RemoteUserProvider
from tests.links.test_peer import Joined
from tests.links.test_transport import SlowLine
from tests.sandboxes.providers.conformance import Files

PLACE = Place("remote-user", UUID(int=1), "main-0123456789abcdef")
DONE = b'id: 1\ndata: {"type":"done"}\n\n'
LIMIT = 0.4
LONG = int(2 * LIMIT / SlowLine.PAUSE)  # pieces that take twice as long as the limit


class Laptop:
    """Takes files and a dispatch, as a sandbox does."""

    def __init__(self, folder):
        self.kept = Attachments(folder)
        self.dispatched = None

    async def __call__(self, scope, receive, send):
        body = b""
        while (message := await receive())["more_body"]:
            body += message["body"]
        told = self.told(scope, body)
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": told})

    def told(self, scope, body):
        path, query = scope["path"].rpartition("/")[2], httpx.QueryParams(scope["query_string"])
        if path == "dispatch":
            self.dispatched = json.loads(body)["input"]
            return DONE
        if path == "health":
            return b'{"takesAttachments": true}'
        if path == "attachments":
            held = {each: self.kept.held(each) for each in query.get_list("digest")}
        else:
            size, offset = int(query["size"]), int(query["offset"])
            held = self.kept.add(path, size=size, offset=offset, piece=body)
        return json.dumps({"held": held}).encode()


@pytest.fixture
def laptop(tmp_path):
    return Laptop(tmp_path / "attachments")


@pytest.fixture
async def line(laptop):
    joined = Joined()
    server = Server(laptop)
    joined.laptop.on_open = server.serve
    await asyncio.sleep(0)
    yield SlowLine(joined)
    await server.close()


@pytest.fixture
async def provider(line, monkeypatch):
    monkeypatch.setattr(sandbox_client, "REPLY_LIMIT", LIMIT)
    transport = TunnelTransport(line.joined.server.peer)
    async with httpx.AsyncClient(transport=transport, base_url="http://laptop") as client:

        async def client_for(link_id):
            return client

        yield RemoteUserProvider(client_for)


async def dispatch(provider, **given):
    async with provider.dispatch(PLACE, harness_id="plain", fence=1, input=given) as events:
        return [event.n async for event in events]


async def test_a_long_dispatch_takes_longer_than_the_limit(provider, laptop):
    text = "x" * (LONG * PIECE)

    assert await dispatch(provider, messages=[], text=text) == [1]
    assert laptop.dispatched["text"] == text


async def test_files_take_longer_than_the_limit(provider, laptop):
    data = os.urandom(LONG * PIECE)
    files = Files({"a": data})
    provider.read_file = files.read

    assert await dispatch(provider, messages=files.messages) == [1]
    (part,) = laptop.dispatched["messages"][0]["parts"][1:]
    assert part["digest"] == hashlib.sha256(data).hexdigest()
    laptop.kept.fill(laptop.dispatched["messages"])


async def test_an_upload_that_stalls_is_called_so(provider, line, monkeypatch):
    monkeypatch.setattr(sandbox_client, "REPLY_LIMIT", 0.05)
    line.is_cut = True

    with pytest.raises(UploadStalled) as raised:
        await dispatch(provider, messages=[], text="x" * (LONG * PIECE))
    assert raised.value.code == "upload_stalled"
