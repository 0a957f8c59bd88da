from uuid import uuid4

import httpx
import pytest

from links.internal.caller import OwnerTransport


@pytest.mark.parametrize(
    ("size", "expected"),
    [pytest.param(0, 15.0, id="nothing"), pytest.param(4 * 1024 * 1024, 1039.0, id="4 MiB")],
)
async def test_a_long_body_gets_its_transfer_time_behind_the_hop(size, expected):
    class Wire(httpx.AsyncBaseTransport):
        async def handle_async_request(self, request):
            self.limits = request.extensions["timeout"]
            return httpx.Response(200)

    wire = Wire()
    async with httpx.AsyncClient(transport=OwnerTransport(uuid4(), wire)) as client:
        await client.post("http://laptop/x", content=bytes(size), timeout=15)

    assert (wire.limits["read"], wire.limits["write"]) == (expected, 15)
