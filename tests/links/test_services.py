import json
from dataclasses import replace
from uuid import uuid4

import pytest

from links import selectors, services
from links.core.presence import Fact
from links.errors import BadProof, LinkUnknown, ProtocolTooOld
from links.models import Link
from links.services import presence_events
from links.wire.messages import MachineStatus, Registration
from links.wire.signing import fingerprint
from mesh import keys

M1 = Registration(
    machine_id="m1",
    cli_version="1.0.0",
    protocol_version=1,
    capabilities=("claude-code",),
    hostname="laptop",
)
READY = {"claude-code": {"state": "ready", "version": "2", "detail": ""}}


@pytest.fixture
def registered(ada):
    return services.register(user=ada, registration=M1)


@pytest.fixture
def changed(monkeypatch):
    """The links whose pages were notified."""
    notified = []
    monkeypatch.setattr(presence_events, "presence_changed", [notified.append])
    return notified


def claim(user, connection_id, machine_id="m1"):
    link = Link.objects.filter(machine_id=machine_id).order_by("created_at").first()
    return services.claim(
        user=user,
        machine_id=machine_id,
        secret_fingerprint=link.secret_hash if link else "",
        connection_id=connection_id,
    )


def presence(user):
    (view,) = selectors.list_links(viewer=user)
    return view.state, view.cause


# Registering


def test_the_kept_secret_is_the_one_that_was_told(registered):  # S2
    link = Link.objects.get()

    assert keys.unseal(link.secret) == registered.link_secret
    assert len(registered.link_secret) == 43


def test_no_secret_lies_open_in_the_table(registered):
    row = Link.objects.values().get()

    assert registered.link_secret not in json.dumps(row, default=str)


def test_the_same_machine_keeps_its_link_and_gets_a_new_secret(ada, registered):
    again = services.register(user=ada, registration=replace(M1, hostname="renamed"))

    assert again.link_id == registered.link_id
    assert again.link_secret != registered.link_secret
    assert Link.objects.get().hostname == "renamed"


def test_the_old_secret_is_dead_at_once(ada, registered):
    services.register(user=ada, registration=M1)

    with pytest.raises(BadProof):
        services.heartbeat(user_sub=registered.user_sub, secret=registered.link_secret)


def test_a_person_may_have_several_machines(ada, registered):  # S5, as design §11 has it
    services.register(user=ada, registration=replace(M1, machine_id="m2"))

    assert Link.objects.filter(user=ada).count() == 2


def test_one_machine_may_belong_to_two_people(ada, bob, registered):
    other = services.register(user=bob, registration=M1)

    assert other.link_id != registered.link_id


def test_an_old_program_is_told_how_to_upgrade(ada):  # S3
    with pytest.raises(ProtocolTooOld) as refused:
        services.register(
            user=ada, registration=replace(M1, protocol_version=0), install_hint="run this"
        )

    error = refused.value.body()["error"]
    assert (error["requiredVersion"], error["installHint"]) == (1, "run this")
    assert not Link.objects.exists()


@pytest.mark.parametrize(
    ("allowed", "url", "kept"),
    [
        (True, "http://localhost:5174", "http://localhost:5174"),
        (False, "http://localhost:5174", ""),
        (True, "http://localhost.evil.example", ""),
        (True, "http://evil.example/localhost", ""),
        (True, "file://localhost/etc/passwd", ""),
        (True, "http://[", ""),
        (True, "", ""),
    ],
)
def test_only_a_permitted_localhost_is_kept(ada, settings, allowed, url, kept):
    settings.MESH_ALLOW_LOCALHOST_LINKS = allowed

    services.register(user=ada, registration=replace(M1, tunnel_url=url))

    assert Link.objects.get().tunnel_url == kept


# Owning the socket


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


def test_who_holds_an_old_secret_must_register_first(ada, registered):
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


def test_a_release_tells_the_cause(ada, registered):
    claim(ada, "c1")

    assert services.release(connection_id="c1", fact=Fact.BREAK) == "network"
    assert presence(ada) == ("offline", "network")


def test_what_the_person_said_stays_the_cause(ada, registered):
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


def test_a_status_is_kept_only_from_the_owner(ada, registered):
    claim(ada, "c1")
    claim(ada, "c2")
    services.change_status(connection_id="c1", status=MachineStatus(capabilities=(), harnesses={}))
    services.change_status(
        connection_id="c2",
        status=MachineStatus(capabilities=("claude-code",), harnesses=READY),
    )

    (view,) = selectors.list_links(viewer=ada)
    assert (view.capabilities, view.harnesses) == (("claude-code",), READY)


