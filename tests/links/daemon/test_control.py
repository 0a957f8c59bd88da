"""D-CP1–4, and the routes of the control plane, asked through an ASGI client."""

import asyncio
import os
import signal
import time
from pathlib import Path
from types import SimpleNamespace

import httpx
import pytest

from links.daemon.control import ControlPlane
from links.wire import signing
from mesh import children, processes
from sandboxes.daemon.frames import error_event, to_json
from tests.waiting import auntil

SECRET = "the link's secret"


class Secret:
    value = SECRET


@pytest.fixture
def secret():
    return Secret()


@pytest.fixture
def control(supervisor, secret, tmp_path):
    (tmp_path / "code").mkdir()
    return ControlPlane(
        secret=lambda: secret.value, supervisor=supervisor, allowed=[tmp_path / "code"]
    )


@pytest.fixture
async def ask(control):
    """Return ``ask(method, path, …)``: the answer to a signed request."""
    count = iter(range(10_000))
    transport = httpx.ASGITransport(control)
    async with httpx.AsyncClient(transport=transport, base_url="http://laptop") as client:

        async def send(
            method, path, *, key=SECRET, signed=True, headers=None, streamed=False, **what
        ):
            request = client.build_request(method, path, headers=headers, **what)
            if signed:
                request.headers.update(
                    signing.signed_headers(
                        key,
                        method=method,
                        target=request.url.raw_path.decode(),
                        body=None if streamed else request.read(),
                        now=time.time(),
                        nonce=f"n{next(count)}",
                    )
                )
            request.headers.update(headers or {})
            answer = await client.send(request)
            answer.signed = {
                name: value for name, value in request.headers.items() if "x-mesh" in name
            }
            return answer

        yield send


def code(answer):
    return answer.status_code, answer.json()["error"]["code"]


async def test_unsigned_is_refused(ask):  # D-CP1
    answer = await ask("POST", "/api/sandboxes", signed=False, json={"handle": "h"})

    assert code(answer) == (401, "unauthorized")
    assert answer.json()["error"]["reason"] == "missing_headers"


async def test_signed_by_another_is_refused(ask):  # D-AU2
    answer = await ask("POST", "/api/sandboxes", key="another", json={"handle": "h"})

    assert code(answer) == (401, "bad_signature")


async def test_signed_is_carried_out_once(ask):  # D-CP2, D-CP3
    first = await ask("POST", "/api/sandboxes", json={"handle": "h"})
    again = await ask(
        "POST", "/api/sandboxes", signed=False, headers=first.signed, json={"handle": "h"}
    )

    assert (first.status_code, first.json()) == (200, {"sandboxApiUrl": "/_sandbox/h"})
    assert code(again) == (401, "nonce_replay")


async def test_a_request_is_worth_nothing_at_a_sibling(ask):
    good = await ask("GET", "/_sandbox/one/x")
    replayed = await ask("GET", "/_sandbox/two/x", signed=False, headers=good.signed)

    assert code(replayed) == (401, "bad_signature")


async def test_a_bearer_does_not_make_up_for_a_bad_signature(ask):  # D-AU5
    await ask("POST", "/api/sandboxes", json={"handle": "h"})

    answer = await ask(
        "GET", "/_sandbox/h/x", key="another", headers={"Authorization": "Bearer token"}
    )

    assert code(answer) == (401, "bad_signature")


async def test_before_the_registration_nothing_is_accepted(ask, secret):
    secret.value = ""

    assert code(await ask("GET", "/api/sandboxes")) == (401, "unauthorized")


async def test_a_rotated_secret_counts_at_once(ask, secret):
    secret.value = "rotated"

    assert code(await ask("GET", "/api/sandboxes")) == (401, "bad_signature")
    assert (await ask("GET", "/api/sandboxes", key="rotated")).status_code == 200


