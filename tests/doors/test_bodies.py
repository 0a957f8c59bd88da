"""What a stranger sends is not read, far less parsed, and leaves no memory taken."""

import json
from pathlib import Path

import pytest

JSON = {"Content-Type": "application/json"}
# As JSON of nothing but empty lists it would have become thirty times its size.
LARGE = b'{"harnesses":[' + b"[]," * (9_900_000 // 3) + b"[]]}"
PATHS = [
    ("POST", "/api/links/heartbeat"),
    ("POST", "/api/links"),
    ("DELETE", "/api/links/me"),
    ("POST", "/identity/o/api/device/code"),
    ("POST", "/identity/o/api/token"),
    ("POST", "/accounts/login/"),
    ("POST", "/admin/login/"),
    ("POST", "/api/home/decopilot/threads"),
    ("POST", "/api/home/decopilot/threads/0a27b7d6-a472-0401-a1c9-d91d967e7cfd/mcp/x"),
]
PROOFLESS = {"X-Mesh-User-Sub": "1", "X-Link-Secret": "x", "Authorization": "Bearer mesh_x"}


def announced(front, method, path, length, headers=()):
    """Announce a body and send nothing of it; the answer comes at once, or never."""
    given = {**JSON, **dict(headers), "Content-Length": str(length)}
    return front.rude().request(method, path, given)


@pytest.mark.parametrize(("method", "path"), PATHS, ids=[path for _, path in PATHS])
def test_a_stranger_s_large_body_is_refused_before_it_comes(front, method, path):
    answer = announced(front, method, path, 65_537, PROOFLESS)

    assert (answer.status, answer.code) == (413, "body_too_large")


def test_a_client_that_sends_the_whole_body_first_reads_the_refusal(front):
    """And not a broken connection, or a proxy's 502."""
    # Caddy reads a quarter of a megabyte behind an answer, and then hangs up by itself.
    size = 100_000 if front.kind == "proxied" else 2_000_000
    answer = front.rude().request("POST", "/api/links/heartbeat", JSON | PROOFLESS, b"x" * size)

    assert (answer.status, answer.code) == (413, "body_too_large")


def test_a_body_without_a_length_is_read_no_further(front):
    pieces = b"10000\r\n" + b"x" * 65_536 + b"\r\n" + b"1\r\nx\r\n"
    chunked = {**JSON, "Transfer-Encoding": "chunked"}
    answer = front.rude().request("POST", "/api/links/heartbeat", chunked, pieces)

    assert answer.status == 413


def test_a_machine_s_api_takes_no_more_from_a_person(front):
    answer = announced(front, "POST", "/api/links", 65_537, front.ada.bearer)

    assert answer.status == 413


def test_a_signed_in_person_sends_a_long_message(front):
    body = json.dumps({"title": "x" * 70_000}).encode()
    answer = front.rude().request(
        "POST", "/api/home/decopilot/threads", front.ada.bearer | JSON, body
    )

    assert answer.status != 413


def test_heartbeats_of_ten_strangers_leave_no_memory_taken(front):
    before = resident(front)
    for _ in range(10):
        try:
            front.rude().request("POST", "/api/links/heartbeat", JSON | PROOFLESS, LARGE)
        except OSError:
            pass  # it was cut off while it sent

    assert resident(front) - before < 100_000  # kB; it was 2,500,000


def resident(front):
    """Return how much memory the server processes have, in kB."""
    processes = (
        [front.mesh.process] if front.kind == "embedded" else front.cluster.processes.values()
    )
    return sum(resident_of(process.pid) for process in processes)


def resident_of(pid):
    status = Path(f"/proc/{pid}/status").read_text().splitlines()
    return int(next(one for one in status if one.startswith("VmRSS")).split()[1])
