import pytest

from links.daemon.absence import Absence
from links.daemon.clock import SLEPT, Clock


class Clocks:
    """A wall clock and one that stands still while the machine sleeps."""

    def __init__(self):
        self.now, self.asleep = 1000.0, 0.0

    def passes(self, seconds, *, asleep=0.0):
        self.now += seconds
        self.asleep += asleep

    def absence(self):
        return Absence(Clock(lambda: self.now, lambda: self.now - self.asleep))


def test_the_first_greeting_tells_of_no_absence():
    assert Clocks().absence().greeting_fields() == {}


@pytest.mark.parametrize(
    ("awake", "asleep", "slept"),
    [
        pytest.param(600, 0, False, id="ten minutes without network"),
        pytest.param(0, 3600, True, id="an hour of sleep"),
        pytest.param(60, SLEPT, False, id="network time sets the clock"),
    ],
)
def test_sleep_is_what_only_the_wall_clock_has_seen(awake, asleep, slept):
    clocks = Clocks()
    absence = clocks.absence()
    absence.greeting_fields()

    clocks.passes(awake + asleep, asleep=asleep)

    assert absence.greeting_fields() == {"slept": slept}


def test_each_absence_is_judged_by_itself():
    clocks = Clocks()
    absence = clocks.absence()
    absence.greeting_fields()
    clocks.passes(3600, asleep=3600)
    absence.greeting_fields()

    clocks.passes(600)

    assert absence.greeting_fields() == {"slept": False}
