"""A laptop whose program is not ours: it answers what it likes, as an ASGI application does."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterable
from urllib.parse import urlsplit

from links.daemon import api
from links.daemon.asgi import Server
from links.daemon.client import dial
from links.wire import version
from links.wire.messages import Registration
from links.wire.signing import fingerprint
from tests.doors.front import Front, Person
from tests.waiting import until

Pairs = Iterable[tuple[str, str]]
JSON = {"Content-Type": "application/json"}


class HostileLaptop:
    """A machine of ``person``'s, online until ``close``.

    It gives every request the head in ``status`` and ``headers``, then each of ``pieces``, and
    does not end the answer before ``close`` where ``goes_on``.
    """

    def __init__(self, front: Front, person: Person) -> None:
        self.front, self.person = front, person
        self.status, self.headers, self.pieces = 200, [], [b"hello"]
        self.goes_on = False
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._over = asyncio.Event()
        self._call(self._connect())
        until(lambda: any(x["state"] == "online" for x in front.links(person)), what="online")

    def answers(
        self, status: int, headers: Pairs = (), *, pieces: list[bytes], goes_on: bool = False
    ) -> None:
        """Answer so from now on."""
        self.status, self.headers = status, list(headers)
        self.pieces, self.goes_on = pieces, goes_on

    def preview(self) -> tuple[str, str]:
        """Return host and cookie of the preview of the person's sandbox there."""
        rude, path = self.front.rude(), f"/api/{self.person.org}/vm/default/main/preview"
        offer = rude.request("POST", path, self.person.bearer | JSON, b"{}").json()
        assert "origin" in offer, offer
        host = urlsplit(offer["origin"]).netloc
        ticket = offer["url"].partition("#ticket=")[2].encode()
        entered = rude.request("POST", "/.mesh/enter", body=ticket, host=host)
        return host, entered.headers["set-cookie"].partition(";")[0]

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._over.set)
        self._call(self._disconnect())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)

    async def __call__(self, scope, receive, send) -> None:
        pairs = [(name.encode(), value.encode("latin-1")) for name, value in self.headers]
        await send({"type": "http.response.start", "status": self.status, "headers": pairs})
        for piece in self.pieces:
            await send({"type": "http.response.body", "body": piece, "more_body": True})
            await asyncio.sleep(0.1)  # a piece of its own on the wire
        if self.goes_on:
            await self._over.wait()
        await send({"type": "http.response.body", "body": b""})

    async def _connect(self) -> None:
        url, token = self.front.client_url, self.person.token
        registration = Registration(
            machine_id=f"hostile-{self.person.name}",
            cli_version="1",
            protocol_version=version.CURRENT,
            capabilities=("decopilot-sandbox",),
            hostname="hostile",
        )
        registered = await api.register(url, registration, token=token)
        self._connection = await dial(url, token=token)
        hello = {
            "machineId": registration.machine_id,
            "secretFingerprint": fingerprint(registered.link_secret),
            "cliVersion": "1",
            "hostname": "hostile",
        }
        self._server = Server(self)
        self._connection.attach(hello, on_open=self._server.serve)

    async def _disconnect(self) -> None:
        await self._server.close()
        await self._connection.close()

    def _call(self, work) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(30)
