"""The fixture itself: what the other tests of this folder rely on."""

from __future__ import annotations


def test_strangers_are_sent_to_the_sign_in(front):
    answer = front.rude().request("GET", "/")

    assert answer.status == 302
    assert answer.headers["location"].startswith("/accounts/login/")


def test_the_target_arrives_as_it_was_sent(front):
    answer = front.rude().request("GET", "/api/home/../links")

    assert answer.status == 404


def test_ada_has_a_thread_that_was_answered_on_her_laptop(front):
    answer = front.rude().request(
        "GET", f"/api/home/decopilot/threads/{front.thread}", front.ada.bearer
    )

    assert answer.json()["status"] == "completed"
    assert list(front.laptop_home.glob("sandboxes/*/journal.db"))


def test_eve_is_of_another_organization(front):
    mine = front.rude().request("GET", "/api/other/agents", front.eve.bearer)
    theirs = front.rude().request("GET", "/api/home/agents", front.eve.bearer)

    assert (mine.status, theirs.status) == (200, 404)


def test_a_session_is_as_good_as_a_token(front):
    answer = front.rude().request("GET", "/api/links/me", {"Cookie": front.ada.cookie})

    assert answer.status == 200