@pytest.mark.parametrize(
    ("method", "path", "status", "expected"),
    [
        pytest.param("GET", "/nowhere", 404, "not_found", id="D-CP4"),
        pytest.param("PUT", "/api/sandboxes", 404, "not_found", id="another method"),
        pytest.param("GET", "/_sandbox/absent/x", 404, "unknown_handle", id="unknown handle"),
        pytest.param("GET", "/_sandbox/..%2Fx/y", 400, "bad_target", id="a path as handle"),
        pytest.param("GET", "/_sandbox//y", 400, "missing_handle", id="no handle"),
        pytest.param("GET", "/_sandbox/h", 400, "missing_handle", id="no route"),
        pytest.param("DELETE", "/api/sandboxes/", 400, "missing_handle", id="delete nothing"),
        pytest.param("DELETE", "/api/sandboxes/A", 400, "bad_handle", id="delete a bad handle"),
    ],
)
async def test_refused_addresses(ask, method, path, status, expected):
    assert code(await ask(method, path)) == (status, expected)


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        pytest.param(b"{", "invalid_json", id="broken"),
        pytest.param(b"[]", "invalid_json", id="a list"),
        pytest.param(b"\xff", "invalid_json", id="no text"),
        pytest.param(b"[" * 100_000, "invalid_json", id="deep"),
        pytest.param(b"{}", "missing_handle", id="no handle"),
        pytest.param(b'{"handle": ["h"]}', "missing_handle", id="a list as handle"),
        pytest.param(b'{"handle": "../h"}', "bad_handle", id="a path as handle"),
        pytest.param(b'{"handle": "h", "folder": "/etc"}', "folder_not_allowed", id="folder"),
    ],
)
async def test_refused_bodies(ask, body, expected):
    assert code(await ask("POST", "/api/sandboxes", content=body)) == (400, expected)


async def test_a_body_over_the_limit_is_refused_unread(ask, monkeypatch):
    monkeypatch.setattr(signing, "MAX_BODY", 10)

    assert code(await ask("POST", "/api/sandboxes", content=b"x" * 11)) == (413, "body_too_large")


async def test_an_allowed_folder_is_accepted(ask, tmp_path):
    body = {"handle": "h", "folder": str(tmp_path / "code")}

    assert (await ask("POST", "/api/sandboxes", json=body)).status_code == 200


async def test_deleting_is_repeatable(ask):
    await ask("POST", "/api/sandboxes", json={"handle": "h"})

    for _ in range(2):
        assert (await ask("DELETE", "/api/sandboxes/h")).status_code == 204
    assert (await ask("GET", "/api/sandboxes")).json() == {"sandboxes": []}
    assert code(await ask("GET", "/_sandbox/h/x")) == (502, "sandbox_down")


async def test_one_at_work_is_deleted_only_by_force(ask, fault):
    fault("busy")
    await ask("POST", "/api/sandboxes", json={"handle": "h"})

    assert code(await ask("DELETE", "/api/sandboxes/h")) == (409, "sandbox_busy")
    assert (await ask("DELETE", "/api/sandboxes/h?force=1")).status_code == 204


async def test_a_sandbox_forgets_what_was_said_in_it(ask, tmp_path):
    await ask("POST", "/api/sandboxes", json={"handle": "h"})
    journal = next(tmp_path.rglob("h")) / "journal.db"
    journal.write_bytes(b"words")

    assert (await ask("DELETE", "/api/sandboxes/h?journal=1")).status_code == 204
    assert not journal.exists()
    assert code(await ask("DELETE", "/api/sandboxes/x?journal=1")) == (404, "unknown_handle")


async def test_a_start_that_fails_shows_the_last_lines(ask, fault):
    fault("dies")
    answer = await ask("POST", "/api/sandboxes", json={"handle": "h"})

    assert code(answer) == (500, "sandbox_failed")
    assert "told to die" in answer.json()["error"]["logTail"]


async def test_a_caller_that_leaves_does_not_leave_half_a_sandbox(ask, supervisor):
    asking = asyncio.create_task(ask("POST", "/api/sandboxes", json={"handle": "h"}))
    while not supervisor.listing():
        await asyncio.sleep(0)
    asking.cancel()
    await asyncio.gather(asking, return_exceptions=True)

    assert (await ask("POST", "/api/sandboxes", json={"handle": "h"})).status_code == 200
    (row,) = supervisor.listing()
    assert row["state"] == "ready"


@pytest.fixture
def asked_ps(monkeypatch):
    """The programs that are started to look at a process, as on a system without /proc."""
    asked = []

    def ps(argv, **how):
        asked.append(argv)
        stat = children.stat_of(int(argv[-1]))
        return SimpleNamespace(stdout=f"{stat[0]} {stat[19]}\n" if stat else "")

    monkeypatch.setattr(processes, "HAS_PROC", False)
    monkeypatch.setattr(processes.subprocess, "run", ps)
    monkeypatch.delattr(os, "pidfd_open", raising=False)
    return asked


