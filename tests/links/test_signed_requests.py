"""A signed request at its receiver: little is read before its head is proven."""

import asyncio

import pytest

from links.signed_requests import UNPROVEN, Verifier
from links.wire import signing
from links.wire.errors import BadSignature, MissingHeaders, NonceReplay
from mesh.lib.errors import BodyTooLarge

SECRET = "test-secret-32-bytes-or-more-padding-padding"
AT = 1_779_000_000
LONG = bytes(signing.MAX_UNPROVEN + 1)


class Asked:
    """One request, whose body comes in pieces of 16 KiB; counts how many were read."""

    def __init__(self, body, headers):
        self.scope = {
            "method": "POST",
            "raw_path": b"/api/sandboxes",
            "query_string": b"",
            UNPROVEN: signing.MAX_UNPROVEN,
            "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
        }
        self.left = [body[at : at + 16384] for at in range(0, len(body), 16384)]
        self.read = 0

    async def receive(self):
        self.read += 1
        piece = self.left.pop(0)
        return {"type": "http.request", "body": piece, "more_body": bool(self.left)}

    async def taken(self):
        verifier = Verifier(lambda: SECRET, clock=lambda: AT)
        async with asyncio.timeout(60):
            return await verifier.read(self.scope, self.receive)


def proof(body, *, without=()):
    headers = signing.signed_headers(
        SECRET, method="POST", target="/api/sandboxes", body=body, now=AT, nonce="n"
    )
    return {name: value for name, value in headers.items() if name not in without}


async def test_a_long_body_of_a_proven_head_is_read():
    assert await Asked(LONG, proof(LONG)).taken() == LONG


class Clock:
    now = AT

    def __call__(self):
        return self.now


class Held(Asked):
    """A request whose body takes an hour to come."""

    def __init__(self, clock, verifier, **given):
        super().__init__(LONG, proof(LONG))
        self.clock, self.verifier = clock, verifier

    async def receive(self):
        self.clock.now = AT + 3600
        return await super().receive()


async def test_a_body_may_take_longer_than_a_signature_is_good():
    clock = Clock()
    asked = Held(clock, Verifier(lambda: SECRET, clock=clock))

    assert await asked.verifier.read(asked.scope, asked.receive) == LONG


async def test_a_request_whose_body_is_held_back_is_good_once():
    clock = Clock()
    verifier = Verifier(lambda: SECRET, clock=clock)
    first, again = Held(clock, verifier), Held(clock, verifier)
    reading = asyncio.create_task(verifier.read(first.scope, asyncio.Event().wait))
    await asyncio.sleep(0)  # it waits for the body

    with pytest.raises(NonceReplay):
        await verifier.read(again.scope, again.receive)
    reading.cancel()


async def test_another_body_than_the_head_tells_is_refused():
    with pytest.raises(BadSignature):
        await Asked(LONG[::-1] + b"x", proof(LONG)).taken()


async def test_a_short_body_of_a_server_of_before_is_read():
    assert await Asked(b"{}", proof(b"{}", without=[signing.DIGEST])).taken() == b"{}"


@pytest.mark.parametrize(
    ("headers", "error", "read"),
    [
        pytest.param({}, BodyTooLarge, 5, id="no proof"),
        pytest.param({**proof(LONG), signing.SIGNATURE: "0" * 64}, BodyTooLarge, 5, id="forged"),
        pytest.param(proof(LONG, without=[signing.DIGEST]), BodyTooLarge, 5, id="hash not told"),
    ],
)
async def test_what_is_refused_is_not_read_further(headers, error, read):
    asked = Asked(LONG * 10, headers)

    with pytest.raises(error):
        await asked.taken()
    assert asked.read == read


@pytest.mark.parametrize(
    ("headers", "error"),
    [
        pytest.param({}, MissingHeaders, id="no proof"),
        pytest.param(proof(b"other"), BadSignature, id="of another body"),
    ],
)
async def test_a_short_body_is_read_and_refused(headers, error):
    with pytest.raises(error):
        await Asked(b"{}", headers).taken()


async def test_a_tunnel_s_body_is_read_whole():
    """Nobody but the server is at its other end, and an early answer would break the stream."""
    asked = Asked(LONG, {})
    del asked.scope[UNPROVEN]

    with pytest.raises(MissingHeaders):
        await asked.taken()
    assert not asked.left


def streaming(target="/api/sandboxes", **changes):
    headers = signing.signed_headers(
        SECRET, method="POST", target=target, body=None, now=AT, nonce="n"
    )
    return Asked(LONG, {**headers, **changes})


def admits(asked, verifier=None, *, may=True):
    verifier = verifier or Verifier(lambda: SECRET, clock=lambda: AT)
    return verifier.admits_streamed(asked.scope, may_stream=lambda target: may)


def test_a_body_that_is_not_signed_is_not_read():
    asked = streaming()

    assert admits(asked)
    assert asked.read == 0


def test_a_signed_one_is_left_to_be_read():
    assert not admits(Asked(LONG, proof(LONG)))


def test_its_head_is_good_once():
    verifier = Verifier(lambda: SECRET, clock=lambda: AT)
    assert admits(streaming(), verifier)

    with pytest.raises(NonceReplay):
        admits(streaming(), verifier)


@pytest.mark.parametrize(
    ("asked", "may", "error"),
    [
        pytest.param(streaming(), False, BadSignature, id="a target that must be signed"),
        pytest.param(
            streaming(**{signing.SIGNATURE: "0" * 64}), True, BadSignature, id="a forged head"
        ),
        pytest.param(streaming(target="/other"), True, BadSignature, id="of another target"),
    ],
)
def test_what_may_not_be_streamed(asked, may, error):
    with pytest.raises(error):
        admits(asked, may=may)


async def test_nor_is_it_read_as_a_signed_one():
    with pytest.raises(BadSignature):
        await streaming().taken()
