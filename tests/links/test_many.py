"""Many laptops at once, in small; ``make bench`` (bench_links) has two thousand."""

import asyncio

import pytest
from django.utils import timezone
from websockets.exceptions import WebSocketException

from links.calls import held_here
from links.daemon.client import dial
from links.models import Link
from links.wire.signing import fingerprint
from mesh import keys
from mesh.lib.backoff import Backoff
from tests.waiting import auntil

pytestmark = pytest.mark.programs

MANY = 80


@pytest.fixture
async def laptops(server, token, ada):
    """As many as that, each coming back as ``deco_link`` does; their connections so far."""
    sealed = keys.seal("of the test")
    await Link.objects.abulk_create(
        Link(
            user=ada,
            machine_id=f"m{n}",
            cli_version="1",
            protocol_version=1,
            secret=sealed,
            secret_hash=fingerprint(f"s{n}"),
        )
        for n in range(MANY)
    )
    closes = []

    async def stay(n):
        backoff = Backoff(first=0.05, ceiling=0.5)
        hello = {"machineId": f"m{n}", "secretFingerprint": fingerprint(f"s{n}")}
        while True:
            try:
                connection = await dial(server.url, token=token)
                connection.attach(hello, on_open=lambda stream: stream.close("refused"))
                await connection.wait_closed()
                closes.append(connection.close_code)
            except (OSError, TimeoutError, WebSocketException):
                pass
            await asyncio.sleep(backoff.next())

    tasks = [asyncio.create_task(stay(n)) for n in range(MANY)]
    yield closes
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def online():
    return await Link.objects.filter(offline_after__gt=timezone.now()).acount()


async def test_all_come_back_at_once_and_none_twice(server, laptops):
    await auntil(lambda: len(held_here()) == MANY, within=60)
    assert await online() == MANY

    async with server.restarted():
        await auntil(lambda: len(held_here()) == MANY, within=60)

        assert await online() == MANY
        assert len(laptops) == MANY  # each was closed once, by the restart, and by nobody since
        assert 4001 not in laptops
