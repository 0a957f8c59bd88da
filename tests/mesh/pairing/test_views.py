"""The whole flow over HTTP: a machine asks, a person answers, the machine collects."""

import logging

import pytest
from allauth.idp.oidc.models import Client as OAuthClient
from allauth.idp.oidc.models import Token
from django.urls import reverse

from mesh.lib import oauth
from mesh.models import Pairing, User
from tests.mesh.pairing.conftest import Browser, Machine
from tests.tokens import find_user_by_token
from threads.models import Thread


def test_an_approved_machine_gets_tokens_of_the_person(machine, adas, ada):
    machine.paired(adas)

    assert find_user_by_token(machine.tokens["access_token"]) == ada
    assert machine.tokens["token_type"] == "Bearer"
    assert machine.tokens["expires_in"] == 3600
    assert machine.tokens["refresh_token"]
    assert machine.tokens["scope"] == oauth.SCOPE


def test_what_a_machine_is_told_when_it_asks(machine):
    codes = machine.ask().codes

    assert codes["verification_uri"] == f"http://testserver/{oauth.DEVICE_PAGE}"
    assert codes["verification_uri_complete"].endswith(f"?code={codes['user_code']}")
    assert (codes["expires_in"], codes["interval"]) == (600, 2)


def test_until_a_person_answers_it_is_pending(machine):
    answer = machine.ask().poll()

    assert (answer.status_code, answer.json()["error"]) == (400, "authorization_pending")


def test_a_machine_that_polls_too_fast_must_slow_down(machine):
    machine.ask().poll()

    assert machine.poll().json()["error"] == "slow_down"


def test_a_machine_that_waits_the_interval_need_not_slow_down(machine, later):
    machine.ask().poll()
    later(2)

    assert machine.poll().json()["error"] == "authorization_pending"


def test_a_denied_machine_learns_it(machine, adas):
    machine.ask()
    shown = adas.answer(machine.codes["user_code"], "deny")

    assert "Denied" in shown.content.decode()
    assert machine.poll().json()["error"] == "access_denied"


def test_a_code_lives_ten_minutes(machine, adas, later):
    machine.ask()
    later(601)

    assert machine.poll().json()["error"] == "expired_token"
    shown = adas.look(machine.codes["user_code"])
    assert (shown.status_code, "too old" in shown.content.decode()) == (410, True)


def test_an_approval_comes_too_late_too(machine, adas, later):
    machine.ask()
    later(601)

    assert adas.answer(machine.codes["user_code"], "approve").status_code == 410
    assert Pairing.objects.get().state == "asked"


def test_a_code_is_used_once(machine, adas, later):
    machine.paired(adas)
    later(10)

    assert machine.poll().json()["error"] == "invalid_grant"


@pytest.mark.parametrize(
    ("form", "error"),
    [
        pytest.param({"device_code": "x"}, "invalid_grant", id="no such code"),
        pytest.param({"device_code": ""}, "invalid_request", id="no code"),
        pytest.param({"client_id": "mesh-cli"}, "invalid_client", id="another client"),
        pytest.param({"client_id": ""}, "invalid_client", id="no client"),
    ],
)
def test_a_poll_is_refused(machine, adas, form, error):
    machine.ask()
    adas.answer(machine.codes["user_code"], "approve")

    answer = machine.poll(**form)

    assert answer.status_code in {400, 401}
    assert answer.json()["error"] == error
    assert not Token.objects.exists()


def test_another_clients_try_does_not_use_the_code_up(machine, adas, later):
    machine.ask()
    adas.answer(machine.codes["user_code"], "approve")
    machine.poll(client_id="unknown")
    later(2)

    assert machine.poll().status_code == 200


@pytest.mark.parametrize(
    ("form", "status"),
    [
        pytest.param({"client_id": "nobody"}, 400, id="no such client"),
        pytest.param({"scope": "openid"}, 400, id="a scope that needs a key"),
        pytest.param({"scope": "link admin"}, 400, id="more than it may"),
    ],
)
def test_asking_is_refused(machine, form, status):
    answer = machine.post(oauth.DEVICE_CODE, **form)

    assert answer.status_code == status
    assert answer.json()["error"]
    assert not Pairing.objects.exists()


@pytest.mark.parametrize("grant", ["password", "authorization_code", "client_credentials", ""])
def test_no_other_grant_gives_a_token(machine, ada, grant):
    answer = machine.post(oauth.TOKEN, grant_type=grant, username="ada", password="x", code="x")

    assert (answer.status_code, answer.json()["error"]) == (400, "unsupported_grant_type")


def test_an_address_that_asks_again_and_again_has_to_wait(machine):
    for _ in range(20):
        machine.ask()

    answer = machine.post(oauth.DEVICE_CODE, scope=oauth.SCOPE)

    assert (answer.status_code, answer["Retry-After"]) == (429, "600")
    assert answer.json()["error"] == "temporarily_unavailable"
    assert Machine(address="203.0.113.8").ask().codes


