"""How many examples hypothesis makes up for one test."""

from hypothesis import settings

QUICK = 10  # in ``make test ARGS=quick``; everywhere else hypothesis's own hundred


def up_to(number: int) -> int:
    """Return ``number``, or what the quick suite has time for."""
    return min(number, QUICK) if settings.get_current_profile_name() == "quick" else number
