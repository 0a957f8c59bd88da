"""The two ends' patience, held against each other."""

from datetime import timedelta

from links.connection import Pulse
from links.core import presence
from links.daemon import direct, main
from links.wire import timing

IN_THE_FIELD = 25  # seconds of silence after which laptops that are out there hang up


def test_a_laptop_hears_two_pings_before_it_takes_the_server_for_gone():
    assert main.SILENT_AFTER > timing.PINGS_IN_SILENCE * Pulse().every >= 2 * Pulse().every


def test_the_server_pings_as_often_as_laptops_in_the_field_need():
    """They have their patience built in: slower pings would first need their update."""
    assert timing.PINGS_IN_SILENCE * Pulse().every < IN_THE_FIELD == main.SILENT_AFTER


def test_one_heartbeat_may_be_lost_before_a_laptop_counts_as_offline():
    assert timedelta(seconds=2 * direct.BEAT_EVERY) < presence.GRACE


def test_the_deadline_is_as_late_as_the_server_needs_to_notice_silence():
    pulse = Pulse()

    noticed = pulse.every * pulse.missed + pulse.last_wait
    assert timedelta(seconds=noticed) == presence.GRACE


def test_a_laptop_gives_up_after_the_server_has_noticed():
    """So the server knows the cause, and the laptop that comes back is expected."""
    assert timedelta(seconds=main.SILENT_AFTER) > presence.GRACE
