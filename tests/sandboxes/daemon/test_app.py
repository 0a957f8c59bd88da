"""The routes and their refusals, over the real socket. One sandbox serves the whole file."""

from __future__ import annotations

import json
import socket
import time
from types import SimpleNamespace

import pytest

from links.wire.errors import CLOCK
from links.wire.server_signature import HEADER
from sandboxes.providers.signature import sign_request
from tests.sandboxes.daemon.sandbox import text_of, turn_input
from tests.waiting import PATIENCE

ROUTES = [
    ("POST", "/dispatch"),
    ("GET", "/runs"),
    ("DELETE", "/runs/r1"),
    ("GET", "/runs/r1/events?fence=1"),
    ("POST", "/runs/r1/ack"),
    ("POST", "/runs/r1/answers"),
    *(("POST", f"/{tool}") for tool in ("read", "write", "edit", "glob", "grep", "bash")),
    *(("POST", f"/{tool}") for tool in ("unlink", "mkdir", "rename")),
    ("GET", "/tasks"),
    ("GET", "/tasks/task1"),
    ("DELETE", "/tasks/task1"),
    ("GET", "/tasks/task1/stream"),
    ("POST", "/tasks/task1/kill"),
    ("POST", "/tasks/kill-all"),
    *(("GET", f"/{look}") for look in ("config", "scripts", "events", "git/status")),
    ("GET", "/git/diff"),
    ("PUT", "/config"),
    ("POST", "/config"),
    ("POST", "/setup/clone"),
    ("DELETE", "/setup"),
    ("POST", "/exec/dev"),
    ("POST", "/exec/dev/kill"),
    ("POST", "/git/discard"),
    ("POST", "/git/publish"),
    ("GET", "/preview/"),
    ("OPTIONS", "/config"),
    ("GET", "/no/such/route"),
]


@pytest.fixture
def sandbox(shared_sandbox):
    """Ids are as they are written: each test has its own."""
    return shared_sandbox.share("")


@pytest.mark.parametrize(("method", "path"), ROUTES)
@pytest.mark.parametrize(
    "header",
    [
        pytest.param("", id="none"),
        pytest.param(f"1.{'a' * 32}.{'b' * 127}", id="too short"),
        pytest.param(f"1.{'a' * 32}.{'B' * 128}", id="another spelling"),
        pytest.param("é", id="not ASCII"),
    ],
)
async def test_no_route_without_the_signature(sandbox, method, path, header):  # D-DS2, D-AU4
    headers = {HEADER: header.encode()}
    reply = await sandbox.client.request(method, path, headers=headers, auth=None)

    assert (reply.status_code, reply.json()["error"]["code"]) == (401, "not_signed_by_server")


FORGERIES = {
    "another body": {"content": b'{"decision": "deny"}'},
    "another path": {"url": "/runs/r2/answers"},
    "another query": {"url": "/runs/r1/answers?x=1"},
    "another method": {"method": "PUT"},
}


@pytest.mark.parametrize("forged", FORGERIES.values(), ids=FORGERIES)
async def test_a_signature_is_good_for_one_request_alone(sandbox, forged):
    asked = {"method": "POST", "url": "/runs/r1/answers", "content": b'{"decision": "allow"}'}
    signed = sign_request(sandbox.client.build_request(**asked), handle=sandbox.handle)
    headers = {HEADER: signed.headers[HEADER]}

    reply = await sandbox.client.request(**asked | forged, headers=headers, auth=None)

    assert (reply.status_code, reply.json()["error"]["code"]) == (401, "bad_server_signature")


async def test_a_signature_is_worth_nothing_at_another_sandbox(sandbox):
    request = sandbox.client.build_request("GET", "/runs")

    reply = await sandbox.client.send(sign_request(request, handle="another"), auth=None)

    assert reply.json()["error"]["code"] == "bad_server_signature"


async def test_a_request_is_taken_once(sandbox):
    request = sign_request(sandbox.client.build_request("GET", "/runs"), handle=sandbox.handle)

    first = await sandbox.client.send(request, auth=None)
    second = await sandbox.client.send(request, auth=None)

    assert (first.status_code, second.status_code) == (200, 401)
    assert second.json()["error"]["code"] == "nonce_replay"


