"""Asking for a code, answering it and collecting the sign-in, without HTTP.

``test_views.py`` has the flow as a machine and a browser see it, ``test_races.py`` what happens
when two do it at the same time.
"""

from datetime import timedelta

import pytest
from allauth.idp.oidc.models import Client, Token
from django.utils import timezone
from oauthlib.oauth2.rfc6749.errors import InvalidGrantError
from oauthlib.oauth2.rfc8628.errors import (
    AccessDenied,
    AuthorizationPendingError,
    ExpiredTokenError,
    SlowDownError,
)

from mesh.lib import oauth
from mesh.models import Pairing, PairingState
from mesh.pairing import services
from mesh.pairing.errors import CodeTooOld, CodeUsed, TooManyAsks, UnknownCode
from mesh.pairing.facts import Facts
from mesh.services import make_token

FACTS = Facts(hostname="mbp", platform="Darwin arm64", machine_id="m1", version="1.0")
INTERVAL = 2
LIFE = 600


def ask(*, code="1", address="203.0.113.7", facts=FACTS):
    return services.ask(
        device_code=f"device-{code}",
        user_code=f"BCDF-GHJ{code}",
        life=LIFE,
        facts=facts,
        address=address,
    )


def collect(code="1"):
    return services.collect(device_code=f"device-{code}", interval=INTERVAL)


def pair(user, *, code="1", facts=FACTS):
    """Return the person's new sign-in, with a token as the token endpoint makes it."""
    services.answer(user=user, pairing=ask(code=code, facts=facts), approve=True)
    pairing = collect(code)
    give_token(pairing)
    return pairing


def give_token(pairing):
    Token.objects.create(
        type=Token.Type.ACCESS_TOKEN,
        client=services.ensure_client(),
        user=pairing.user,
        hash=str(pairing.pk),
        data={"pairing": str(pairing.pk), "generation": 0},
    )


# The client


def test_the_one_client_is_public_and_has_no_grant_but_those_of_a_machine(db):
    made, found = services.ensure_client(), services.ensure_client()

    assert made == found == Client.objects.get()
    assert (made.id, made.type) == (oauth.CLIENT_ID, Client.Type.PUBLIC)
    assert made.get_grant_types() == [oauth.DEVICE_GRANT, oauth.REFRESH_GRANT]
    assert made.get_response_types() == []


def test_a_client_that_an_admin_has_changed_stays_so(db):
    services.ensure_client()
    Client.objects.update(name="Ours")

    assert services.ensure_client().name == "Ours"


# The limits


def test_an_address_may_ask_for_twenty_codes_in_ten_minutes(db, later):
    for _ in range(services.ASKS_PER_ADDRESS):
        services.check_rate(address="203.0.113.7")
        ask(code=str(Pairing.objects.count()))

    with pytest.raises(TooManyAsks):
        services.check_rate(address="203.0.113.7")
    services.check_rate(address="203.0.113.8")
    later(600)
    services.check_rate(address="203.0.113.7")


def test_codes_that_were_answered_count_for_their_address(ada, monkeypatch):
    monkeypatch.setattr(services, "ASKS_PER_ADDRESS", 1)
    pair(ada)

    with pytest.raises(TooManyAsks):
        services.check_rate(address="203.0.113.7")


def test_only_codes_that_wait_for_an_answer_are_open(ada, monkeypatch, later):
    monkeypatch.setattr(services, "OPEN_AT_MOST", 2)
    services.answer(user=ada, pairing=ask(), approve=False)
    for code in "23":
        services.check_rate(address="198.51.100.1")
        ask(code=code)

    with pytest.raises(TooManyAsks):
        services.check_rate(address="198.51.100.1")
    later(LIFE)
    services.check_rate(address="198.51.100.1")


def test_a_request_is_kept_for_an_hour_so_that_its_code_is_called_too_old(ada, later):
    ask()
    later(3599)
    services.check_rate(address="a")
    with pytest.raises(CodeTooOld):
        services.get_asked(viewer=ada, user_code="BCDF-GHJ1")

    later(2)
    services.check_rate(address="a")
    with pytest.raises(UnknownCode):
        services.get_asked(viewer=ada, user_code="BCDF-GHJ1")
    assert not Pairing.objects.exists()


