"""The page of a person's machines: theirs alone, with all that is known and no secret."""

from datetime import timedelta
from uuid import uuid4

import pytest
from django.utils import timezone

from links import services
from links.models import Link
from links.wire import version
from links.wire.messages import Registration

PAGE = "/accounts/machines/"
HARNESSES = {
    "claude-code": {"state": "ready", "version": "2.1.330", "detail": "ada@mesh.example"},
    "codex": {"state": "not_signed_in", "version": "0.169.0", "detail": ""},
    "acp:gemini": {"state": "absent", "version": "", "detail": ""},
}


@pytest.fixture
def registered(ada):
    registration = Registration(
        machine_id="m1",
        cli_version="0.9",
        protocol_version=1,
        capabilities=("claude-code",),
        hostname="mbp <b>",
        harnesses=HARNESSES,
    )
    return services.register(user=ada, registration=registration)


@pytest.fixture
def link(registered):
    return Link.objects.get()


@pytest.fixture
def page(client, ada):
    """Return ``page()``: what ada sees."""
    client.force_login(ada)
    return lambda path=PAGE: client.get(path).content.decode()


def online(link):
    services.claim(
        user=link.user, machine_id="m1", secret_fingerprint=link.secret_hash, connection_id="c1"
    )


def test_it_says_all_that_is_known_of_a_machine(page, link):
    online(link)
    shown = page()

    for part in ("online", "m1", "deco_link 0.9", "Claude Code", "2.1.330 · ada@mesh.example"):
        assert part in shown
    assert "not signed in" in shown
    assert "mbp &lt;b&gt;" in shown
    assert "Gemini" not in shown  # nobody asked for it


@pytest.mark.parametrize("path", [PAGE, f"{PAGE}list"])
def test_it_never_shows_a_secret(page, link, registered, path):
    shown = page(path)

    assert registered.link_secret not in shown
    assert link.secret not in shown
    assert link.secret_hash not in shown


def test_it_says_why_a_machine_is_offline_and_since_when(page, link):
    Link.objects.update(cause="asleep", seen_at=timezone.now() - timedelta(hours=3, minutes=5))
    shown = page()

    assert "offline · asleep" in shown
    assert "It stopped answering" in shown
    assert "3\xa0hours ago" in shown


@pytest.mark.parametrize(("behind", "is_told"), [(1, True), (0, False)])
def test_it_says_when_a_machine_s_program_is_older_than_the_server(page, link, behind, is_told):
    online(link)
    Link.objects.update(protocol_version=version.CURRENT - behind)

    assert ("Its deco_link is older than this server" in page()) is is_told


@pytest.mark.parametrize(
    ("ahead", "words"),
    [
        (40, "Its clock is 40 seconds ahead of the server&#x27;s."),
        (-150, "Its clock is 2 minutes behind the server&#x27;s."),
        (7200, "2 hours ahead"),
        (-400 * 86_400, "400 days behind"),
        (0, None),
    ],
)
def test_it_says_when_a_machine_s_clock_is_off(page, link, ahead, words):
    online(link)
    Link.objects.update(clock_ahead=ahead)

    assert ("Its clock is" in page()) is (words is not None)
    assert (words or "") in page()


def test_the_clock_of_a_machine_that_is_away_is_not_judged(page, link):
    Link.objects.update(clock_ahead=40)

    assert "Its clock is" not in page()


def test_without_a_machine_it_says_how_to_link_one(page):
    shown = page()

    assert "No machine is linked yet" in shown
    assert "http://testserver/dist/mesh_link-" in shown


def test_a_machine_that_was_signed_out_has_nothing_left_to_sign_out(page, link):
    services.revoke(link=link)
    shown = page()

    assert "offline · signed out" in shown
    assert "sign-out" not in shown


def test_signing_one_out_puts_it_out(client, ada, link):
    client.force_login(ada)
    answer = client.post(f"{PAGE}{link.pk}/sign-out", follow=True)

    assert "was signed out" in answer.content.decode()
    link.refresh_from_db()
    assert (link.cause, link.revoked_at is not None) == ("signed_out", True)


def test_a_check_of_one_that_is_away_says_so(client, ada, link):
    client.force_login(ada)
    answer = client.post(f"{PAGE}{link.pk}/check", follow=True)

    assert "did not answer" in answer.content.decode()


@pytest.mark.parametrize("action", ["check", "sign-out"])
def test_a_strangers_machine_does_not_exist(client, eve, link, action):
    client.force_login(eve)

    assert client.post(f"{PAGE}{link.pk}/{action}").status_code == 404
    assert client.post(f"{PAGE}{uuid4()}/{action}").status_code == 404
    assert "mbp" not in client.get(PAGE).content.decode()
    link.refresh_from_db()
    assert link.revoked_at is None


@pytest.mark.parametrize("path", ["", "list", "{link}/check", "{link}/sign-out"])
def test_nobody_is_asked_to_sign_in(client, link, path):
    ask = client.post if "link" in path else client.get
    answer = ask(PAGE + path.format(link=link.pk))

    assert answer.status_code == 302
    assert answer.headers["Location"].startswith("/accounts/login/")


@pytest.mark.parametrize("action", ["check", "sign-out"])
def test_looking_changes_nothing(client, ada, link, action):
    client.force_login(ada)

    assert client.get(f"{PAGE}{link.pk}/{action}").status_code == 405


def test_a_forged_post_is_refused(ada, link):
    from django.test import Client

    strict = Client(enforce_csrf_checks=True)
    strict.force_login(ada)

    assert strict.post(f"{PAGE}{link.pk}/sign-out").status_code == 403
    link.refresh_from_db()
    assert link.revoked_at is None


def test_many_machines_cost_no_more_queries_than_one(
    client, ada, link, django_assert_max_num_queries
):
    client.force_login(ada)
    for number in range(20):
        Link.objects.create(
            user=ada, machine_id=f"x{number}", cli_version="1", protocol_version=1, secret="x"
        )

    with django_assert_max_num_queries(6):
        client.get(PAGE)
