import pytest

from mesh.body_limits import BodyUnproven
from mesh.lib.errors import BodyTooLarge


@pytest.mark.parametrize(
    ("limit", "said"),
    [
        (25 * 1024 * 1024, "25 MiB"),
        (64 * 1024, "64 KiB"),
        (1024 * 1024 + 1024, "1025 KiB"),
        (100, "100 bytes"),
        (1500, "1500 bytes"),
    ],
)
def test_a_body_that_is_too_large_is_told_the_limit(limit, said):
    error = BodyTooLarge.over(limit)

    assert str(error) == f"The body is larger than {said}."
    assert (error.code, error.status) == ("body_too_large", 413)


def test_the_kinds_of_it_are_told_as_one():
    assert BodyUnproven().code == BodyTooLarge.code