def test_a_sign_in_outlives_its_code(ada, later):
    pairing = pair(ada)
    later(3601)

    services.check_rate(address="a")

    pairing.refresh_from_db()
    assert (pairing.state, pairing.user_code) == (PairingState.PAIRED, None)


# Asking


def test_a_request_keeps_the_machines_claims_and_only_hashes_of_its_codes(db):
    before = timezone.now()

    pairing = ask()

    assert (pairing.hostname, pairing.platform) == ("mbp", "Darwin arm64")
    assert (pairing.machine_id, pairing.version, pairing.address) == ("m1", "1.0", "203.0.113.7")
    assert (pairing.state, pairing.user) == (PairingState.ASKED, None)
    assert pairing.expires_at - pairing.created_at == timedelta(seconds=LIFE)
    assert pairing.created_at >= before
    assert "device-1" not in pairing.device_code
    assert "BCDF" not in pairing.user_code


@pytest.mark.parametrize("typed", ["BCDF-GHJK", "bcdf-ghjk", "bcdfghjk", " BCDF GHJK "])
def test_a_persons_code_is_hashed_however_it_is_typed(typed):
    assert services.hash_user_code(typed) == services.hash_user_code("BCDF-GHJK")


def test_the_hash_of_a_short_code_needs_the_servers_key(settings):
    before = services.hash_user_code("BCDF-GHJK")
    settings.SECRET_KEY = "another"

    assert services.hash_user_code("BCDF-GHJK") != before


def test_the_hash_of_a_device_code_needs_no_key(settings):
    before = services.hash_device_code("x" * 32)
    settings.SECRET_KEY = "another"

    assert services.hash_device_code("x" * 32) == before


# What a person is shown


def test_an_unanswered_request_is_shown_to_everybody_who_has_its_code(ada, eve):
    pairing = ask()

    for viewer in (ada, eve):
        assert services.get_asked(viewer=viewer, user_code="bcdf ghj1") == pairing


def test_an_unknown_code_shows_nothing(ada):
    ask()

    with pytest.raises(UnknownCode):
        services.get_asked(viewer=ada, user_code="BCDF-GHJ2")


@pytest.mark.parametrize("approve", [True, False])
def test_an_answered_request_is_shown_to_the_person_who_answered_only(ada, bob, approve):
    services.answer(user=ada, pairing=ask(), approve=approve)

    assert services.get_asked(viewer=ada, user_code="BCDF-GHJ1").user == ada
    with pytest.raises(CodeUsed):
        services.get_asked(viewer=bob, user_code="BCDF-GHJ1")


def test_a_code_that_somebody_else_used_is_never_called_too_old(ada, bob, later):
    services.answer(user=ada, pairing=ask(), approve=True)
    later(LIFE)

    with pytest.raises(CodeUsed):
        services.get_asked(viewer=bob, user_code="BCDF-GHJ1")
    with pytest.raises(CodeTooOld):
        services.get_asked(viewer=ada, user_code="BCDF-GHJ1")


# Answering


@pytest.mark.parametrize(("approve", "state"), [(True, "approved"), (False, "denied")])
def test_an_answer_is_written_to_the_row_and_to_the_caller(ada, approve, state):
    pairing = ask()

    services.answer(user=ada, pairing=pairing, approve=approve)

    stored = Pairing.objects.get()
    assert (stored.state, stored.user) == (pairing.state, pairing.user) == (state, ada)


def test_the_first_answer_counts(ada, bob):
    pairing = ask()
    services.answer(user=ada, pairing=pairing, approve=False)

    for user in (ada, bob):
        with pytest.raises(CodeUsed):
            services.answer(user=user, pairing=pairing, approve=True)

    assert (Pairing.objects.get().state, Pairing.objects.get().user) == ("denied", ada)


def test_an_expired_request_is_not_answered(ada, later):
    pairing = ask()
    later(LIFE)

    with pytest.raises(CodeUsed):
        services.answer(user=ada, pairing=pairing, approve=True)

    assert Pairing.objects.get().state == PairingState.ASKED


# Collecting


