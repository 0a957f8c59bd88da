"""What the server knows of a machine's clock, and how it signs by it."""

import time

import httpx
import pytest

from links import machine_clocks
from links.machine_clocks import MachineClock, clock_of
from links.transport import STREAMED, Signed
from links.wire import signing
from links.wire.errors import CLOCK, TimestampDrift
from links.wire.headers import REFUSAL

HOUR = 3600


def told(ahead):
    return int(time.time()) + ahead


@pytest.mark.parametrize("ahead", [40, -40, 14 * HOUR, -14 * HOUR, -400 * 24 * HOUR])
def test_a_clock_that_is_off_is_learnt_and_reckoned_with(ahead):
    clock = MachineClock()

    assert clock.learn(told(ahead))
    assert abs(clock.now() - time.time() - ahead) < 5


@pytest.mark.parametrize("ahead", [0, 2, -3])
def test_a_clock_that_is_about_right_changes_nothing(ahead):
    clock = MachineClock()

    assert not clock.learn(told(ahead))
    assert clock.ahead == 0


def test_a_clock_that_was_set_right_is_believed():
    clock = MachineClock()
    clock.learn(told(HOUR))

    assert clock.learn(told(0))
    assert clock.ahead == 0


@pytest.mark.parametrize(
    "odd", [None, True, "", "soon", "-5", "1.5", "²", "1" * 13, "9" * 400, [], {"clock": 1}]
)
def test_what_is_no_time_changes_nothing(odd):
    clock = MachineClock()

    assert not clock.learn(odd)
    assert clock.ahead == 0


def test_the_clocks_of_a_bounded_number_of_machines_are_remembered(monkeypatch):
    monkeypatch.setattr(machine_clocks, "_REMEMBERED", 2)
    monkeypatch.setattr(machine_clocks, "_known", type(machine_clocks._known)())
    first, _ = clock_of("a"), clock_of("b")
    assert clock_of("a") is first

    clock_of("c")  # "b" was used least recently

    assert clock_of("a") is first
    assert list(machine_clocks._known) == ["c", "a"]


class Machine:
    """Verifies link signatures by a clock that is so far ahead; counts the requests."""

    def __init__(self, ahead, *, says_its_time=True):
        self.ahead, self.says_its_time = ahead, says_its_time
        self.signed_at = []

    def __call__(self, request):
        at = int(request.headers[signing.TIMESTAMP])
        self.signed_at.append(at)
        if abs(told(self.ahead) - at) <= signing.MAX_DRIFT:
            return httpx.Response(200)
        error = TimestampDrift(told(self.ahead))
        sent = error.headers() if self.says_its_time else {}
        return httpx.Response(401, headers={REFUSAL: error.code, **sent}, json=error.body())


def client_of(machine, clock):
    return httpx.AsyncClient(
        transport=httpx.MockTransport(machine),
        base_url="http://laptop",
        auth=Signed("secret", clock),
    )


@pytest.mark.parametrize("ahead", [40, -40, 14 * HOUR])
async def test_a_request_refused_because_of_the_clock_is_sent_once_more(ahead):
    machine, clock = Machine(ahead), MachineClock()
    async with client_of(machine, clock) as client:
        first = await client.post("/api/sandboxes", json={"a": 1})
        second = await client.get("/api/sandboxes")

    assert (first.status_code, second.status_code) == (200, 200)
    assert len(machine.signed_at) == 3  # the second was right at once


async def test_a_machine_that_does_not_say_its_time_is_not_asked_again():
    machine = Machine(HOUR, says_its_time=False)
    async with client_of(machine, MachineClock()) as client:
        answer = await client.get("/api/sandboxes")

    assert (answer.status_code, len(machine.signed_at)) == (401, 1)


async def test_a_streamed_body_is_not_sent_again_but_the_clock_is_learnt():
    async def body():
        yield b"x"

    machine, clock = Machine(HOUR), MachineClock()
    async with client_of(machine, clock) as client:
        request = client.build_request("POST", "/x", content=body(), extensions={STREAMED: True})
        answer = await client.send(request)

    assert (answer.status_code, len(machine.signed_at)) == (401, 1)
    assert abs(clock.ahead - HOUR) < 5


async def test_an_app_behind_the_machine_can_t_set_its_clock():
    def app(request):
        return httpx.Response(401, headers={CLOCK: str(told(HOUR))})

    clock = MachineClock()
    async with client_of(app, clock) as client:
        await client.get("/_sandbox/h/preview/")

    assert clock.ahead == 0
