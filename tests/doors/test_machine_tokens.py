"""The token that lies on a machine, in an agent's hands: it does that machine's work alone."""

import json

import pytest

from tests.doors.front import LinkedLaptop
from tests.waiting import until

OTHER = json.dumps(
    {"machineId": "m-other", "cliVersion": "1", "protocolVersion": 1, "capabilities": ["codex"]}
).encode()
JSON = {"Content-Type": "application/json"}


@pytest.fixture
def token(front):
    """What an agent finds in the files of the machine that it works on."""
    places = [front.laptop_home / "link" / "token", front.laptop_home / "token"]
    return next(path.read_text().strip() for path in places if path.exists())


@pytest.fixture
def second(front, tmp_path):
    """Another machine of Ada's, with a token of its own, online."""
    token = front.manage("mesh_token", front.ada.name, "--machine", "second")
    laptop = LinkedLaptop(tmp_path / "second", server=front.client_url, token=token)
    try:
        link = until(lambda: online_other(front), within=60, what="the second machine")
        yield link, token, laptop
    finally:
        laptop.close()


def online_other(front):
    first = (front.laptop_home / "machine-id").read_text().strip()
    others = [one for one in front.links() if one["machineId"] != first]
    return next((one for one in others if one["state"] == "online"), None)


def bearer(token):
    return {"Authorization": f"Bearer {token}"}


def test_it_reads_no_thread_and_answers_no_question(front, token):
    thread = f"/api/home/decopilot/threads/{front.thread}"
    for method, path in [
        ("GET", "/api/home/decopilot/threads"),
        ("GET", thread),
        ("GET", f"{thread}/stream"),
        ("GET", f"{thread}/sandbox/events"),
        ("POST", f"{thread}/approvals"),
        ("PUT", f"{thread}/level"),
        ("GET", "/api/home/vm/default/main/config"),
        ("GET", "/api/tokens"),
    ]:
        answer = front.rude().request(method, path, bearer(token) | JSON, b"{}")
        assert (answer.status, answer.code) == (403, "forbidden"), path


def test_it_registers_no_other_machine_and_sees_only_its_own(front, token):
    answer = front.rude().request("POST", "/api/links", bearer(token) | JSON, OTHER)
    assert (answer.status, answer.code) == (403, "wrong_machine")

    shown = front.rude().request("GET", "/api/links", bearer(token)).json()["links"]
    this_machine = (front.laptop_home / "machine-id").read_text().strip()
    assert [one["machineId"] for one in shown] == [this_machine]


def test_signing_a_machine_out_ends_token_and_tunnel(front, second):
    link, token, laptop = second
    out = front.rude().request("DELETE", f"/api/links/{link['id']}", front.ada.bearer)
    assert out.status == 204

    assert front.rude().request("GET", "/api/links/me", bearer(token)).status == 401
    until(lambda: is_turned_away(laptop), what="the link program to be turned away")
    assert front.links()  # the first one stays


def state_of(front, link):
    found = next(one for one in front.links() if one["id"] == link["id"])
    return found["cause"]


def is_turned_away(laptop):
    """Say whether its tunnel was closed, and its token refused when it dialled in again."""
    return "HTTP 401" in (laptop.home / "link" / "log").read_text()


def test_a_token_is_revoked_and_its_machine_is_cut_off(front, second):
    link, token, laptop = second
    listed = front.rude().request("GET", "/api/tokens", front.ada.bearer).json()["tokens"]
    (found,) = [one for one in listed if one["machineId"] == link["machineId"]]
    assert found["lastUsedAt"]
    assert token not in json.dumps(listed)

    gone = front.rude().request("DELETE", f"/api/tokens/{found['id']}", front.ada.bearer)

    assert gone.status == 204
    until(lambda: is_turned_away(laptop), what="the link program to be turned away")
    assert state_of(front, link) == "signed_out"
    assert front.rude().request("GET", "/api/links/me", bearer(token)).status == 401
