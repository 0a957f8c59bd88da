"""Deadlines, former processes, and what a machine's last silence teaches: with real rows."""

from datetime import timedelta

import pytest
from django.utils import timezone

from links import selectors, services
from links.core.ownership import Close, Hold
from links.core.presence import Fact
from links.models import Link
from links.services import presence_events
from links.wire.messages import Registration

M1 = Registration(machine_id="m1", cli_version="1", protocol_version=1, capabilities=("codex",))
PAST = timedelta(seconds=-1)


@pytest.fixture
def link(ada):
    services.register(user=ada, registration=M1)
    return Link.objects.get()


@pytest.fixture
def notified(monkeypatch):
    notified = []
    monkeypatch.setattr(presence_events, "presence_changed", [notified.append])
    return notified


def connect(link, connection_id="c1", slept=None):
    link.refresh_from_db()
    return services.claim(
        user=link.user,
        machine_id=link.machine_id,
        secret_fingerprint=link.secret_hash,
        connection_id=connection_id,
        slept=slept,
    )


def presence(link):
    view = selectors.find_link(viewer=link.user, link_id=link.pk)
    return view.state, view.cause


def overdue(link):
    Link.objects.filter(pk=link.pk).update(offline_after=timezone.now() + PAST)


def test_a_deadline_that_passed_is_kept_with_its_cause(link):
    services.heartbeat(user_sub=str(link.user_id), secret=secret_of(link))
    overdue(link)

    assert services.expire() == 1

    link.refresh_from_db()
    assert (link.offline_after, link.cause) == (None, "asleep")


def secret_of(link):
    from mesh import keys

    return keys.unseal(Link.objects.get(pk=link.pk).secret)


def test_a_socket_whose_holder_is_gone_names_the_server(link):
    connect(link)
    overdue(link)

    services.expire()

    assert presence(link) == ("offline", "server_restarted")
    assert not Link.objects.exclude(connection_id="").exists()


def test_twice_is_as_good_as_once(link, notified, django_capture_on_commit_callbacks):
    connect(link)
    overdue(link)

    with django_capture_on_commit_callbacks(execute=True):
        assert [services.expire(), services.expire()] == [1, 0]
    assert notified == [link.pk]


def test_a_deadline_ahead_is_left_alone(link):
    connect(link)

    assert services.expire() == 0
    assert presence(link) == ("online", "")


def test_a_deadline_that_moves_at_the_last_moment_counts(link, monkeypatch):
    connect(link)
    overdue(link)
    from links.services import ownership

    real = ownership._mark_offline

    def heard_meanwhile(*args):
        services.keep_online(connection_ids={"c1"})
        return real(*args)

    monkeypatch.setattr(ownership, "_mark_offline", heard_meanwhile)

    assert services.expire() == 0
    assert presence(link) == ("online", "")


def test_a_machine_marked_offline_by_mistake_is_taken_back(link):
    claimed = connect(link)
    overdue(link)
    services.expire()

    assert services.judge_holds(holds=[Hold(link.pk, "c1", claimed.fingerprint)]) == {}
    assert presence(link) == ("online", "")
    assert services.keep_online(connection_ids={"c1"}) == set()


def test_a_start_clears_what_the_former_process_held(link, settings):
    connect(link)

    assert services.release_previous(before=timezone.now()) == 1
    assert presence(link) == ("offline", "server_restarted")


def test_a_start_leaves_the_sockets_of_others_alone(link, settings):
    settings.MESH_EMBEDDED = False
    connect(link)
    settings.MESH_NODE = "another"

    assert services.release_previous(before=timezone.now()) == 0
    assert presence(link) == ("online", "")


def test_a_start_leaves_alone_who_was_quicker_than_it(link):
    began = timezone.now()
    connect(link)

    assert services.release_previous(before=began) == 0


def test_the_next_silence_is_taken_for_what_the_last_one_was(link):
    connect(link)
    assert services.release(connection_id="c1", fact=Fact.SILENCE) == "asleep"

    connect(link, "c2", slept=False)
    assert services.release(connection_id="c2", fact=Fact.SILENCE) == "network"

    connect(link, "c3", slept=True)
    assert services.release(connection_id="c3", fact=Fact.SILENCE) == "asleep"


def test_coming_back_after_a_stop_teaches_nothing(link):
    connect(link)
    services.release(connection_id="c1", fact=Fact.GOODBYE)

    connect(link, "c2", slept=False)

    assert services.release(connection_id="c2", fact=Fact.SILENCE) == "asleep"


@pytest.mark.parametrize(
    ("put_out", "close", "cause"),
    [
        (services.revoke, Close(4403, "signed_out"), "signed_out"),
        (services.rotate, Close(4404, "secret_rotated"), "disconnected"),
        (services.disconnect, Close(1012, "disconnected"), "disconnected"),
    ],
)
def test_who_is_put_out_loses_its_socket(link, put_out, close, cause):
    claimed = connect(link)
    link.refresh_from_db()
    put_out(link=link)

    holds = [Hold(link.pk, "c1", claimed.fingerprint)]
    assert services.judge_holds(holds=holds) == {"c1": close}
    assert presence(link) == ("offline", cause)


def test_a_machine_that_was_removed_registers_again(link):
    claimed = connect(link)
    link.delete()

    closing = services.judge_holds(holds=[Hold(claimed.link_id, "c1", claimed.fingerprint)])

    assert closing == {"c1": Close(4404, "no_link")}


def test_putting_out_a_machine_that_is_offline_keeps_its_cause(link):
    connect(link)
    services.release(connection_id="c1", fact=Fact.GOODBYE)
    link.refresh_from_db()

    services.rotate(link=link)
    services.disconnect(link=link)

    assert presence(link) == ("offline", "stopped")
