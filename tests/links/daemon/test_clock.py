"""Sleep is told from time: only the wall clock goes on meanwhile."""

import pytest

from links.daemon.clock import Clock, SleepDetector


class Hands:
    """The hands of both clocks, moved by whoever waits, and by the test."""

    def __init__(self):
        self.wall, self.steady, self.naps = 1000.0, 10.0, []
        self.clock = Clock(lambda: self.wall, lambda: self.steady, self.nap)

    def move(self, *, wall=0.0, steady=0.0):
        self.wall += wall
        self.steady += steady

    async def nap(self, seconds):
        self.naps.append(seconds)
        self.move(wall=seconds, steady=seconds)


@pytest.fixture
def hands():
    return Hands()


@pytest.mark.parametrize(
    ("wall", "steady", "slept"),
    [
        pytest.param(1, 1, False, id="a second passed"),
        pytest.param(60, 60, False, id="a busy minute"),
        pytest.param(300, 1, True, id="five minutes of sleep"),
        pytest.param(-3600, 1, False, id="the clock was set back"),
        pytest.param(5, 1, False, id="the clock was corrected"),
    ],
)
def test_sleep_is_distinguished_from_passing_time(hands, wall, steady, slept):
    detector = SleepDetector(hands.clock)
    hands.move(wall=wall, steady=steady)

    assert detector.slept() is slept


def test_a_sleep_is_reported_once(hands):
    detector = SleepDetector(hands.clock)
    hands.move(wall=300)

    assert [detector.slept(), detector.slept()] == [True, False]


async def test_a_wait_takes_its_time(hands):
    await hands.clock.sleep_or_wake(2.5)

    assert hands.naps == [1.0, 1.0, 0.5]


async def test_a_machine_that_wakes_stops_waiting(hands):
    async def nap(seconds):
        hands.naps.append(seconds)
        hands.move(wall=3600, steady=1)  # the lid was closed meanwhile

    await Clock(hands.clock.wall, hands.clock.steady, nap).sleep_or_wake(30)

    assert hands.naps == [1.0]


async def test_a_machine_that_slept_before_the_wait_does_not_wait(hands):
    detector = SleepDetector(hands.clock)
    hands.move(wall=3600)

    await hands.clock.sleep_or_wake(30, detector)

    assert hands.naps == []
