"""Once a person has pressed Stop, no answer of anybody's lets the agent go on."""

from __future__ import annotations

import json

from tests.running import events, say
from tests.waiting import until


def asked(front, api, command):
    """Have the agent ask whether it may run ``command``; return the thread and the question."""
    thread = api.post("/threads", json={}).json()["id"]
    answer = say(api, thread, f"run {command}", harnessId="demo", toolApprovalLevel="readonly")
    assert answer.status_code == 202, answer.text
    seen = (chunk for _, chunk in events(api, thread))
    question = next(chunk for chunk in seen if chunk["type"] == "tool-approval-request")
    return thread, question["approvalId"]


def test_an_answer_right_after_the_stop_is_refused_and_runs_nothing(front, tmp_path):
    proof = tmp_path / "proof"
    with front.client() as api:
        thread, approval = asked(front, api, f"touch {proof}")
        path = f"/api/home/decopilot/threads/{thread}/approvals/{approval}"
        headers = front.ada.bearer | {"Content-Type": "application/json"}

        stopped = front.rude().request("POST", f"/api/home/decopilot/cancel/{thread}", headers)
        body = json.dumps({"decision": "allow"}).encode()
        answers = [front.rude().request("POST", path, headers, body) for _ in range(5)]

        assert stopped.status in (200, 202)
        assert {(answer.status, answer.code) for answer in answers} == {(409, "run_over")}
        until(
            lambda: api.get(f"/threads/{thread}").json()["status"] == "cancelled",
            what="the run's end",
        )
    assert not proof.exists()
