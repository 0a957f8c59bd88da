"""What Codex asks before it acts: read into a question, and answered in its words."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from agents.harness.base import AUTO, PLAN, TurnInput
from agents.harness.codex.items import Items, command_input
from agents.harness.lines import list_of, object_of, text_of
from agents.harness.questions import QUESTION, Answers
from agents.harness.rpc import RequestId

COMMAND = "item/commandExecution/requestApproval"
CHANGE = "item/fileChange/requestApproval"
ELICITATION = "mcpServer/elicitation/request"
PERMISSIONS = "item/permissions/requestApproval"
FORM = "item/tool/requestUserInput"

# What a yes may allow beside the command, or the change, itself; in the words of the card.
_OF_A_COMMAND = {
    "networkApprovalContext": "network",
    "additionalPermissions": "permissions",
    "skillMetadata": "skill",
}
_OF_A_CHANGE = {"grantRoot": "grantRoot"}

SKIPPED = "The person did not answer. Go on with what seems best, or ask in your reply."


@dataclass(frozen=True, slots=True)
class Question:
    """A request of the program that a person's answer decides."""

    request_id: RequestId
    method: str
    call: str  # "" when it belongs to no call that is shown
    tool: str
    input: Any
    asked: dict[str, Any]


def read(
    method: str, request_id: RequestId, params: dict[str, Any], items: Items
) -> Question | None:
    """Return the question in a request; ``None`` when it is none for a person."""
    call, tool, asked = text_of(params, "itemId"), "", params
    known = items.find(call)
    value: Any = known.input if known else None
    if method == COMMAND:
        tool = known.tool if known else "Bash"
        value = _command(params, value, items.folder)
    elif method == CHANGE:  # it names the item alone: what changes was in the item
        tool, value = "Edit", _beside(value or {}, params, _OF_A_CHANGE)
    elif method == PERMISSIONS:
        call, tool, asked = "", "Permissions", object_of(params, "permissions")
        value = {"permissions": asked}
    elif method == FORM:
        tool, value = QUESTION, {"questions": [_form(q) for q in list_of(params, "questions")]}
    elif method == ELICITATION:
        about = object_of(params, "_meta")
        if text_of(about, "codex_approval_kind") != "mcp_tool_call":
            return None
        server, name = text_of(params, "serverName"), text_of(about, "tool_name")
        call, tool = items.find_mcp(server, name), f"mcp__{server}__{name}"
        value = object_of(about, "tool_params")
    else:
        return None
    if reason := text_of(params, "reason"):
        value = {**value, "reason": reason} if isinstance(value, dict) else value
    return Question(request_id, method, call, tool, value, asked)


def _command(params: dict[str, Any], known: Any, folder: str) -> Any:
    """Return what is asked for: the request goes before what the item said of the command."""
    said = command_input(params, folder)
    value = dict(known) if isinstance(known, dict) else {}
    if said["command"] or not value:
        value |= said
    elif "cwd" in said:
        value["cwd"] = said["cwd"]
    return _beside(value, params, _OF_A_COMMAND)


def _beside(value: Any, params: dict[str, Any], names: dict[str, str]) -> Any:
    """Return ``value`` with what else is allowed by a yes: a person must see all of it."""
    more = {ours: params[theirs] for theirs, ours in names.items() if params.get(theirs)}
    return {**value, **more} if isinstance(value, dict) else value


def _form(question: dict[str, Any]) -> dict[str, Any]:
    """Return one question of the model as every harness asks it."""
    options = [
        {"label": text_of(option, "label"), "description": text_of(option, "description")}
        for option in list_of(question, "options")
    ]
    texts = {key: text_of(question, key) for key in ("question", "header")}
    return {**texts, "options": options, "multiSelect": False}


def decide(question: Question, turn: TurnInput) -> Literal["allow", "ask", "deny"]:
    """Return what is to be done with a question of the turn."""
    if question.tool == QUESTION:
        return "ask"
    if turn.mode == PLAN:
        return "deny"
    return "allow" if turn.approval_level == AUTO else "ask"


def reply(
    question: Question, *, is_allowed: bool, answers: Answers | None = None
) -> dict[str, Any]:
    """Return the answer, for this one time, as the request's result."""
    if question.method == FORM:
        return {"answers": _filled(question, answers or {})}
    if question.method == ELICITATION:
        action = "accept" if is_allowed else "decline"
        return {"action": action, "content": {} if is_allowed else None, "_meta": None}
    if question.method == PERMISSIONS:
        return {"permissions": question.asked if is_allowed else {}, "scope": "turn"}
    return {"decision": "accept" if is_allowed else "decline"}


def _filled(question: Question, answers: Answers) -> dict[str, Any]:
    """Return the answers by the names that Codex gave its questions."""
    filled = {}
    for asked in list_of(question.asked, "questions"):
        given = answers.get(text_of(asked, "question"), SKIPPED)
        filled[text_of(asked, "id")] = {"answers": [given] if isinstance(given, str) else given}
    return filled


def told(answers: Answers) -> str:
    """Return what was answered, as the result of the call that asked."""
    texts = (f"{asked} {_joined(given)}" for asked, given in answers.items())
    return "\n".join(texts) or SKIPPED


def _joined(given: str | list[str]) -> str:
    return given if isinstance(given, str) else ", ".join(given)


def decline_elicitation() -> dict[str, Any]:
    """Return the answer to an MCP server that wants something typed in."""
    return {"action": "decline", "content": None, "_meta": None}
