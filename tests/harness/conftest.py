"""What the tests with real programs share."""

from __future__ import annotations

import pytest

from agents.harness import ADAPTERS
from tests.harness.cli import a_home, need
from tests.harness.driver import Driver, turn
from tests.harness.real import PROGRAMS
from tests.standin import serving


@pytest.fixture
async def standin():
    """The model stand-in, on loopback."""
    async with serving() as running:
        yield running


@pytest.fixture
def home():
    """An empty home for a program."""
    with a_home() as home:
        yield home


@pytest.fixture
async def agent(kind, standin, home, tmp_path):
    """Return ``agent(**variables)``: a driver of the real program of ``kind``, which is ended when
    the test is over. A variable that is empty is not set."""
    path = need(PROGRAMS[kind].name)
    (tmp_path / "work").mkdir()
    env = PROGRAMS[kind].env(home, standin.url)
    started = []

    def make(**more):
        given = {name: value for name, value in (env | more).items() if value}
        driver = Driver(ADAPTERS[kind](), [path], env=given, cwd=tmp_path / "work")
        started.append(driver)
        return driver

    yield make
    for driver in started:
        await driver.stop()


@pytest.fixture
def say(kind):
    """Return ``say(text, **changes)``: a turn at the model of the program."""

    def make(text, **changes):
        models = {"thinking": {"id": f"{kind}:{PROGRAMS[kind].model}", "title": "M"}}
        return turn(text, **{"models": models, "takesUnasked": True} | changes)

    return make