def test_an_approved_machine_collects_its_sign_in_once(ada):
    services.answer(user=ada, pairing=ask(), approve=True)

    pairing = collect()

    assert (pairing.state, pairing.user) == (PairingState.PAIRED, ada)
    assert (pairing.device_code, pairing.expires_at) == (None, None)
    with pytest.raises(InvalidGrantError):
        collect()


def test_no_one_collects_with_an_unknown_code(db):
    ask()

    with pytest.raises(InvalidGrantError):
        collect("2")


def test_an_approval_that_is_not_collected_in_time_expires(ada, later):
    services.answer(user=ada, pairing=ask(), approve=True)
    later(LIFE)

    with pytest.raises(ExpiredTokenError):
        collect()


def test_a_machine_waits_until_a_person_has_answered(db, later):
    ask()

    for _ in range(2):
        with pytest.raises(AuthorizationPendingError):
            collect()
        later(INTERVAL)


def test_a_machine_that_polls_too_often_must_slow_down_even_once_it_is_approved(ada, later):
    pairing = ask()
    with pytest.raises(AuthorizationPendingError):
        collect()
    services.answer(user=ada, pairing=pairing, approve=True)

    with pytest.raises(SlowDownError):
        collect()
    later(INTERVAL)
    assert collect().user == ada


def test_a_poll_may_be_a_second_early(db, later):
    ask()
    with pytest.raises(AuthorizationPendingError):
        collect()
    later(INTERVAL - services.EARLY.total_seconds())

    with pytest.raises(AuthorizationPendingError):
        collect()


def test_a_refused_poll_does_not_start_the_interval_again(db, later):
    ask()
    with pytest.raises(AuthorizationPendingError):
        collect()
    with pytest.raises(SlowDownError):
        collect()
    later(INTERVAL)

    with pytest.raises(AuthorizationPendingError):
        collect()


def test_a_denied_machine_gets_nothing(ada):
    services.answer(user=ada, pairing=ask(), approve=False)

    with pytest.raises(AccessDenied):
        collect()


def test_a_person_who_was_deactivated_after_approving_gives_nothing(ada):
    services.answer(user=ada, pairing=ask(), approve=True)
    type(ada).objects.update(is_active=False)

    with pytest.raises(AccessDenied):
        collect()


def test_pairing_again_ends_the_same_machines_older_sign_in_of_that_person_only(ada, bob):
    old, bobs = pair(ada, code="1"), pair(bob, code="2")
    other = pair(ada, code="3", facts=Facts(hostname="x", platform="", machine_id="m2", version=""))

    new = pair(ada, code="4")

    assert set(Pairing.objects.all()) == {bobs, other, new}
    assert not Token.objects.filter(data__pairing=str(old.pk)).exists()
    assert Token.objects.count() == 3


def test_machines_that_name_no_id_never_replace_each_other(ada):
    nameless = Facts(hostname="x", platform="", machine_id="", version="")

    pair(ada, code="1", facts=nameless)
    pair(ada, code="2", facts=nameless)

    assert Pairing.objects.count() == 2


# Signing out


def test_signing_a_machine_out_ends_its_paired_and_its_issued_tokens(ada, bob):
    pair(ada, code="1")
    bobs = pair(bob, code="2")
    make_token(user=ada, scope="machine", machine_id="m1")
    make_token(user=ada, scope="machine", machine_id="m2")

    assert services.sign_out_machine(user=ada, machine_id="m1") == 2

    assert Pairing.objects.get() == bobs
    assert [token.issued.machine_id for token in Token.objects.filter(user=ada)] == ["m2"]
    assert services.sign_out_machine(user=ada, machine_id="m1") == 0


def test_signing_out_leaves_a_request_of_the_same_machine_open(ada):
    services.answer(user=ada, pairing=ask(), approve=True)

    assert services.sign_out_machine(user=ada, machine_id="m1") == 0
    assert collect().user == ada


def test_a_sign_in_that_has_ended_already_is_not_counted(ada):
    pairing = pair(ada)

    assert services.end([pairing]) == 1
    assert services.end([Pairing(pk=pairing.pk, user=ada)]) == 0
    assert not Token.objects.exists()
