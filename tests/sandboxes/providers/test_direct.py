"""What all kinds that are reached over the network have in common."""

from __future__ import annotations

import asyncio

from sandboxes.providers.base import Place
from sandboxes.providers.direct import DirectProvider

PLACE = Place(kind="docker", link_id=None, handle="main-0123456789abcdef")


class SlowlyFound(DirectProvider):
    """Its address takes a moment to look up."""

    async def address_of(self, handle):
        await asyncio.sleep(0)
        return "127.0.0.1:1"

    async def start(self, place): ...
    async def take_down(self, place, *, removes): ...
    async def why_not(self, handle): ...


async def test_calls_that_look_the_address_up_at_once_share_one_client():
    provider = SlowlyFound(token_of=lambda handle: "t")
    ways = await asyncio.gather(*(provider.way(PLACE) for _ in range(3)))

    assert len({id(way.client) for way in ways}) == 1
