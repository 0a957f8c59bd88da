"""S23–S27."""

import pytest

from links.wire import version


@pytest.mark.parametrize(
    ("given", "is_supported"),
    [
        pytest.param(version.MINIMUM, True, id="S24 the minimum"),
        pytest.param(version.CURRENT, True, id="S25 the current one"),
        pytest.param(version.CURRENT + 5, True, id="a later one: no upper bound"),
        pytest.param(version.MINIMUM - 1, False, id="S26 below the minimum"),
        pytest.param(0, False, id="S27 zero"),
    ],
)
def test_is_supported(given, is_supported):
    assert version.is_supported(given) is is_supported


def test_the_current_version_is_at_least_the_minimum():  # S23
    assert version.CURRENT >= version.MINIMUM
