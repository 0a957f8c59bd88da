"""A body that is too large is refused before it is there."""

import json

import pytest

from mesh.bodies import limited

LIMIT = 10


class Sender:
    """A client's side of one request whose body comes in pieces."""

    def __init__(self, *pieces, length=None):
        self.scope = {"type": "http", "headers": [(b"content-length", length)] if length else []}
        self.pieces, self.sent = list(pieces), []

    async def receive(self):
        return {"type": "http.request", "body": self.pieces.pop(0), "more_body": bool(self.pieces)}

    async def send(self, message):
        self.sent.append(message)

    async def ask(self, app):
        await limited(app, LIMIT)(self.scope, self.receive, self.send)
        return self.sent[0]["status"], self.sent[-1].get("body", b"")


async def reads_it_all(scope, receive, send):
    body = b""
    while (message := await receive())["more_body"]:
        body += message["body"]
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": body + message["body"]})


@pytest.mark.parametrize(
    ("sender", "left"),
    [
        pytest.param(Sender(b"x" * 11, length=b"11"), 1, id="announced: nothing is read"),
        pytest.param(Sender(b"x" * 6, b"x" * 6, b"x" * 6), 1, id="in pieces: no further is read"),
        pytest.param(Sender(b"x" * 6, b"x" * 6, length=b"no"), 0, id="no number"),
    ],
)
async def test_too_large(sender, left):
    status, body = await sender.ask(reads_it_all)

    assert (status, json.loads(body)["error"]["code"]) == (413, "body_too_large")
    assert len(sender.pieces) == left


@pytest.mark.parametrize("pieces", [[b"x" * 10], [b"x" * 5, b"x" * 5], [b""]])
async def test_what_fits_passes_whole(pieces):
    assert await Sender(*pieces).ask(reads_it_all) == (200, b"".join(pieces))


async def test_a_socket_is_no_body():
    async def app(scope, receive, send):
        await send({"status": 101})

    sender = Sender()
    sender.scope = {"type": "websocket"}

    assert (await sender.ask(app))[0] == 101