def test_all_together_may_not_fill_the_table(machine, monkeypatch):
    monkeypatch.setattr("mesh.pairing.services.OPEN_AT_MOST", 3)
    for last in range(3):
        Machine(address=f"203.0.113.{last}").ask()

    assert machine.post(oauth.DEVICE_CODE, scope=oauth.SCOPE).status_code == 429


def test_an_ipv6_client_is_limited_by_its_network(db, monkeypatch):
    monkeypatch.setattr("mesh.pairing.services.ASKS_PER_ADDRESS", 2)
    for address in ("2001:db8:0:1::1", "2001:db8:0:1:2:3:4:5"):
        Machine(address=address).ask()
    neighbour, other = Machine(address="2001:db8:0:1::9"), Machine(address="2001:db8:0:2::9")

    assert neighbour.post(oauth.DEVICE_CODE, scope=oauth.SCOPE).status_code == 429
    assert other.post(oauth.DEVICE_CODE, scope=oauth.SCOPE).status_code == 200
    assert Pairing.objects.first().address == "2001:db8:0:1::/64"


def test_the_page_shows_who_asks(machine, adas):
    machine.ask()

    shown = adas.look(machine.codes["user_code"]).content.decode()

    expected = [machine.codes["user_code"], "ada&#x27;s laptop", "Linux x86_64", "203.0.113.7"]
    assert [text for text in expected if text not in shown] == []
    assert "Signed in as <b>ada</b>" in shown


@pytest.mark.parametrize(
    ("seconds", "words"), [(0, "just now"), (59, "just now"), (180, "3 minutes ago")]
)
def test_the_page_says_when_it_asked(machine, adas, later, seconds, words):
    machine.ask()
    later(seconds)

    shown = adas.look(machine.codes["user_code"]).content.decode()

    assert words in shown.replace("\xa0", " ")


def test_a_machine_can_not_write_into_the_page(machine, adas):
    machine.ask(hostname="<script>x</script>")

    assert "<script>x" not in adas.look(machine.codes["user_code"]).content.decode()


@pytest.mark.parametrize("written", [str.lower, lambda code: code.replace("-", " "), str.strip])
def test_a_code_may_be_typed_as_people_do(machine, adas, written):
    code = written(machine.ask().codes["user_code"])

    assert "Link this machine to your account?" in adas.answer(code).content.decode()


def test_looking_approves_nothing(machine, adas):
    machine.ask()
    adas.look(machine.codes["user_code"])
    adas.answer(machine.codes["user_code"])
    adas.answer(machine.codes["user_code"], "whatever")

    assert Pairing.objects.get().state == "asked"


def test_nobody_answers_without_signing_in(machine):
    machine.ask()
    stranger = Browser(None)

    answer = stranger.look(machine.codes["user_code"])

    assert answer.status_code == 302
    assert answer.url.startswith(reverse("account_login"))
    assert machine.codes["user_code"] in answer.url  # there again after signing in


def test_another_site_can_not_approve(machine, adas):
    """allauth's own view is exempt from the check; ours is not."""
    machine.ask()
    adas.look(machine.codes["user_code"])

    form = {"code": machine.codes["user_code"], "action": "approve"}
    for more in ({}, {"csrfmiddlewaretoken": "x" * 64}):
        refused = adas.post(adas.page, form | more)
        assert (refused.status_code, "Nothing was changed" in refused.content.decode()) == (
            403,
            True,
        )

    assert adas.post(f"{adas.page}?code={form['code']}", {}).status_code == 403
    assert Pairing.objects.get().state == "asked"


def test_a_reload_shows_the_answer_again(machine, adas, later):
    machine.paired(adas)

    shown = adas.answer(machine.codes["user_code"], "approve")

    assert (shown.status_code, "Approved" in shown.content.decode()) == (200, True)


def test_a_denied_code_is_not_approved_afterwards(machine, adas):
    machine.ask()
    adas.answer(machine.codes["user_code"], "deny")
    adas.answer(machine.codes["user_code"], "approve")

    assert Pairing.objects.get().state == "denied"


def test_the_first_person_to_answer_has_the_machine(machine, adas, bob, ada):
    machine.ask()
    adas.answer(machine.codes["user_code"], "approve")

    late = Browser(bob).answer(machine.codes["user_code"], "approve")

    assert (late.status_code, "already been used" in late.content.decode()) == (410, True)
    assert Pairing.objects.get().user == ada


def test_someone_shut_out_since_gives_no_token(machine, adas):
    machine.ask()
    adas.answer(machine.codes["user_code"], "approve")
    User.objects.update(is_active=False)

    assert machine.poll().json()["error"] == "access_denied"


