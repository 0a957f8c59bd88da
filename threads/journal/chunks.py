"""The chunks that the server itself adds to a journal."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from uuid import UUID

from threads.core.decide import STEER
from threads.core.fold import RESTARTED
from threads.core.rules import in_words
from threads.core.run_errors import explain
from threads.models import Approval, ApprovalRule, Message, Run, Steer


def status_chunk(
    state: str,
    *,
    run_id: UUID,
    message_id: str,
    code: str = "",
    text: str = "",
    never_sent: bool = False,
    answered_by: UUID | None = None,
    instead: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """Return the chunk that tells readers of a run's new state; it answers ``message_id``.

    ``answered_by``: the run whose agent got the message instead. ``instead``: the tier that may
    answer, where the model of this one is not available.
    """
    data: dict[str, Any] = {"runId": str(run_id), "messageId": message_id, "state": state}
    if answered_by is not None:
        data["answeredBy"] = str(answered_by)
    if never_sent:
        data["neverSent"] = True
    if code:
        data["code"] = code
        title = instead["title"] if instead else ""
        data["message"], data["hint"] = explain(code, text, instead=title)
    if instead:
        data["instead"] = dict(instead)
    return {"type": "data-run-status", "data": data, "transient": True}


def restarted_chunks(attempt: int, *, run_id: UUID) -> list[dict[str, Any]]:
    """Return the chunks that discard what a run has sent so far: its attempt was lost.

    After the first the message starts again, for readers that read from there on.
    """
    start = {"type": "start", "messageId": str(run_id)}
    return [{"type": RESTARTED, "data": {"attempt": attempt}}, start]


def approval_chunk(approval: Approval, state: str) -> dict[str, Any]:
    """Return the chunk that tells readers the state of a tool's question.

    In the state ``asked`` it contains the question, which may say more than the tool call did,
    and the ``rule``, in words, that would allow it permanently; or ``because``, what in the
    person's own settings asks. In later states ``by`` says what answered: a person, a rule, or the
    level. ``withdrawn``: the agent took the question back, and no answer reaches it any more.
    """
    offered = approval.offers if state == "asked" else None
    rule = approval.rule.rule if approval.rule else offered
    is_automatic = approval.answered_at == approval.asked_at  # no person was asked
    by = "rule" if approval.rule else "level" if is_automatic else "person"
    return {
        "type": "data-approval",
        "id": approval.approval_id,
        "data": {
            "approvalId": approval.approval_id,
            "toolCallId": approval.tool_call_id,
            "state": state,
            "decision": approval.decision,
            "reason": approval.reason,
            **({"by": by} if approval.decision else {}),
            **({"rule": in_words(rule)} if rule else {}),
            **({"tool": approval.tool, "input": approval.input} if state == "asked" else {}),
            **({"because": approval.because} if approval.because else {}),
            **({"answers": approval.answers} if approval.answers else {}),
        },
    }


def carried_out_chunks(approval: Approval, *, thread_id: UUID) -> list[dict[str, Any]]:
    """Return the chunks that end a plan's call, and name the thread that carries it out."""
    call, words = approval.tool_call_id, "The plan is carried out in a chat of its own."
    done = {"type": "tool-output-available", "toolCallId": call, "output": words, "dynamic": True}
    return [done, {"type": "data-carried-out", "data": {"threadId": str(thread_id)}}]


def waiting_chunk(servers: Sequence[str]) -> dict[str, Any]:
    """Return the chunk that tells readers which MCP servers a run waits for; none: no longer."""
    return {"type": "data-waiting", "data": {"servers": list(servers)}, "transient": True}


def mcp_notice_chunk(server: str, text: str, *, source: str) -> dict[str, Any]:
    """Return the notice about an MCP server; an answer has one for each."""
    data = {"source": source, "code": "mcp_server", "text": text}
    return {"type": "data-notice", "id": f"mcp-{server}", "data": data}


def queue_chunk(message_ids: Sequence[str]) -> dict[str, Any]:
    """Return the chunk that tells readers the order in which the waiting messages go out."""
    return {"type": "data-queue", "data": {"order": list(message_ids)}, "transient": True}


def steer_chunk(steer: Steer) -> dict[str, Any]:
    """Return the chunk that shows a person's message in the middle of an answer."""
    return {"type": STEER, "id": str(steer.pk), "data": {"message": ui_message(steer.run.prompt)}}


def steering_chunk(run: Run, state: str) -> dict[str, Any]:
    """Return the chunk that tells readers the state of a steer: ``asked``, ``taken``, or
    ``refused`` when the message waits for its turn again."""
    data = {"runId": str(run.pk), "messageId": run.prompt.client_id, "state": state}
    return {"type": "data-steering", "data": data, "transient": True}


def rules_chunk(rules: Iterable[ApprovalRule]) -> dict[str, Any]:
    """Return the chunk that tells readers what is allowed permanently in a thread."""
    shown = [{"id": str(rule.pk), "words": str(rule)} for rule in rules]
    return {"type": "data-rules", "data": {"rules": shown}, "transient": True}


def title_chunk(title: str) -> dict[str, Any]:
    """Return the chunk that tells readers of a thread's new title."""
    return {"type": "data-thread-title", "data": {"title": title}, "transient": True}


def user_message_chunk(message: Message) -> dict[str, Any]:
    """Return the chunk that shows readers a person's message."""
    return {
        "type": "data-user-message",
        "id": message.client_id,
        "data": {"message": ui_message(message)},
        "transient": True,
    }


def ui_message(message: Message) -> dict[str, Any]:
    """Return a stored message in the AI SDK's form."""
    return {
        "id": message.client_id,
        "role": message.role,
        "parts": message.parts,
        "metadata": {"createdAt": message.created_at.isoformat(), **message.metadata},
    }
