"""A body that is passed on as it arrives: who reads what of one ``receive``."""

import asyncio

import pytest

from links.upload import Upload, UploadBroken, body_of, declared_length, unless_left
from links.wire.streamed import WHOLE


class Client:
    """Sends what the test puts; ``asked`` counts how often it was asked for more."""

    def __init__(self):
        self.messages = asyncio.Queue()
        self.asked = 0

    def send(self, body, *, more=True):
        self.messages.put_nowait({"type": "http.request", "body": body, "more_body": more})

    def leave(self):
        self.messages.put_nowait({"type": "http.disconnect"})

    async def receive(self):
        self.asked += 1
        return await self.messages.get()


@pytest.fixture
def client():
    return Client()


def scope(**headers):
    return {
        "headers": [(n.replace("_", "-").encode(), v.encode()) for n, v in headers.items()],
    }


async def all_of(upload):
    return b"".join([piece async for piece in upload.pieces()])


@pytest.mark.parametrize(
    ("headers", "declared"),
    [
        pytest.param({}, (None, False), id="no body"),
        pytest.param({"content_length": "7"}, (7, False), id="a length"),
        pytest.param({"transfer_encoding": "chunked"}, (None, True), id="chunks"),
        pytest.param(
            {"content_length": "7", "transfer_encoding": "chunked"}, (None, True), id="both"
        ),
        pytest.param({"content_length": "-7"}, (None, False), id="no number"),
        pytest.param({"content_length": "9" * 19}, (None, False), id="no length at all"),
    ],
)
def test_what_a_head_declares(headers, declared):
    assert declared_length(scope(**headers)) == declared


@pytest.mark.parametrize("length", [0, 1, WHOLE])
async def test_a_short_body_is_read_whole(client, length):
    client.send(bytes(length), more=False)

    assert await body_of(scope(content_length=str(length)), client.receive) == bytes(length)


@pytest.mark.parametrize(
    ("headers", "length"),
    [({"content_length": str(WHOLE + 1)}, WHOLE + 1), ({"transfer_encoding": "chunked"}, None)],
    ids=["long", "of unknown length"],
)
async def test_any_other_is_passed_on_and_not_read_before(client, headers, length):
    body = await body_of(scope(**headers), client.receive)

    assert isinstance(body, Upload)
    assert (body.length, client.asked) == (length, 0)


async def test_it_is_read_no_faster_than_it_is_taken(client):
    for n in range(3):
        client.send(b"%d" % n, more=n < 2)
    upload = Upload(client.receive, 3)
    pieces = upload.pieces()

    assert (await anext(pieces), client.asked) == (b"0", 1)
    assert [piece async for piece in pieces] == [b"1", b"2"]


async def test_a_body_that_breaks_off_is_never_whole(client):
    client.send(b"half")
    client.leave()
    upload = Upload(client.receive, 100)

    with pytest.raises(UploadBroken):
        await all_of(upload)
    assert upload.is_broken


async def test_the_news_of_a_client_that_left_waits_for_the_body(client):
    upload = Upload(client.receive, 4)
    watching = asyncio.create_task(upload.disconnected())
    client.send(b"body", more=False)
    client.leave()

    assert await all_of(upload) == b"body"
    await asyncio.wait_for(watching, 60)


async def test_what_nobody_takes_of_a_body_is_dropped_until_the_client_leaves(client):
    upload = Upload(client.receive, 100)
    client.send(b"taken")
    async for _ in (pieces := upload.pieces()):
        break
    await pieces.aclose()
    client.send(b"not taken")
    client.leave()

    await asyncio.wait_for(upload.disconnected(), 60)
    assert not upload.is_broken


@pytest.mark.parametrize("is_upload", [True, False])
async def test_work_for_a_client_that_left_ends(client, is_upload):
    ended = asyncio.Event()

    async def work():
        try:
            if is_upload:
                await all_of(body)
            await asyncio.Event().wait()
        finally:
            ended.set()

    body = Upload(client.receive, 1) if is_upload else b""
    if is_upload:
        client.send(b"x", more=False)
    client.leave()

    await asyncio.wait_for(unless_left(client.receive, body, work()), 60)
    assert ended.is_set()


async def test_how_the_work_fails_is_told(client):
    async def work():
        raise ValueError("why")

    with pytest.raises(ValueError, match="why"):
        await unless_left(client.receive, b"", work())
