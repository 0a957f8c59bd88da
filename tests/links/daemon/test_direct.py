"""Heartbeats: at once, with what changed, and what ends them."""

import pytest

from links.daemon import api, direct
from links.daemon.clock import Clock
from links.daemon.direct import Heartbeats
from links.daemon.errors import AddressNotHonoured, RetryLater, Superseded
from links.wire.messages import MachineStatus, Registered

ADDRESS = "http://localhost:5174"
READY = MachineStatus(capabilities=("codex",), harnesses={})


class Over(Exception):
    """The test has seen enough."""


def registration(number=1, address=ADDRESS):
    return Registered(
        link_id=str(number),
        link_secret=f"s{number}",
        user_sub="1",
        server_key="ab" * 32,
        tunnel_url=address,
    )


@pytest.fixture
def beats(monkeypatch):
    """What was sent: (secret, status); an exception in ``faults`` is raised instead."""
    sent, faults = [], []

    async def heartbeat(server, registered, *, token, status):
        assert token == "t0ken"
        sent.append((registered.link_secret, status))
        if faults:
            raise faults.pop(0)

    monkeypatch.setattr(api, "heartbeat", heartbeat)
    return sent, faults


class Tokens:
    async def token(self):
        return "t0ken"


def heart(*, naps):
    now = 0.0

    async def sleep(seconds):
        nonlocal now
        now += seconds
        if now > naps * direct.BEAT_EVERY:
            raise Over

    clock = Clock(lambda: now, lambda: now, sleep)
    return Heartbeats("https://mesh.example", address=ADDRESS, tokens=Tokens(), clock=clock)


async def test_what_can_be_done_is_told_once(beats):
    with pytest.raises(Over):
        await heart(naps=2).beat(registration(), lambda: READY)

    assert beats[0] == [("s1", READY), ("s1", None), ("s1", None)]


async def test_a_change_is_told(beats):
    states = iter([None, None, READY])

    with pytest.raises(Over):
        await heart(naps=2).beat(registration(), lambda: next(states))

    assert [status for _, status in beats[0]] == [None, None, READY]


async def test_a_server_that_does_not_call_such_addresses(beats):
    with pytest.raises(AddressNotHonoured, match=ADDRESS):
        await heart(naps=0).beat(registration(address=""), lambda: None)

    assert beats[0] == []


async def test_a_server_that_is_away_is_tried_again(beats):
    beats[1].append(api.RegistrationFailed("The server can't be reached."))

    with pytest.raises(RetryLater, match="can't be reached"):
        await heart(naps=0).beat(registration(), lambda: None)


async def test_a_server_that_forgot_us_is_told_apart(beats):
    beats[1].append(api.NotRegistered())

    with pytest.raises(api.NotRegistered):
        await heart(naps=0).beat(registration(), lambda: None)


async def test_two_programs_of_one_machine_do_not_fight_endlessly(beats):
    one = heart(naps=0)
    for number in (1, 2):
        beats[1].append(api.NotRegistered())
        with pytest.raises(api.NotRegistered):
            await one.beat(registration(number), lambda: None)

    beats[1].append(api.NotRegistered())
    with pytest.raises(Superseded):
        await one.beat(registration(3), lambda: None)