# Machines without a tunnel


def test_a_machine_that_knows_another_key_of_ours_registers_again(ada, registered, settings):
    """As after a change of the secret key: its sandboxes would refuse all that we sign."""
    known = registered.server_key
    facts = {"user": ada, "machine_id": "m1", "connection_id": "c1"}
    facts["secret_fingerprint"] = fingerprint(registered.link_secret)
    proof = {"user_sub": registered.user_sub, "secret": registered.link_secret}
    assert services.claim(**facts, server_key=known)
    services.heartbeat(**proof, server_key=known)

    settings.SECRET_KEY = "another" * 10

    with pytest.raises(LinkUnknown):
        services.claim(**facts, server_key=known)
    with pytest.raises(BadProof):
        services.heartbeat(**proof, server_key=known)


def test_a_heartbeat_brings_the_machine_online(ada, registered):  # S6
    services.heartbeat(user_sub=registered.user_sub, secret=registered.link_secret)

    assert presence(ada) == ("online", "")


@pytest.mark.parametrize("do", [services.heartbeat, services.stop])
@pytest.mark.parametrize(
    "proof",
    [
        pytest.param({"secret": "not-the-real-secret"}, id="S7 wrong secret"),
        pytest.param({"user_sub": "999"}, id="another person"),
        pytest.param({"user_sub": "ycoi"}, id="no such form of id"),
        pytest.param({"user_sub": "٣"}, id="other digits"),
        pytest.param({"user_sub": "9" * 30}, id="a wild number"),
    ],
)
def test_a_bad_proof(registered, do, proof):
    good = {"user_sub": registered.user_sub, "secret": registered.link_secret}

    with pytest.raises(BadProof):
        do(**{**good, **proof})


def test_after_a_stop_a_heartbeat_is_refused_and_a_second_stop_is_not(ada, registered):
    proof = {"user_sub": registered.user_sub, "secret": registered.link_secret}
    services.stop(**proof)
    services.stop(**proof)

    with pytest.raises(BadProof):
        services.heartbeat(**proof)
    assert presence(ada) == ("offline", "stopped")


def test_registering_again_after_a_stop_starts_afresh(ada, registered):
    services.stop(user_sub=registered.user_sub, secret=registered.link_secret)
    services.register(user=ada, registration=M1)

    assert claim(ada, "c1")
    assert presence(ada) == ("online", "")


# Telling


def test_every_change_rings_after_the_commit(
    ada, registered, changed, django_capture_on_commit_callbacks
):
    with django_capture_on_commit_callbacks() as callbacks:
        link_id = claim(ada, "c1").link_id
        services.change_status(connection_id="c1", status=MachineStatus.parse({}))
        services.release(connection_id="c1", fact=Fact.BREAK)
    assert changed == []

    for callback in callbacks:
        callback()
    assert changed == [link_id] * 3


def test_a_bell_that_breaks_changes_nothing(
    ada, registered, monkeypatch, django_capture_on_commit_callbacks
):
    def broken(link_id):
        raise RuntimeError

    monkeypatch.setattr(presence_events, "presence_changed", [broken])
    with django_capture_on_commit_callbacks(execute=True):
        claim(ada, "c1")

    assert presence(ada) == ("online", "")


# Reading


def test_the_machine_seen_last_is_the_online_one(ada, registered):
    services.register(user=ada, registration=replace(M1, machine_id="m2", hostname="newer"))
    claim(ada, "c1", "m1")
    claim(ada, "c2", "m2")

    assert selectors.find_online_link(viewer=ada).name == "newer"
    assert [view.name for view in selectors.list_links(viewer=ada)] == ["newer", "laptop"]


def test_online_machines_come_first(ada, registered):
    services.register(user=ada, registration=replace(M1, machine_id="m2", hostname="newer"))
    claim(ada, "c1", "m1")
    claim(ada, "c2", "m2")
    services.release(connection_id="c2", fact=Fact.BREAK)

    assert [view.name for view in selectors.list_links(viewer=ada)] == ["laptop", "newer"]


def test_a_stranger_sees_nothing(ada, eve, registered):
    link_id = claim(ada, "c1").link_id

    assert selectors.list_links(viewer=eve) == []
    assert selectors.find_link(viewer=eve, link_id=link_id) is None
    assert selectors.find_online_link(viewer=eve) is None


def test_the_owner_is_found_for_the_bell(ada, registered):
    link_id = Link.objects.get().pk

    assert selectors.find_owner(link_id=link_id) == ada.pk
    assert selectors.find_owner(link_id=uuid4()) is None