async def test_an_old_request_is_refused(sandbox, monkeypatch):
    then = time.time() - 32
    monkeypatch.setattr("links.machine_clocks.time", SimpleNamespace(time=lambda: then))

    reply = await sandbox.get("/runs")

    assert reply.json()["error"]["code"] == "timestamp_drift"
    assert abs(int(reply.headers[CLOCK]) - time.time()) < PATIENCE  # its own time


async def test_a_body_that_is_too_large_is_refused_before_it_is_verified(sandbox):
    request = sandbox.client.build_request("POST", "/write", content=b"x" * (25 * 2**20 + 1))

    reply = await sandbox.client.send(sign_request(request, handle=sandbox.handle), auth=None)

    assert (reply.status_code, reply.json()["error"]["code"]) == (413, "body_too_large")


@pytest.mark.parametrize(
    "target",
    [
        pytest.param("/_sandbox/preview/../config", id="raw"),
        pytest.param("/_sandbox/preview/%2e%2e/config", id="encoded"),
        pytest.param("/_sandbox/preview/..%5cconfig", id="a backslash"),
        pytest.param("/x/../_sandbox/config", id="before its own"),
    ],
)
async def test_an_address_with_dot_segments_is_refused_after_the_signature(sandbox, target):
    asked = {"url": "/", "extensions": {"target": target.encode()}}
    signed, unsigned = [await sandbox.client.get(**asked, **how) for how in ({}, {"auth": None})]

    assert (signed.status_code, signed.json()["error"]["code"]) == (400, "bad_target")
    assert (unsigned.status_code, unsigned.json()["error"]["code"]) == (401, "not_signed_by_server")


async def test_nobody_else_s_page_may_ask(sandbox):  # D-SB1, but for R1: no CORS at all
    origin = {"origin": "https://evil.example", "access-control-request-method": "POST"}
    asked = await sandbox.client.options("/config", headers=origin)
    told = await sandbox.client.get("/config", headers=origin)

    assert asked.status_code == 405
    assert not [name for name in (*asked.headers, *told.headers) if "access-control" in name]


async def test_idle(sandbox):
    idle = (await sandbox.get("/idle")).json()

    assert idle["idle"] is True
    assert idle["idleSeconds"] >= 0


async def test_health(sandbox):
    health = (await sandbox.get("/health")).json()

    assert health["status"] == "ready"
    assert health["handle"] == "main-0123456789abcdef"
    assert health["bootId"] == sandbox.facts["bootId"]
    assert health["activeRuns"] == 0


GOOD = {"harnessId": "plain", "fence": 1, "input": turn_input("bad-run")}


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        pytest.param(b"{", 400, "bad_json", id="cut off"),
        pytest.param(b"\xff", 400, "bad_json", id="no UTF-8"),
        pytest.param(b"[" * 100_000, 400, "bad_json", id="very deep"),
        pytest.param(b"[]", 400, "bad_input", id="a list"),
        pytest.param(GOOD | {"harnessId": 7}, 400, "missing_harness_id", id="harness a number"),
        pytest.param(GOOD | {"harnessId": ""}, 400, "missing_harness_id", id="harness empty"),
        pytest.param({"input": {}}, 400, "missing_harness_id", id="harness before input"),
        pytest.param(GOOD | {"input": {}}, 400, "bad_input", id="input empty"),
        pytest.param(GOOD | {"input": None}, 400, "bad_input", id="no input"),
        pytest.param(GOOD | {"fence": 0}, 400, "bad_input", id="fence zero"),
        pytest.param(GOOD | {"fence": True}, 400, "bad_input", id="fence a boolean"),
        pytest.param(GOOD | {"fence": None}, 400, "bad_input", id="no fence"),
        pytest.param(GOOD | {"fence": 10**30}, 400, "bad_input", id="fence enormous"),
        pytest.param(GOOD | {"harnessId": "eliza"}, 400, "unknown_harness", id="unknown harness"),
    ],
)
async def test_dispatch_refuses(sandbox, body, status, code):  # D-DS2
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    reply = await sandbox.client.post("/dispatch", content=raw)

    error = reply.json()["error"]
    assert (reply.status_code, error["code"]) == (status, code)
    assert error["message"]
    assert error["hint"]
    assert "bad-run" not in (await sandbox.get("/runs")).text


