"""Previews on a real server, before a sandbox that is an app of the test's."""

import asyncio
import contextlib
from contextlib import asynccontextmanager

import httpx
import pytest
import uvicorn
from django.test import Client
from websockets.asyncio.client import connect
from websockets.asyncio.server import serve

from links.sockets import MAX_MESSAGE, connected, join
from links.upload import Upload
from mesh.credentials import Credential
from sandboxes.places import place_for
from sandboxes.preview.app import Previews, preview_of
from sandboxes.preview.tickets import Grant, make_ticket
from tests.sandboxes.doubles import NotingProvider
from tests.waiting import auntil


class DevServer(NotingProvider):
    """A sandbox whose dev server is ``app``, and which echoes what a WebSocket says."""

    def __init__(self, app):
        super().__init__()
        self.client = httpx.AsyncClient(
            transport=httpx.ASGITransport(app=app), base_url="http://app", verify=False
        )
        self.error = None
        self.is_new = True  # whether bodies may be streamed to it
        self.seen, self.joined = [], []

    @asynccontextmanager
    async def open(self, place, method, path, *, headers=(), body=b""):
        self.seen.append(path)
        if self.error is not None:
            raise self.error
        content = body.pieces() if isinstance(body, Upload) else body
        request = self.client.build_request(
            method, f"/{path}", headers=list(headers), content=content
        )
        reply = await self.client.send(request, stream=True)
        try:
            yield reply
        finally:
            await reply.aclose()

    async def streams_bodies(self, place):
        return self.is_new

    async def join(self, place, path, *, scope, receive, send, headers=()):
        self.joined.append((path, dict(headers)))
        opening = connect(
            f"ws://127.0.0.1:{self.port}/{path}",
            subprotocols=scope.get("subprotocols") or None,
            max_size=MAX_MESSAGE,
            proxy=None,
        )
        await join(scope, receive, send, connected(opening))

    @asynccontextmanager
    async def echoing(self):
        async def echo(socket):
            async for message in socket:
                await socket.send(f"{socket.request.path} {message}")

        async with serve(echo, "127.0.0.1", 0, subprotocols=["vite-hmr"]) as server:
            self.port = server.sockets[0].getsockname()[1]
            yield


class Site:
    """Mesh's previews at a port; ``grant`` is Ada's sandbox."""

    def __init__(self, previews, grant):
        self.previews, self.grant = previews, grant

    async def __call__(self, scope, receive, send):
        handle = preview_of(scope, mesh_url=self.previews.mesh_url())
        await self.previews.serve(scope, receive, send, handle=handle or "")

    @asynccontextmanager
    async def running(self):
        config = uvicorn.Config(self, port=0, log_level="warning", lifespan="off")
        server = uvicorn.Server(config)
        server.capture_signals = contextlib.nullcontext
        serving = asyncio.create_task(server.serve())
        await auntil(lambda: server.started)
        self.port = server.servers[0].sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            server.should_exit = True
            await serving

    def host(self, handle=None):
        return f"{handle or self.grant.handle}.localhost:{self.port}"

    def ticket(self, **changes):
        values = {name: getattr(self.grant, name) for name in Grant.__dataclass_fields__}
        return make_ticket(Grant(**values | changes))

    def client(self, handle=None):
        """A browser at the origin; a name below localhost is this machine's everywhere."""
        return httpx.AsyncClient(
            base_url=f"http://127.0.0.1:{self.port}",
            headers={"host": self.host(handle), "accept": "text/html"},
            verify=False,  # nothing is encrypted here, and to read all authorities takes longest
        )

    async def cookie(self):
        async with self.client() as client:
            entered = await client.post("/.mesh/enter", content=self.ticket())
        assert entered.status_code == 204, entered.text
        return entered.headers["set-cookie"].partition(";")[0]


@pytest.fixture
def session(ada):
    """The key of a browser's session of Ada's."""
    browser = Client()
    browser.force_login(ada)
    return browser.session.session_key


@pytest.fixture
def grant(agent, ada, session):
    place = place_for(agent=agent, user_id=ada.pk, branch="main", kind="docker", link_id=None)
    return Grant(
        handle=place.handle,
        user_id=ada.pk,
        agent_id=str(agent.pk),
        branch="main",
        kind="docker",
        sign_in=Credential(ada.pk, session_key=session).sealed(),
    )


async def app(scope, receive, send):
    """Tells what it was asked, and sets every cookie it should not."""
    body = b""
    while (request := await receive()).get("more_body"):
        body += request["body"]
    body += request.get("body", b"")
    told = {
        "path": scope["raw_path"].decode() + "?" + scope["query_string"].decode(),
        "method": scope["method"],
        "headers": {k.decode(): v.decode() for k, v in scope["headers"]},
        "body": body.decode() if len(body) < 1000 else f"{len(body)} bytes",
    }
    import json

    headers = [
        (b"content-type", b"application/json"),
        (b"x-frame-options", b"DENY"),
        (b"access-control-allow-origin", b"*"),
        (b"cross-origin-resource-policy", b"cross-origin"),
        (b"content-security-policy", b"default-src 'none'"),
        (b"set-cookie", b"app=1; Domain=localhost; Path=/"),
        (b"set-cookie", b"mesh_session=stolen; Path=/"),
    ]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": json.dumps(told).encode()})


@pytest.fixture
def dev_server():
    return DevServer(app)


@pytest.fixture
async def site(grant, dev_server):
    previews = Previews(
        frame_ancestors=lambda: "http://localhost:*", provider_for=lambda kind: dev_server
    )
    async with Site(previews, grant).running() as site:
        yield site