async def test_no_program_is_started_for_a_forwarded_request(ask, asked_ps, supervisor):
    await ask("POST", "/api/sandboxes", json={"handle": "h"})
    assert asked_ps  # this is how a process is looked at here
    asked_ps.clear()

    for number in range(20):
        assert (await ask("GET", f"/_sandbox/h/{number}")).status_code == 200
        assert (await ask("GET", "/api/sandboxes")).status_code == 200
        assert (await ask("GET", "/_sandbox/none/x")).status_code == 404

    assert asked_ps == []


async def test_one_that_has_died_is_looked_at_once(ask, asked_ps, supervisor):
    await ask("POST", "/api/sandboxes", json={"handle": "h"})
    sandbox = supervisor.find("h")
    os.kill(sandbox.pid, signal.SIGKILL)
    await auntil(lambda: not sandbox.is_alive)
    asked_ps.clear()

    answers = [code(await ask("GET", "/_sandbox/h/x")) for _ in range(20)]

    assert set(answers) == {(502, "sandbox_down")}
    assert len(asked_ps) <= 2
    assert (await ask("GET", "/api/sandboxes")).json() == {"sandboxes": []}


async def test_another_process_that_has_got_its_number_is_found_out(ask, asked_ps, supervisor):
    await ask("POST", "/api/sandboxes", json={"handle": "h"})
    sandbox = supervisor.find("h")
    Path(sandbox.pool.path).unlink()  # nobody listens any more
    sandbox.pool.close()
    sandbox.started = "another time"

    assert code(await ask("GET", "/_sandbox/h/x")) == (502, "sandbox_down")
    assert len(asked_ps) >= 1
    assert sandbox not in supervisor._sandboxes.values()


@pytest.mark.parametrize(
    ("event", "times"),
    [
        pytest.param(error_event("not_signed_in", "Sign in."), 1, id="not signed in"),
        pytest.param(error_event("cli_missing", "No such program."), 1, id="not there"),
        pytest.param(error_event("harness_crashed", "not_signed_in"), 0, id="another error"),
    ],
)
async def test_a_run_that_failed_for_want_of_a_sign_in_is_noticed(ask, control, event, times):
    noticed = []
    control._on_not_ready = lambda: noticed.append(True)
    await ask("POST", "/api/sandboxes", json={"handle": "h"})

    await ask("PUT", "/_sandbox/h/raw", content=to_json(event))

    assert len(noticed) == times


async def test_what_is_forwarded(ask):
    await ask("POST", "/api/sandboxes", json={"handle": "h"})

    answer = await ask("PUT", "/_sandbox/h/a%20b?x=%2F&y", content=b"hi", headers={"X-Some": "1"})

    seen = answer.json()
    assert (seen["method"], seen["path"], seen["query"]) == ("PUT", "/_sandbox/a b", "x=%2F&y")
    assert (seen["body"], seen["headers"]["x-some"]) == ("hi", "1")
    assert not [name for name in seen["headers"] if name.startswith("x-mesh")]


async def pieces():
    for _ in range(40):
        yield bytes(1024 * 1024)


async def test_a_body_of_any_length_goes_to_a_dev_server(ask):
    await ask("POST", "/api/sandboxes", json={"handle": "h"})
    size = str(40 * 1024 * 1024)  # more than is ever read whole

    answer = await ask(
        "PUT",
        "/_sandbox/h/preview/size",
        content=pieces(),
        headers={"content-length": size},
        streamed=True,
    )

    seen = answer.json()
    assert (str(seen["size"]), seen["headers"]["content-length"]) == (size, size)


@pytest.mark.parametrize(
    ("method", "path"),
    [("POST", "/api/sandboxes"), ("PUT", "/_sandbox/h/dispatch"), ("PUT", "/_sandbox/h/raw")],
)
async def test_and_to_nothing_else(ask, method, path):
    await ask("POST", "/api/sandboxes", json={"handle": "h"})

    answer = await ask(method, path, content=pieces(), streamed=True)

    assert code(answer) == (401, "bad_signature")


async def test_it_says_that_it_passes_them_on_where_a_server_asks(ask):
    await ask("POST", "/api/sandboxes", json={"handle": "h"})

    health, other = await ask("GET", "/_sandbox/h/health"), await ask("GET", "/_sandbox/h/x")

    assert health.headers["x-mesh-streams"] == "1"
    assert "x-mesh-streams" not in other.headers