async def test_a_tombstone_is_told_before_an_unknown_harness(sandbox):
    await sandbox.cancel("buried")
    body = GOOD | {"harnessId": "eliza", "input": turn_input("buried")}

    assert (await sandbox.post("/dispatch", body)).json()["error"]["code"] == "tombstoned"


async def test_a_body_over_the_limit_is_refused(sandbox):
    reply = await sandbox.client.post("/dispatch", content=b" " * (25 * 1024 * 1024 + 1))

    assert (reply.status_code, reply.json()["error"]["code"]) == (413, "body_too_large")


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/no/such/route", 404, "not_found"),
        ("DELETE", "/runs/", 404, "not_found"),  # D-DS3: no id
        ("DELETE", "/runs", 405, "method_not_allowed"),
        ("GET", "/dispatch", 405, "method_not_allowed"),
        ("GET", "/runs/never/events?fence=1", 404, "unknown_run"),
        ("GET", "/runs/never/events", 400, "bad_input"),
        ("GET", "/runs/never/events?fence=1&after=-1", 400, "bad_input"),
        ("GET", "/runs/never/events?fence=1&after=4294967296", 400, "bad_input"),
    ],
)
async def test_refusals(sandbox, method, path, status, code):
    reply = await sandbox.client.request(method, path)

    assert (reply.status_code, reply.json()["error"]["code"]) == (status, code)


async def test_cancelling_what_nobody_knows_is_fine(sandbox):  # S40
    assert (await sandbox.cancel("never-heard-of")).status_code == 204


async def test_the_stream_opens_before_the_first_event(sandbox):  # D-DS1: the prelude
    body = {"harnessId": "plain", "fence": 1, "input": turn_input("prelude", ["silence"])}
    async with sandbox.client.stream("POST", "/dispatch", json=body) as reply:
        first = await anext(reply.aiter_raw())

    await sandbox.cancel("prelude")
    assert first.startswith(b": dispatch accepted\n\n")
    assert reply.headers["content-type"] == "text/event-stream"
    assert reply.headers["cache-control"] == "no-store"


async def test_last_event_id_and_after_mean_the_same(sandbox):
    events = await sandbox.run("cursor", ["say", "hi"])
    by_query = await sandbox.get("/runs/cursor/events?fence=1&after=3")
    by_header = await sandbox.client.get(
        "/runs/cursor/events?fence=1", headers={"last-event-id": "3"}
    )

    assert by_query.content == by_header.content
    assert by_query.text.count("\nid: ") == len(events) - 3


async def test_runs_are_listed(sandbox):
    events = await sandbox.run("listed", ["say", "hi"])

    runs = (await sandbox.get("/runs")).json()["runs"]
    assert {"runId": "listed", "fence": 1, "lastN": len(events), "state": "done"} in runs


async def test_acknowledging(sandbox):
    await sandbox.run("acked", ["say", "hi"])
    good = await sandbox.post("/runs/acked/ack", {"fence": 1, "n": 2})
    unknown = await sandbox.post("/runs/never/ack", {"fence": 1, "n": 2})
    bad = await sandbox.post("/runs/acked/ack", {"fence": 1, "n": "many"})

    assert [r.status_code for r in (good, unknown, bad)] == [204, 204, 400]


@pytest.mark.parametrize(("decision", "reason"), [("allow", ""), ("deny", "not now")])
async def test_a_question_is_asked_answered_and_applied(sandbox, decision, reason):
    run_id = f"asks-{decision}"
    answers = f"/runs/{run_id}/answers"
    given = {"fence": 1, "approvalId": "really?", "decision": decision, "reason": reason}
    async with sandbox.dispatch(run_id, ["ask", "really?"]) as events:
        seen = [await anext(events) for _ in range(3)]
        replies = [await sandbox.post(answers, given)]
        seen += [event async for event in events]
    replies += [await sandbox.post(answers, given)]

    assert seen[2][1]["approval"] == {
        "approvalId": "really?",
        "toolCallId": "c",
        "tool": "shell",
        "input": {"command": "true"},
    }
    applied = {"type": "approval-applied", "approvalId": "really?", "decision": decision}
    assert applied in [body for _, body in seen]
    assert text_of(seen) == f"really?: {decision} {reason}".strip()
    assert replies[0].status_code == 204


