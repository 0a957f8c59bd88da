import json
from dataclasses import replace

import pytest

from links import services
from links.errors import BadProof, LinkUnknown, MachineInUse, ProtocolTooOld
from links.models import Link
from links.wire.signing import fingerprint
from mesh import keys
from tests.links.services.machines import M1, claim, presence


def test_the_stored_secret_is_the_one_that_was_returned(registered):  # S2
    link = Link.objects.get()

    assert keys.unseal(link.secret) == registered.link_secret
    assert len(registered.link_secret) == 43


def test_the_table_holds_no_plain_secret(registered):
    row = Link.objects.values().get()

    assert registered.link_secret not in json.dumps(row, default=str)


def test_the_same_machine_keeps_its_link_and_gets_a_new_secret(ada, registered):
    again = services.register(user=ada, registration=replace(M1, hostname="renamed"))

    assert again.link_id == registered.link_id
    assert again.link_secret != registered.link_secret
    assert Link.objects.get().hostname == "renamed"


def test_the_old_secret_is_invalid_immediately(ada, registered):
    services.register(user=ada, registration=M1)

    with pytest.raises(BadProof):
        services.heartbeat(user_sub=registered.user_sub, secret=registered.link_secret)


FIRST, COPY = replace(M1, installation="first"), replace(M1, installation="copy")


def online(registered):
    services.heartbeat(user_sub=registered.user_sub, secret=registered.link_secret)


def test_a_copy_of_the_machine_s_files_is_refused_while_it_is_online(ada):
    first = services.register(user=ada, registration=FIRST)
    online(first)

    with pytest.raises(MachineInUse):
        services.register(user=ada, registration=replace(COPY, hostname="copy"))

    assert Link.objects.get().hostname == "laptop"
    online(first)  # with its secret, which is still the link's


def test_the_machine_itself_is_not_refused(ada):
    online(services.register(user=ada, registration=FIRST))

    services.register(user=ada, registration=FIRST)


def test_once_the_machine_is_offline_a_copy_may_be_it(ada):
    first = services.register(user=ada, registration=FIRST)
    services.stop(user_sub=first.user_sub, secret=first.link_secret)

    services.register(user=ada, registration=COPY)
    assert Link.objects.get().installation == "copy"


@pytest.mark.parametrize(("first", "second"), [(M1, COPY), (FIRST, M1)])
def test_a_program_that_tells_no_installation_is_not_refused(ada, first, second):
    online(services.register(user=ada, registration=first))

    services.register(user=ada, registration=second)


def test_a_person_may_have_several_machines(ada, registered):  # S5, as design §11 has it
    services.register(user=ada, registration=replace(M1, machine_id="m2"))

    assert Link.objects.filter(user=ada).count() == 2


def test_one_machine_may_belong_to_two_people(ada, bob, registered):
    other = services.register(user=bob, registration=M1)

    assert other.link_id != registered.link_id


def test_an_old_program_gets_the_upgrade_command(ada):  # S3
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