def test_a_machine_that_pairs_again_ends_its_old_sign_in(machine, adas):
    old = machine.paired(adas).tokens
    other = Machine().paired(adas, machine_id="b" * 32).tokens

    machine.paired(adas)

    assert find_user_by_token(old["access_token"]) is None
    assert find_user_by_token(other["access_token"]) is not None
    assert Pairing.objects.count() == 2


def test_the_same_machine_of_two_people_is_two(machine, adas, bob):
    first = machine.paired(adas).tokens
    machine.paired(Browser(bob))

    assert find_user_by_token(first["access_token"]) is not None


@pytest.mark.parametrize("kind", ["access_token", "refresh_token"])
def test_revoking_either_token_signs_the_machine_out(machine, adas, kind):
    machine.paired(adas)

    assert machine.revoke(machine.tokens[kind]).status_code == 200
    assert find_user_by_token(machine.tokens["access_token"]) is None
    assert machine.renew().json()["error"] == "invalid_grant"
    assert not Pairing.objects.exists()
    assert not Token.objects.exists()


def test_revoking_what_is_no_token_changes_nothing(machine, adas):
    machine.paired(adas)

    assert machine.revoke("nothing").status_code == 200
    assert find_user_by_token(machine.tokens["access_token"])


def test_an_unknown_client_revokes_nothing(machine, adas):
    machine.paired(adas)

    assert machine.revoke(machine.tokens["access_token"], client_id="x").status_code == 401
    assert find_user_by_token(machine.tokens["access_token"])


def test_only_hashes_of_codes_and_tokens_are_kept(machine, adas):
    machine.ask()
    rows = str(Pairing.objects.values())
    assert machine.codes["device_code"] not in rows
    assert machine.codes["user_code"] not in rows

    machine.paired(adas)
    kept = str(list(Token.objects.values()) + list(Pairing.objects.values()))
    assert machine.tokens["access_token"] not in kept
    assert machine.tokens["refresh_token"] not in kept


def test_no_log_line_holds_a_code_or_a_token(machine, adas, caplog):
    caplog.set_level(logging.DEBUG)
    machine.paired(adas)
    machine.renew()
    adas.answer("BCDF-GHJK")

    for secret in (
        machine.codes["device_code"],
        machine.codes["user_code"],
        machine.tokens["access_token"],
        machine.tokens["refresh_token"],
    ):
        assert secret not in caplog.text


def test_waiting_for_a_person_fills_no_log(machine, caplog):
    machine.ask().poll()

    assert "Bad Request" not in caplog.text


@pytest.mark.parametrize("path", [oauth.DEVICE_PAGE, oauth.DEVICE_CODE, oauth.TOKEN])
def test_nothing_of_it_is_kept_by_caches(machine, adas, path):
    answer = adas.look() if path == oauth.DEVICE_PAGE else machine.post(path)

    assert "no-store" in answer["Cache-Control"]


@pytest.mark.parametrize("path", [oauth.DEVICE_CODE, oauth.TOKEN, oauth.REVOKE])
def test_machines_only_post(client, db, path):
    assert client.get(f"/{path}").status_code == 405


def test_the_client_is_made_once_and_is_public(machine):
    machine.ask().ask()

    client = OAuthClient.objects.get()
    assert (client.id, client.type) == ("mesh-link", "public")
    assert client.get_grant_types() == [oauth.DEVICE_GRANT, oauth.REFRESH_GRANT]


def test_old_requests_are_forgotten_and_sign_ins_kept(machine, adas, later):
    machine.ask()
    Machine().paired(adas)
    later(3601)
    Machine().ask()

    assert sorted(Pairing.objects.values_list("state", "user_code").order_by("state"))[1] == (
        "paired",
        None,
    )
    assert Pairing.objects.count() == 2


def test_a_machine_reaches_its_own_addresses_and_no_others(machine, adas, client):
    access = machine.paired(adas).tokens["access_token"]
    headers = {"Authorization": f"Bearer {access}"}

    assert client.get("/api/links/me", headers=headers).status_code == 200
    for path in ("/api/home/decopilot/threads", "/api/linksmore", "/api/schema/"):
        answer = client.get(path, headers=headers)
        assert answer.status_code in {403, 404}, path
    assert client.get("/home/", headers=headers).status_code == 302


def test_a_machine_does_not_follow_threads(machine, adas, client, ada, org, agent):
    thread = Thread.objects.create(organization=org, owner=ada, agent=agent)
    access = machine.paired(adas).tokens["access_token"]

    answer = client.get(
        f"/api/home/decopilot/threads/{thread.pk}/stream",
        headers={"Authorization": f"Bearer {access}"},
    )

    assert answer.status_code == 401
