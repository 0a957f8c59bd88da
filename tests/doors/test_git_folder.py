"""What an agent writes into ``.git`` runs nothing of ours, and "Always" is what was shown."""

from __future__ import annotations

import json

import httpx
import pytest

from tests.running import events, say
from tests.waiting import until


def vm(front, thread, route):
    return f"/api/home/vm/default/thread:{thread}/{route}"


def run(front, command, **body):
    """Have the demo agent run ``command`` in a new thread; return the thread when it is done."""
    with front.client() as api:
        thread = api.post("/threads", json={}).json()["id"]
        given = {"harnessId": "demo", "toolApprovalLevel": "auto", **body}
        assert say(api, thread, f"run {command}", **given).status_code == 202
        until(
            lambda: api.get(f"/threads/{thread}").json()["status"] == "completed",
            within=60,
            what="the command's end",
        )
    return thread


def look_on(front, thread):
    """Follow the sandbox's events until it has looked at its branch; return what it found."""
    told, heard = "", 0
    url = f"{front.client_url}{vm(front, thread, 'events')}"
    with httpx.stream("GET", url, headers=front.ada.bearer, timeout=60, trust_env=False) as answer:
        assert answer.status_code == 200, answer.read()
        name = ""
        for line in answer.iter_lines():
            name = line.removeprefix("event: ") if line.startswith("event: ") else name
            if not line.startswith("data: "):
                continue
            heard += name == "lifecycle"
            if name == "branch":
                told = json.loads(line.removeprefix("data: "))["meta"]["kind"]
            if told == "ready" or heard == 2:  # the second one comes after 15 s
                return told
    return told


def test_looking_at_a_forged_git_folder_starts_no_program_of_it(front, tmp_path):
    trap, proof = tmp_path / "trap", tmp_path / "proof"
    trap.write_text(f"#!/bin/sh\ntouch {proof}\n")
    trap.chmod(0o755)
    thread = run(front, f"git init -q . && git config core.fsmonitor {trap}")

    assert look_on(front, thread) == "unknown"
    assert not proof.exists()


@pytest.mark.parametrize("path", [".git/config", ".GIT/config", "git~1/x", "a/.git /x", ".git"])
@pytest.mark.parametrize(
    ("route", "more"), [("write", {"content": "x"}), ("read", {}), ("glob", {"pattern": "**"})]
)
def test_no_route_goes_into_it(front, route, more, path):
    body = json.dumps({"path": path, **more}).encode()
    headers = front.ada.bearer | {"Content-Type": "application/json"}

    answer = front.rude().request("POST", vm(front, front.thread, route), headers, body)

    assert (answer.status, answer.code) == (403, "git_folder")


def test_the_card_gets_the_whole_request_and_the_folder_of_a_rule(front):
    with front.client() as api:
        thread = api.post("/threads", json={}).json()["id"]
        say(api, thread, "run echo hello", harnessId="demo", toolApprovalLevel="readonly")
        seen = (chunk for _, chunk in events(api, thread))
        asked = next(chunk["data"] for chunk in seen if chunk["type"] == "data-approval")
        api.post(f"/threads/{thread}/approvals/{asked['approvalId']}", json={"decision": "deny"})

    assert asked["input"]["command"] == "echo hello"
    assert "in the working folder" in asked["rule"]
