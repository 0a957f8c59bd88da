"""Renewing: tokens rotate, and an answer that got lost locks nobody out."""

import pytest
from allauth.idp.oidc.models import Token
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mesh.models import Pairing, User
from mesh.pairing import services, tokens
from mesh.services import make_token
from mesh.tokens import find_ended, find_sign_in
from tests.examples import up_to
from tests.tokens import find_user_by_token


@pytest.fixture
def paired(machine, adas):
    return machine.paired(adas)


def renewed(machine, value=None):
    answer = machine.renew(value)
    assert answer.status_code == 200, answer.content
    return answer.json()


def test_each_renewal_gives_new_tokens(paired, ada):
    new = renewed(paired)

    assert new["refresh_token"] != paired.tokens["refresh_token"]
    assert find_user_by_token(new["access_token"]) == ada


def test_a_refresh_token_ends_when_its_successor_is_used(paired):
    first = paired.tokens["refresh_token"]
    second = renewed(paired)["refresh_token"]
    renewed(paired, second)

    assert paired.renew(first).json()["error"] == "invalid_grant"


def test_an_answer_that_never_arrived_does_no_harm(paired, later):
    """Power fails between the answer and the laptop's fsync; it comes back after weeks."""
    renewed(paired)
    later(60 * 60 * 24 * 30)

    again = renewed(paired)
    assert renewed(paired, again["refresh_token"])


def test_the_lost_one_ends_when_another_is_used(paired):
    lost = renewed(paired)["refresh_token"]
    arrived = renewed(paired)["refresh_token"]
    renewed(paired, arrived)

    assert paired.renew(lost).json()["error"] == "invalid_grant"


def test_an_answer_overtaken_by_a_later_one_may_be_used_too(paired):
    early = renewed(paired)["refresh_token"]
    renewed(paired)

    assert renewed(paired, early)


def test_a_machine_that_renews_again_and_again_fills_no_table(paired):
    for _ in range(2 * tokens.UNCONFIRMED):
        last = renewed(paired)

    refreshing = Token.objects.filter(type=Token.Type.REFRESH_TOKEN)
    assert refreshing.count() == 1 + tokens.UNCONFIRMED
    assert renewed(paired, last["refresh_token"])


def test_expired_access_tokens_are_cleared_away(paired, later):
    later(3601)
    assert find_user_by_token(paired.tokens["access_token"]) is None

    renewed(paired)

    assert Token.objects.filter(type=Token.Type.ACCESS_TOKEN).count() == 1


def test_after_ninety_days_off_a_machine_pairs_again(paired, later):
    later(60 * 60 * 24 * 91)

    assert paired.renew().json()["error"] == "invalid_grant"


def test_others_refresh_tokens_and_nonsense_are_refused(paired):
    for value in ("nonsense", paired.tokens["access_token"]):
        answer = paired.renew(value)
        assert (answer.status_code, answer.json()["error"]) == (400, "invalid_grant")


def test_someone_shut_out_renews_nothing(paired):
    User.objects.update(is_active=False)

    assert paired.renew().status_code in {400, 401}


def test_a_machine_whose_row_is_gone_is_signed_out(paired):
    Pairing.objects.all().delete()

    assert find_user_by_token(paired.tokens["access_token"]) is None
    assert paired.renew().json()["error"] == "invalid_grant"


def test_signing_out_a_machine_leaves_the_others(machine, adas, ada):
    from tests.mesh.pairing.conftest import Machine

    kept = Machine().paired(adas, machine_id="b" * 32).tokens["access_token"]
    gone = machine.paired(adas).tokens["access_token"]

    assert services.sign_out_machine(user=ada, machine_id="a" * 32) == 1
    assert services.sign_out_machine(user=ada, machine_id="a" * 32) == 0
    assert find_user_by_token(gone) is None
    assert find_user_by_token(kept) == ada


def test_what_ended_is_told_from_what_expired(machine, adas, ada, later):
    machine.paired(adas)
    paired = find_sign_in(machine.tokens["access_token"])
    plain = find_sign_in(make_token(user=ada))
    later(3601)
    assert find_ended([paired, plain]) == set()

    machine.revoke(machine.tokens["refresh_token"])
    assert find_ended([paired, plain]) == {paired}
    Token.objects.filter(pk=plain.token_id).delete()
    assert find_ended([paired, plain]) == {paired, plain}


def test_everything_of_someone_shut_out_has_ended(machine, adas, ada):
    paired = find_sign_in(machine.paired(adas).tokens["access_token"])
    plain = find_sign_in(make_token(user=ada))
    User.objects.update(is_active=False)

    assert find_ended([paired, plain]) == {paired, plain}


@pytest.mark.thorough
@settings(
    max_examples=up_to(15),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(lost=st.lists(st.booleans(), max_size=8))
def test_whichever_answers_get_lost_the_next_try_works(machine, adas, lost):
    """The laptop uses what it has stored; an answer that is lost is not stored."""
    held = machine.paired(adas).tokens["refresh_token"]
    for is_lost in lost:
        answer = renewed(machine, held)["refresh_token"]
        held = held if is_lost else answer

    assert renewed(machine, held)