async def test_an_answer_that_the_adapter_fails_on_ends_the_run(sandbox):
    async with sandbox.dispatch("confused", ["ask", "a"], harness="confused") as events:
        seen = [await anext(events) for _ in range(3)]
        reply = await sandbox.answer("confused", approvalId="a", decision="allow")
        seen += [event async for event in events]

    assert reply.json()["error"]["code"] == "harness_crashed"
    assert [b["code"] for _, b in seen if b["type"] == "error"] == ["harness_crashed"]


async def test_an_answer_is_given_once(sandbox):
    answers = "/runs/once/answers"
    allow = {"fence": 1, "approvalId": "a", "decision": "allow"}
    async with sandbox.dispatch("once", ["ask", "a"], ["until_told"]) as events:
        for _ in range(3):
            await anext(events)
        again = [(await sandbox.post(answers, allow)).status_code for _ in range(2)]
        other = await sandbox.post(answers, allow | {"decision": "deny"})
        unknown = await sandbox.post(answers, allow | {"approvalId": "b"})
        another = await sandbox.post(answers, allow | {"fence": 2})
        await sandbox.cancel("once")
        rest = [event async for event in events]

    assert again == [204, 204]
    assert (other.status_code, other.json()["error"]["code"]) == (409, "already_answered")
    for reply in (unknown, another):
        assert (reply.status_code, reply.json()["error"]["code"]) == (404, "unknown_approval")
    assert text_of(rest) == "a: allow"


async def test_an_answer_that_comes_after_the_stop_is_not_given(sandbox):
    async with sandbox.dispatch("stopped", ["ask", "a"], ["until_told"]) as events:
        for _ in range(3):
            await anext(events)
        await sandbox.cancel("stopped")
        answer = {"approvalId": "a", "decision": "allow", "fence": 1}
        late = await sandbox.post("/runs/stopped/answers", answer)
        rest = [event async for event in events]

    assert (late.status_code, late.json()["error"]["code"]) == (404, "unknown_approval")
    assert "approval-applied" not in [body["type"] for _, body in rest]


@pytest.mark.parametrize(
    ("run_id", "body", "status", "code"),
    [
        ("never", {"approvalId": "a", "decision": "allow"}, 404, "unknown_run"),
        ("over", {"approvalId": "a", "decision": "allow"}, 404, "unknown_approval"),
        ("over", {"approvalId": "a", "decision": "maybe"}, 400, "bad_input"),
        ("over", {"approvalId": "a", "decision": "deny", "reason": 7}, 400, "bad_input"),
        ("over", {"approvalId": "a", "decision": "allow", "answers": [1]}, 400, "bad_input"),
        ("over", {"approvalId": "a", "decision": "allow", "fence": None}, 400, "bad_input"),
    ],
)
async def test_answers_that_are_refused(sandbox, run_id, body, status, code):
    await sandbox.run("over", ["say", "hi"])
    reply = await sandbox.post(f"/runs/{run_id}/answers", {"fence": 1} | body)

    assert (reply.status_code, reply.json()["error"]["code"]) == (status, code)


async def test_nonsense_on_the_socket_harms_nobody(sandbox):
    with socket.socket(socket.AF_UNIX) as raw:
        raw.connect(sandbox.facts["socket"])
        raw.sendall(b"\x00\xffnot http\r\n\r\n")
        raw.recv(1000)

    assert (await sandbox.get("/health")).status_code == 200


async def test_the_socket_is_the_owner_s_alone(sandbox):
    path = sandbox.root / "sandbox.sock"

    assert path.stat().st_mode & 0o077 == 0
    assert sandbox.root.stat().st_mode & 0o077 == 0


async def test_nothing_that_opens_it_lies_in_its_folder(sandbox):
    assert "token" not in {path.name for path in sandbox.root.iterdir()}
