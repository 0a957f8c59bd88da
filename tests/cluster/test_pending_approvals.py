"""A question that waits while a server process or Redis is lost, before its answer and after."""

from __future__ import annotations

import pytest

from tests.waiting import until


def chunks(reader, kind):
    return [chunk for _, chunk in reader.seen if chunk["type"] == kind]


class Losses:
    """What may be lost, and how it comes back."""

    def __init__(self, chat):
        self.two = chat.two

    def lose(self, what):
        if what == "redis flushed":
            self.two.cluster.redis.flush()
        elif what == "redis killed":
            self.two.cluster.redis.kill()
        else:
            self.two.cluster.kill(what[-1])

    def mend(self, what):
        if what == "redis killed":
            self.two.cluster.redis.start()
        for name in ("A", "B"):
            self.two.start(name)


@pytest.mark.parametrize("decision", ["allow", "deny"])
@pytest.mark.parametrize("when", ["before the answer", "after the answer"])
@pytest.mark.parametrize("what", ["redis flushed", "redis killed", "process A", "process B"])
def test_the_tool_runs_once_after_allow_and_never_after_deny(chat, tmp_path, what, when, decision):
    """Said and answered at A; B holds the laptop's socket."""
    losses, proof = Losses(chat), tmp_path / "proof"
    with chat.reader("A", "B") as reader:
        chat.say(f"run echo once >> {proof}", toolApprovalLevel="readonly")
        [asked] = until(lambda: chunks(reader, "tool-approval-request"), what="the question")
        path = f"/threads/{chat.id}/approvals/{asked['approvalId']}"
        try:
            if when == "before the answer":
                losses.lose(what)
                if what == "process A":
                    losses.mend(what)
            assert chat.post(path, {"decision": decision}).status_code == 200
            if when == "after the answer":
                losses.lose(what)
            until(lambda: reader.is_done, within=60, what="the end")
        finally:
            losses.mend(what)

    assert (proof.read_text().count("once") if proof.exists() else 0) == (decision == "allow")
    states = [chunk["data"]["state"] for chunk in chunks(reader, "data-approval")]
    assert states[-1] == "applied"
    assert [seq for seq, _ in reader.seen] == list(range(1, len(reader.seen) + 1))
