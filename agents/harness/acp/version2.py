"""Version 2 of the protocol, still a draft, in the terms of version 1.

The rest of the adapter speaks version 1. What differs only in shape is translated here, both ways;
what is new in version 2 (whole messages, terminals of the agent, the state of a session) has
handlers of its own in ``stream`` and ``steps``.
"""

from __future__ import annotations

from typing import Any, Final

from agents.harness.lines import list_of, object_of, text_of

Message = dict[str, Any]

VERSION: Final = 2
# A field of a call that is null begins anew; in version 1 it changes nothing.
_CLEARED: Final[dict[str, Any]] = {
    "content": [],
    "kind": "other",
    "locations": [],
    "name": "",
    "rawInput": {},
    "rawOutput": "",
    "status": "pending",
    "title": "",
}


def is_spoken(result: Message) -> bool:
    """Return whether an agent that answered ``initialize`` so speaks version 2.

    fast-agent repeats any number that it is asked for, and speaks version 1.
    """
    version = result.get("protocolVersion")
    is_new = isinstance(version, int) and not isinstance(version, bool) and version >= VERSION
    return is_new and isinstance(result.get("info"), dict)


def initialized(result: Message) -> Message:
    """Return the response to ``initialize``."""
    capabilities = object_of(result, "capabilities")
    session = object_of(capabilities, "session")
    prompt, servers = object_of(session, "prompt"), object_of(session, "mcp")
    methods = ["close", "list", "resume"] if "session" in capabilities else []
    methods += [name for name in ("delete", "fork") if session.get(name) is not None]
    return {
        "agentInfo": object_of(result, "info"),
        "agentCapabilities": {
            "promptCapabilities": {"image": prompt.get("image") is not None},
            "mcpCapabilities": {"http": servers.get("http") is not None},
            "sessionCapabilities": {name: {} for name in methods},
        },
        "authMethods": [
            {**each, "id": each.get("methodId")} for each in list_of(result, "authMethods")
        ],
    }


def with_options(message: Message) -> Message:
    """Return a response or an update whose options, if it has any, are named by ``id``."""
    if not isinstance(message.get("configOptions"), list):
        return message
    options = [{**each, "id": each.get("configId")} for each in list_of(message, "configOptions")]
    return message | {"configOptions": options}


def updated(update: Message) -> Message:
    """Return an update of a session."""
    if text_of(update, "sessionUpdate") == "tool_call_update":
        return patched(update)
    return with_options(update)


def patched(call: Message) -> Message:
    """Return the fields of a call, those that are null as they begin."""
    return {
        name: _CLEARED[name] if value is None and name in _CLEARED else value
        for name, value in call.items()
    }


def asked(params: Message) -> Message:
    """Return the parameters of a permission request: its subject as a call."""
    subject, title = object_of(params, "subject"), text_of(params, "title")
    call: Message = {"title": title}
    if text_of(subject, "type") == "tool_call":
        call |= patched(object_of(subject, "toolCall"))
        call["title"] = text_of(call, "title") or title
    elif text_of(subject, "type") == "command":
        command = {"command": text_of(subject, "command"), "cwd": text_of(subject, "cwd")}
        call |= {"kind": "execute", "rawInput": command}
        call |= {"toolCallId": text_of(subject, "toolCallId")}
    return params | {"toolCall": call}


def request(method: str, params: Message) -> Message:
    """Return the parameters of a request of ours."""
    if method == "session/set_config_option" and "type" not in params:
        return params | {"type": "id"}
    return params
