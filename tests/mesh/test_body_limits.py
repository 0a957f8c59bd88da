"""A body that is too large is refused before it is there."""

import json

import pytest

from mesh.body_limits import limited

LIMIT = 10


class Sender:
    """A client's side of one request whose body comes in pieces."""

    def __init__(self, *pieces, length=None, path="/api/home/decopilot/files"):
        headers = [(b"content-length", length)] if length else []
        self.scope = {"type": "http", "path": path, "headers": headers}
        self.pieces, self.sent = list(pieces), []
        self.asked = 0

    async def receive(self):
        return {"type": "http.request", "body": self.pieces.pop(0), "more_body": bool(self.pieces)}

    async def send(self, message):
        self.sent.append(message)

    async def ask(self, app, *, known=True, unproven=LIMIT):
        async def is_known(scope):
            self.asked += 1
            return known

        guarded = limited(app, LIMIT, is_known=is_known, unproven=unproven)
        await guarded(self.scope, self.receive, self.send)
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


# Before a proof


@pytest.mark.parametrize(
    ("sender", "left"),
    [
        pytest.param(Sender(b"x" * 5, length=b"5"), 1, id="announced: nothing is read"),
        pytest.param(Sender(b"x" * 3, b"x" * 3, b"x"), 1, id="in pieces: no further is read"),
    ],
)
async def test_of_a_stranger_little_is_read(sender, left):
    status, body = await sender.ask(reads_it_all, known=False, unproven=4)

    assert (status, json.loads(body)["error"]["code"]) == (413, "body_too_large")
    assert len(sender.pieces) == left


async def test_a_stranger_may_send_a_form():
    sender = Sender(b"xxxx")

    assert await sender.ask(reads_it_all, known=False, unproven=4) == (200, b"xxxx")
    assert sender.asked == 0


async def test_who_is_known_is_asked_once_and_sends_it_whole():
    sender = Sender(b"x" * 5, b"x" * 2, b"x" * 3)

    assert await sender.ask(reads_it_all, unproven=4) == (200, b"x" * 10)
    assert sender.asked == 1


@pytest.mark.parametrize("path", ["/api/links", "/api/links/heartbeat", "/api/links/me"])
async def test_a_machine_s_api_takes_little_from_anybody(path):
    sender = Sender(b"x" * 5, path=path)

    assert (await sender.ask(reads_it_all, unproven=4))[0] == 413
    assert sender.asked == 0
