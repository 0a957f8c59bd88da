from datetime import timedelta

import pytest
from django.utils import timezone

from links import selectors, services
from links.core.ownership import Close, Hold
from links.core.presence import Fact
from links.errors import LinkUnknown
from links.models import Link
from links.services import ownership
from links.wire.messages import MachineStatus
from links.wire.signing import fingerprint
from tests.links.services.machines import M1, claim, connect, presence

PAST = timedelta(seconds=-1)
READY = {"claude-code": {"state": "ready", "version": "2", "detail": ""}}


def test_a_claim_gives_the_secret_and_marks_the_machine_online(ada, registered):
    claimed = claim(ada, "c1")

    assert (str(claimed.link_id), claimed.secret) == (registered.link_id, registered.link_secret)
    assert presence(ada) == ("online", "")


def test_before_its_first_connection_a_machine_is_unknown(ada, registered):
    assert presence(ada) == ("unknown", "")


@pytest.mark.parametrize("machine_id", ["m2", ""])
def test_a_machine_that_never_registered_can_not_be_claimed(ada, registered, machine_id):
    with pytest.raises(LinkUnknown):
        claim(ada, "c1", machine_id)


def test_another_persons_machine_can_not_be_claimed(eve, registered):
    with pytest.raises(LinkUnknown):
        claim(eve, "c1")


def test_a_machine_with_an_old_secret_must_register_first(ada, registered):
    old = fingerprint(registered.link_secret)
    services.register(user=ada, registration=M1)

    with pytest.raises(LinkUnknown):
        services.claim(user=ada, machine_id="m1", secret_fingerprint=old, connection_id="c1")


def test_the_newest_claim_owns_the_machine(ada, registered):
    claim(ada, "c1")
    claim(ada, "c2")

    assert services.keep_online(connection_ids={"c1", "c2"}) == {"c1"}


def test_a_superseded_connection_releases_nothing(ada, registered):  # lessons §3, #3527
    claim(ada, "c1")
    claim(ada, "c2")

    assert services.release(connection_id="c1", fact=Fact.BREAK) == ""
    assert presence(ada) == ("online", "")


def test_a_release_returns_the_cause(ada, registered):
    claim(ada, "c1")

    assert services.release(connection_id="c1", fact=Fact.BREAK) == "network"
    assert presence(ada) == ("offline", "network")


def test_a_stop_by_the_person_stays_the_cause(ada, registered):
    claim(ada, "c1")
    services.stop(user_sub=registered.user_sub, secret=registered.link_secret)
    services.release(connection_id="c1", fact=Fact.BREAK)

    assert presence(ada) == ("offline", "stopped")


def test_deadlines_of_many_machines_move_together(ada, registered):
    claim(ada, "c1")
    Link.objects.update(offline_after=None)

    gone = {f"gone-{n}" for n in range(40_000)}  # more than SQLite takes parameters
    lost = services.keep_online(connection_ids={"c1", *gone})

    assert lost == gone
    assert presence(ada) == ("online", "")


def test_only_the_owner_changes_the_status(ada, registered):
    claim(ada, "c1")
    claim(ada, "c2")
    services.change_status(connection_id="c1", status=MachineStatus(capabilities=(), harnesses={}))
    services.change_status(
        connection_id="c2",
        status=MachineStatus(capabilities=("claude-code",), harnesses=READY),
    )

    (view,) = selectors.list_links(viewer=ada)
    assert (view.capabilities, view.harnesses) == (("claude-code",), READY)


# Deadlines, a restart, and the cause of the next silence


def overdue(link):
    Link.objects.filter(pk=link.pk).update(offline_after=timezone.now() + PAST)


def test_a_deadline_that_passed_is_stored_with_its_cause(link, registered):
    services.heartbeat(user_sub=str(link.user_id), secret=registered.link_secret)
    overdue(link)

    assert services.expire() == 1

    link.refresh_from_db()
    assert (link.offline_after, link.cause) == (None, "asleep")


def test_a_socket_whose_holder_is_gone_names_the_server(link):
    connect(link)
    overdue(link)

    services.expire()

    assert presence(link.user) == ("offline", "server_restarted")
    assert not Link.objects.exclude(connection_id="").exists()


def test_expiring_twice_changes_and_notifies_once(
    link, notified, django_capture_on_commit_callbacks
):
    connect(link)
    overdue(link)

    with django_capture_on_commit_callbacks(execute=True):
        assert [services.expire(), services.expire()] == [1, 0]
    assert notified == [link.pk]


def test_a_deadline_ahead_is_left_alone(link):
    connect(link)

    assert services.expire() == 0
    assert presence(link.user) == ("online", "")


def test_a_deadline_that_moves_at_the_last_moment_counts(link, monkeypatch):
    connect(link)
    overdue(link)
    real = ownership._mark_offline

    def heard_meanwhile(*args):
        services.keep_online(connection_ids={"c1"})
        return real(*args)

    monkeypatch.setattr(ownership, "_mark_offline", heard_meanwhile)

    assert services.expire() == 0
    assert presence(link.user) == ("online", "")


def test_a_machine_marked_offline_by_mistake_is_reclaimed(link):
    claimed = connect(link)
    overdue(link)
    services.expire()

    assert services.judge_holds(holds=[Hold(link.pk, "c1", claimed.fingerprint)]) == {}
    assert presence(link.user) == ("online", "")
    assert services.keep_online(connection_ids={"c1"}) == set()


def test_a_start_releases_what_the_previous_process_held(link, settings):
    connect(link)

    assert services.release_previous(before=timezone.now()) == 1
    assert presence(link.user) == ("offline", "server_restarted")


def test_a_start_leaves_the_sockets_of_others_alone(link, settings):
    settings.MESH_EMBEDDED = False
    connect(link)
    settings.MESH_NODE = "another"

    assert services.release_previous(before=timezone.now()) == 0
    assert presence(link.user) == ("online", "")


def test_a_start_leaves_a_machine_that_connected_since_alone(link):
    began = timezone.now()
    connect(link)

    assert services.release_previous(before=began) == 0


def test_the_next_silence_gets_the_cause_of_the_last_one(link):
    connect(link)
    assert services.release(connection_id="c1", fact=Fact.SILENCE) == "asleep"

    connect(link, "c2", slept=False)
    assert services.release(connection_id="c2", fact=Fact.SILENCE) == "network"

    connect(link, "c3", slept=True)
    assert services.release(connection_id="c3", fact=Fact.SILENCE) == "asleep"


def test_reconnecting_after_a_stop_records_no_silence(link):
    connect(link)
    services.release(connection_id="c1", fact=Fact.GOODBYE)

    connect(link, "c2", slept=False)

    assert services.release(connection_id="c2", fact=Fact.SILENCE) == "asleep"


def test_a_machine_that_was_removed_registers_again(link):
    claimed = connect(link)
    link.delete()

    closing = services.judge_holds(holds=[Hold(claimed.link_id, "c1", claimed.fingerprint)])

    assert closing == {"c1": Close(4404, "no_link")}
