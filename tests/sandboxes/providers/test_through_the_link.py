"""The kit once more, through the laptop's real control plane: signed, supervised, passed on."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import sys
from uuid import UUID

import httpx
import pytest
from uvicorn.config import Config
from uvicorn.server import ServerState

from links.daemon.control import ControlPlane
from links.daemon.sandbox_folders import SandboxFolders
from links.daemon.supervisor import Supervisor
from links.transport import Signed
from links.upload import Upload
from mesh import keys
from mesh.http_server import HttpServer
from sandboxes.providers.base import DispatchRefused, Place
from sandboxes.providers.remote_user import RemoteUserProvider
from tests.sandboxes.daemon.sandbox import is_alive
from tests.sandboxes.providers.conformance import ProviderConformance
from tests.waiting import auntil, until

pytestmark = pytest.mark.programs

SECRET = "a-secret-of-the-test"
PLACE = Place("remote-user", UUID(int=1), "main-0123456789abcdef")


@contextlib.asynccontextmanager
async def counting():
    """A dev server that answers with the size of what it is sent; its port."""

    async def app(scope, receive, send):
        count, more = 0, True
        while more:
            message = await receive()
            count, more = count + len(message["body"]), message["more_body"]
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"%d" % count})

    listening = socket.create_server(("127.0.0.1", 0))
    server = HttpServer(app)
    await server.start(listening)
    try:
        yield listening.getsockname()[1]
    finally:
        await server.stop(within=0)


class TestThroughTheLink(ProviderConformance):
    @pytest.fixture
    async def supervisor(self, tmp_path):
        command = [sys.executable, "-P", "-m", "tests.sandboxes.daemon.sandbox_main"]
        home = tmp_path / "sandboxes"
        supervisor = Supervisor(home, command=command, server_key=keys.public_key)
        yield supervisor
        for sandbox in supervisor.listing():
            await supervisor.delete(sandbox["handle"], force=True)

    @pytest.fixture
    async def provider(self, supervisor, tmp_path):
        control = ControlPlane(secret=lambda: SECRET, supervisor=supervisor)
        config = Config(control, http="httptools", lifespan="off", log_config=None)
        config.load()
        state = ServerState()

        def protocol():
            return config.http_protocol_class(config=config, server_state=state, app_state={})

        path = str(tmp_path / "link.sock")
        server = await asyncio.get_running_loop().create_unix_server(protocol, path)
        transport = httpx.AsyncHTTPTransport(uds=path)
        async with httpx.AsyncClient(
            transport=transport, auth=Signed(SECRET), base_url="http://laptop"
        ) as client:

            async def client_for(link_id):
                return client

            provider = RemoteUserProvider(client_for)
            await provider.ensure(PLACE)
            yield provider
        server.close()

    @pytest.fixture
    def place(self):
        return PLACE

    @pytest.fixture
    def break_sandbox(self, supervisor):
        def kill():
            pid = supervisor.find(PLACE.handle).pid
            os.kill(pid, signal.SIGKILL)
            until(lambda: not is_alive(pid))

        return kill

    async def test_of_twenty_one_one_that_idles_goes_and_comes_back(
        self, provider, supervisor, place, run_id
    ):
        others = [Place("remote-user", UUID(int=1), f"b{n}-0123456789abcdef") for n in range(20)]
        async with self.dispatch(provider, place, run_id, ["until_told"]) as events:
            await anext(events)
            await asyncio.gather(*(provider.ensure(other) for other in others))

            run = {sandbox["handle"] for sandbox in supervisor.listing()}
            (gone,) = {one.handle for one in others} - run
            assert (len(run), place.handle in run) == (20, True)
            await provider.ensure(Place("remote-user", UUID(int=1), gone))
            assert gone in {sandbox["handle"] for sandbox in supervisor.listing()}
            await provider.cancel(place, run_id=run_id)

    async def test_an_upload_of_any_length_goes_through_to_the_dev_server(self, provider, place):
        size = 40 << 20

        async def receive():
            nonlocal left
            left -= 1
            return {"type": "http.request", "body": bytes(1 << 20), "more_body": left > 0}

        async with counting() as port:
            wanted = {"path": "mesh.toml", "content": 'dev = ["sleep", "600"]'}
            await provider.request(place, "POST", "write", json=wanted)
            await provider.request(place, "POST", "config", json={"application": {"port": port}})
            assert await provider.streams_bodies(place)

            async def is_shown():
                reply = await provider.request(place, "GET", "preview/")
                return reply.status_code != 503

            await auntil(is_shown)
            for length in (size, None):
                left = size >> 20
                body = Upload(receive, length)
                async with provider.open(place, "POST", "preview/files", body=body) as reply:
                    assert (reply.status_code, int(await reply.aread())) == (200, size)

    async def test_a_folder_that_nobody_allowed_is_refused(self, provider):
        place = Place("remote-user", UUID(int=1), "other-0123456789abcdef", folder="/etc")

        with pytest.raises(DispatchRefused) as refused:
            await provider.ensure(place)
        assert refused.value.code == "folder_not_allowed"

    def words_below(self, folder, words=b"my secret plan"):
        files = [path for path in folder.rglob("*") if path.is_file()]
        return [path.name for path in files if words in path.read_bytes()]

    async def test_what_nobody_needs_is_put_aside_and_can_be_had_back(
        self, provider, supervisor, place, run_id
    ):
        await self.run(provider, place, run_id, ["say", "my secret plan"])
        assert self.words_below(supervisor.home / place.handle)

        for _ in range(2):  # safe to repeat
            await provider.discard(place)

        assert not (supervisor.home / place.handle).exists()
        await SandboxFolders(supervisor).restore(place.handle)
        assert (supervisor.home / place.handle).is_dir()

    async def test_a_folder_with_unsaved_work_stays_without_what_was_said_in_it(
        self, provider, supervisor, place, run_id
    ):
        await self.run(provider, place, run_id, ["say", "my secret plan"])
        folder = supervisor.home / place.handle
        (folder / "repo" / "draft.txt").write_text("mine")

        await provider.discard(place)

        assert (folder / "repo" / "draft.txt").read_text() == "mine"
        assert self.words_below(folder) == []
        await provider.ensure(place)  # it is no worse for it
        assert await self.run(provider, place, run_id, ["say", "hi"])

    async def test_nothing_is_taken_from_an_agent_at_work(self, provider, place, run_id):
        async with self.dispatch(provider, place, run_id, ["until_told"]) as events:
            await anext(events)
            with pytest.raises(DispatchRefused) as refused:
                await provider.discard(place)
            await provider.cancel(place, run_id=run_id)
        assert refused.value.code == "sandbox_busy"
