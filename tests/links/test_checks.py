"""The doctor against the real server: what a plain HTTP double can't show."""

import httpx
import pytest

from links.daemon.doctor import server as doctor
from tests.waiting import PATIENCE


async def test_a_working_way_is_found_working(server, token):
    assert str(await doctor.check_sign_in(server.url, token)).startswith("ok")
    assert str(await doctor.check_websocket(server.url, token)).startswith("ok")
    assert str(await doctor.check_streams(server.url, token)).startswith("ok")


async def test_trying_the_websocket_links_nothing(server, token):
    await doctor.check_websocket(server.url, token)

    assert (server.ups, server.downs) == ([], [])


async def test_a_wrong_token_is_refused_everywhere(server):
    assert (await doctor.check_sign_in(server.url, "wrong")).state == "fail"
    assert "401" in (await doctor.check_websocket(server.url, "wrong")).detail
    assert "401" in (await doctor.check_streams(server.url, "wrong")).detail


@pytest.mark.parametrize(
    ("method", "status", "code"),
    [
        pytest.param("GET", 401, "unauthorized", id="no token"),
        pytest.param("HEAD", 405, None, id="no body to see"),
        pytest.param("POST", 403, "stale_page", id="what a page could forge"),
    ],
)
async def test_the_stream_refuses_in_json(server, method, status, code):
    async with httpx.AsyncClient(trust_env=False, timeout=PATIENCE) as client:
        answer = await client.request(method, f"{server.url}/api/links/stream")

    assert answer.status_code == status
    assert code is None or answer.json()["error"]["code"] == code
