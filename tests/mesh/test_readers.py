"""How long an answer waits for who reads it."""

import asyncio

import pytest

from mesh.readers import PIECE, impatient

HTTP = {"type": "http", "path": "/x"}
START = {"type": "http.response.start", "status": 200, "headers": []}


def answering(*bodies):
    """An app that answers with these, one after the other."""

    async def app(scope, receive, send):
        await send(START)
        for place, body in enumerate(bodies, 1):
            more = place < len(bodies)
            await send({"type": "http.response.body", "body": body, "more_body": more})

    return app


class Reader:
    """Takes ``patience`` pieces, and then no more."""

    def __init__(self, patience=1_000):
        self.patience, self.taken = patience, []

    async def send(self, message):
        if len(self.taken) == self.patience:
            await asyncio.Event().wait()
        self.taken.append(message)

    async def read(self, app, scope=HTTP, within=0.05):
        async with asyncio.timeout(60):
            await impatient(app, within=within)(scope, None, self.send)
        return self.taken


@pytest.mark.parametrize("patience", [0, 1, 2])
async def test_a_client_that_takes_nothing_is_disconnected(patience):
    taken = await Reader(patience).read(answering(b"a", b"b", b"c"))

    assert len(taken) == patience


@pytest.mark.parametrize(
    "bodies",
    [
        pytest.param([b""], id="empty"),
        pytest.param([b"x" * PIECE], id="one piece"),
        pytest.param([b"x" * (3 * PIECE + 1)], id="more than three"),
        pytest.param([b"x" * (PIECE + 1), b"y", b""], id="a stream"),
    ],
)
async def test_a_long_answer_has_its_time_for_each_piece(bodies):
    start, *pieces = await Reader().read(answering(*bodies), within=30)

    assert start == START
    assert b"".join(piece["body"] for piece in pieces) == b"".join(bodies)
    assert max(len(piece["body"]) for piece in pieces) <= PIECE
    assert [piece["more_body"] for piece in pieces] == [True] * (len(pieces) - 1) + [False]


async def test_a_socket_is_left_alone():
    socket = {"type": "websocket", "path": "/x"}

    assert len(await Reader().read(answering(b"x" * 3 * PIECE), scope=socket)) == 2


async def test_what_goes_wrong_in_the_answer_is_told_as_it_is():
    async def broken(scope, receive, send):
        raise TimeoutError

    with pytest.raises(TimeoutError):
        await Reader().read(broken)
