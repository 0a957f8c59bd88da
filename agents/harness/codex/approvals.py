"""Codex's approval requests: parsed into a question, and answered in its form."""

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

# Fields by which a yes allows more than the command, or the change, itself → keys of the card.
_COMMAND_EXTRAS = {
    "networkApprovalContext": "network",
    "additionalPermissions": "permissions",
    "skillMetadata": "skill",
}
_CHANGE_EXTRAS = {"grantRoot": "grantRoot"}

SKIPPED = "The person did not answer. Go on with what seems best, or ask in your reply."


@dataclass(frozen=True, slots=True)
class Question:
    """A request of the program that a person's answer decides."""

    request_id: RequestId
    method: str
    call: str  # empty if it belongs to no visible call
    tool: str
    input: Any
    asked: dict[str, Any]
    is_known: bool = True  # see ``base.Ask``
    because: str = ""


def read(
    method: str, request_id: RequestId, params: dict[str, Any], items: Items
) -> Question | None:
    """Return the question in a request; ``None`` if it is not for a person."""
    call, tool, asked = text_of(params, "itemId"), "", params
    is_known = True
    item = items.find(call)
    value: Any = item.input if item else None
    if method == COMMAND:
        tool = item.tool if item else "Bash"
        value = _command(params, value, items.folder)
    elif method == CHANGE:  # the request names only the item, which has the diff
        tool, value = "Edit", _with_extras(value or {}, params, _CHANGE_EXTRAS)
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
        # What the server says of the tool is for display; its name alone says which one it is.
        is_known = bool(server and name)
    else:
        return None
    because = _asked_by_a_rule(params) if method == COMMAND else ""
    if (reason := text_of(params, "reason")) and not because:
        value = {**value, "reason": reason} if isinstance(value, dict) else value
    return Question(request_id, method, call, tool, value, asked, is_known, because)


def _asked_by_a_rule(params: dict[str, Any]) -> str:
    """Return why the person's own rules (``~/.codex/rules``) ask about a command; empty if they
    don't. The request says so only in its reason, which a model might imitate: then a person is
    asked once more."""
    command, reason = text_of(params, "command"), text_of(params, "reason")
    asks = f"`{command}` requires approval"
    if not command or not reason.startswith(asks):
        return ""
    why = reason.removeprefix(asks).removeprefix(" by policy").removeprefix(": ")
    return f"A rule of yours for Codex asks: {why}" if why else "A rule of yours for Codex asks."


def _command(params: dict[str, Any], item_input: Any, folder: str) -> Any:
    """Return the requested command: the request takes precedence over the item."""
    requested = command_input(params, folder)
    value = dict(item_input) if isinstance(item_input, dict) else {}
    if requested["command"] or not value:
        value |= requested
    elif "cwd" in requested:
        value["cwd"] = requested["cwd"]
    return _with_extras(value, params, _COMMAND_EXTRAS)


def _with_extras(value: Any, params: dict[str, Any], names: dict[str, str]) -> Any:
    """Return ``value`` with everything else that a yes allows: a person must see all of it."""
    more = {ours: params[theirs] for theirs, ours in names.items() if params.get(theirs)}
    return {**value, **more} if isinstance(value, dict) else value


def _form(question: dict[str, Any]) -> dict[str, Any]:
    """Return one question of the model in the form of every harness."""
    options = [
        {"label": text_of(option, "label"), "description": text_of(option, "description")}
        for option in list_of(question, "options")
    ]
    texts = {key: text_of(question, key) for key in ("question", "header")}
    secret = {"secret": True} if question.get("isSecret") is True else {}
    # Without options there is only the free text.
    other = {"other": question["isOther"]} if isinstance(question.get("isOther"), bool) else {}
    return {
        **texts,
        "options": options,
        "multiSelect": False,
        **secret,
        **(other if options else {}),
    }


def decide(question: Question, turn: TurnInput) -> Literal["allow", "ask", "deny"]:
    """Return the decision about a question of the turn."""
    if question.tool == QUESTION:
        return "ask"
    if turn.mode == PLAN:
        return "deny"
    return "allow" if turn.approval_level == AUTO and not question.because else "ask"


def reply(
    question: Question, *, is_allowed: bool, answers: Answers | None = None
) -> dict[str, Any]:
    """Return the answer, for this one request, as its result."""
    if question.method == FORM:
        return {"answers": _filled(question, answers or {})}
    if question.method == ELICITATION:
        action = "accept" if is_allowed else "decline"
        return {"action": action, "content": {} if is_allowed else None, "_meta": None}
    if question.method == PERMISSIONS:
        return {"permissions": question.asked if is_allowed else {}, "scope": "turn"}
    return {"decision": "accept" if is_allowed else "decline"}


def _filled(question: Question, answers: Answers) -> dict[str, Any]:
    """Return the answers by the ids of Codex's questions."""
    filled = {}
    for asked in list_of(question.asked, "questions"):
        answer = answers.get(text_of(asked, "question"), SKIPPED)
        filled[text_of(asked, "id")] = {"answers": [answer] if isinstance(answer, str) else answer}
    return filled


def result_text(answers: Answers) -> str:
    """Return the answers as the result of the call that asked."""
    texts = (f"{question} {_joined(answer)}" for question, answer in answers.items())
    return "\n".join(texts) or SKIPPED


def _joined(answer: str | list[str]) -> str:
    return answer if isinstance(answer, str) else ", ".join(answer)


def decline_elicitation() -> dict[str, Any]:
    """Return the answer to an MCP server that requests input."""
    return {"action": "decline", "content": None, "_meta": None}
