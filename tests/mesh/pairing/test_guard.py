"""Ten wrong codes, then none is taken."""

import pytest

from mesh.models import WrongCode
from mesh.pairing.errors import CodeTooOld, TooManyTries, UnknownCode
from mesh.pairing.guard import MOST, guarded
from tests.mesh.pairing.conftest import Browser


def wrong(adas, times=1):
    return [adas.answer("BCDF-GHJK").status_code for _ in range(times)][-1]


def test_the_tenth_wrong_code_is_answered_and_the_next_is_not(adas, machine):
    machine.ask()

    assert wrong(adas, MOST) == 400
    assert wrong(adas) == 429
    # Nor is the right one: else the limit would tell the guesser when to stop.
    assert adas.look(machine.codes["user_code"]).status_code == 429
    assert adas.answer(machine.codes["user_code"], "approve").status_code == 429


def test_links_count_like_typed_codes(adas):
    for _ in range(MOST):
        adas.look("BCDF-GHJK")

    assert wrong(adas) == 429


def test_a_person_is_counted_wherever_they_are(adas, ada):
    wrong(adas, MOST)

    assert wrong(Browser(ada, address="198.51.100.2")) == 429


def test_an_address_is_counted_for_all_its_people(adas, bob, eve):
    wrong(adas, 5)
    wrong(Browser(bob), 5)

    assert wrong(Browser(eve)) == 429
    assert wrong(Browser(eve, address="198.51.100.2")) == 400


def test_ten_minutes_later_codes_are_taken_again(adas, later, machine):
    wrong(adas, MOST)
    later(601)

    assert adas.look(machine.ask().codes["user_code"]).status_code == 200
    assert not WrongCode.objects.exists()


def test_right_codes_and_empty_forms_do_not_count(adas, machine):
    machine.ask()
    for _ in range(MOST + 1):
        adas.look()
        assert adas.look(machine.codes["user_code"]).status_code == 200


def test_a_code_that_is_merely_old_does_not_count(adas, machine, later):
    machine.ask()
    later(601)

    for _ in range(MOST + 1):
        assert adas.look(machine.codes["user_code"]).status_code == 410


def test_tries_at_the_same_moment_count_before_they_are_answered(ada):
    entered = []

    def nested(depth):
        with guarded(user=ada, address="a"):
            entered.append(depth)
            nested(depth + 1)

    with pytest.raises(TooManyTries):
        nested(1)

    assert len(entered) == MOST


@pytest.mark.parametrize(("raised", "kept"), [(UnknownCode, 1), (CodeTooOld, 0), (RuntimeError, 0)])
def test_only_an_unknown_code_stays_counted(ada, raised, kept):
    with pytest.raises(raised), guarded(user=ada, address="a"):
        raise raised

    assert WrongCode.objects.count() == kept
