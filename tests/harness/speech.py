"""The same things said in each program's own lines: what the conformance kit is written in."""

from __future__ import annotations

import json
from typing import Any

from agents.harness import ADAPTERS
from agents.harness.acp import built_in
from agents.harness.claude_code import ClaudeCodeAdapter
from agents.harness.codex import CodexAdapter
from agents.harness.demo import DemoAdapter


def _lines(*values: dict[str, Any]) -> list[str]:
    return [json.dumps(value, ensure_ascii=False) + "\n" for value in values]


class DemoSpeech:
    """The lines of ``agents/demo_agent.py``."""

    kind = "demo"
    adapter = DemoAdapter
    session = "s-1"
    question = "q-1"
    # What the program is told: a word of the line, by what the person did.
    told = {"allow": "allow", "deny": "deny", "interrupt": "interrupt"}

    def hello(self) -> list[str]:
        return _lines({"type": "session", "id": self.session})

    def text(self, *pieces: str) -> list[str]:
        return _lines(*({"type": "text", "delta": piece} for piece in pieces))

    def thinking(self, *pieces: str) -> list[str]:
        return _lines(*({"type": "thinking", "delta": piece} for piece in pieces))

    def call(self, call: str, command: str) -> list[str]:
        return _lines({"type": "tool", "id": call, "name": "Bash", "input": {"command": command}})

    def ask(self, call: str, command: str) -> list[str]:
        tool_input = {"command": command}
        return _lines(
            {"type": "ask", "id": self.question, "tool": call, "name": "Bash", "input": tool_input}
        )

    def result(self, call: str, output: str) -> list[str]:
        return _lines({"type": "output", "id": call, "output": output})

    def failed(self, call: str, text: str) -> list[str]:
        return _lines({"type": "failed", "id": call, "text": text})

    def refused(self, call: str) -> list[str]:
        return _lines({"type": "denied", "id": call})

    def end(self) -> list[str]:
        return _lines({"type": "end", "reason": "stop"})

    def interrupted(self) -> list[str]:
        return _lines({"type": "end", "reason": "interrupted"})


class ClaudeCodeSpeech:
    """The lines of ``claude`` 2.1, as short as they may be."""

    kind = "claude-code"
    adapter = ClaudeCodeAdapter
    session = "s-1"
    question = "q-1"
    told = {"allow": "allow", "deny": "deny", "interrupt": "interrupt"}

    def __init__(self) -> None:
        self.messages = 0

    def hello(self) -> list[str]:
        return _lines({"type": "system", "subtype": "init", "session_id": self.session})

    def _message(self, start: dict[str, Any], deltas: list[dict[str, Any]]) -> list[str]:
        self.messages += 1
        events: list[dict[str, Any]] = [
            {"type": "message_start", "message": {"id": f"msg-{self.messages}"}},
            {"type": "content_block_start", "index": 0, "content_block": start},
            *({"type": "content_block_delta", "index": 0, "delta": delta} for delta in deltas),
            {"type": "content_block_stop", "index": 0},
        ]
        return _lines(*({"type": "stream_event", "event": event} for event in events))

    def text(self, *pieces: str) -> list[str]:
        deltas = [{"type": "text_delta", "text": piece} for piece in pieces]
        return self._message({"type": "text", "text": ""}, deltas)

    def thinking(self, *pieces: str) -> list[str]:
        deltas = [{"type": "thinking_delta", "thinking": piece} for piece in pieces]
        return self._message({"type": "thinking", "thinking": ""}, deltas)

    def call(self, call: str, command: str) -> list[str]:
        start = {"type": "tool_use", "id": call, "name": "Bash", "input": {}}
        delta = {"type": "input_json_delta", "partial_json": json.dumps({"command": command})}
        return self._message(start, [delta])

    def ask(self, call: str, command: str) -> list[str]:
        request = {
            "subtype": "can_use_tool",
            "tool_name": "Bash",
            "input": {"command": command},
            "tool_use_id": call,
        }
        return _lines({"type": "control_request", "request_id": self.question, "request": request})

    def _result(self, call: str, content: Any, *, is_error: bool) -> list[str]:
        block = {
            "type": "tool_result",
            "tool_use_id": call,
            "content": content,
            "is_error": is_error,
        }
        return _lines({"type": "user", "message": {"role": "user", "content": [block]}})

    def result(self, call: str, output: str) -> list[str]:
        return self._result(call, [{"type": "text", "text": output}], is_error=False)

    def failed(self, call: str, text: str) -> list[str]:
        return self._result(call, text, is_error=True)

    def refused(self, call: str) -> list[str]:
        return self._result(call, "The person said no.", is_error=True)

    def end(self) -> list[str]:
        return self._end(is_error=False)

    def interrupted(self) -> list[str]:
        return self._end(is_error=True, terminal_reason="aborted_streaming")

    def _end(self, **fields: Any) -> list[str]:
        return _lines({"type": "result", "subtype": "success", "session_id": self.session} | fields)


class CodexSpeech:
    """The lines of ``codex app-server`` 0.169, as short as they may be."""

    kind = "codex"
    adapter = CodexAdapter
    session = "s-1"
    question = "run-1:q-1"  # their number of it, after the run
    told = {"allow": "accept", "deny": "decline", "interrupt": "interrupt"}

    def __init__(self) -> None:
        self.items = 0

    def hello(self) -> list[str]:
        thread = {
            "thread": {"id": self.session},
            "sandbox": {"type": "readOnly"},
            "cwd": "/folder",
        }
        return _lines(
            {"id": 1, "result": {"userAgent": "codex"}},
            {"id": 2, "result": thread},
            {"id": 3, "result": {"requiresOpenaiAuth": False}},
            {"id": 4, "result": {"turn": {"id": "t-1"}}},
        )

    def _item(self, kind: str, **fields: Any) -> dict[str, Any]:
        self.items += 1
        return {"id": f"item-{self.items}", "type": kind} | fields

    def _told(self, what: str, **params: Any) -> dict[str, Any]:
        return {"method": what, "params": {"threadId": self.session} | params}

    def text(self, *pieces: str) -> list[str]:
        item = self._item("agentMessage", text="")
        deltas = (
            self._told("item/agentMessage/delta", itemId=item["id"], delta=piece)
            for piece in pieces
        )
        whole = item | {"text": "".join(pieces)}
        return _lines(
            self._told("item/started", item=item),
            *deltas,
            self._told("item/completed", item=whole),
        )

    def thinking(self, *pieces: str) -> list[str]:
        item = self._item("reasoning", summary=["".join(pieces)])
        name = "item/reasoning/summaryTextDelta"
        deltas = (
            self._told(name, itemId=item["id"], summaryIndex=0, delta=piece) for piece in pieces
        )
        return _lines(*deltas, self._told("item/completed", item=item))

    def _command(self, call: str, command: str, **fields: Any) -> dict[str, Any]:
        return {"id": call, "type": "commandExecution", "command": command} | fields

    def call(self, call: str, command: str) -> list[str]:
        return _lines(self._told("item/started", item=self._command(call, command)))

    def ask(self, call: str, command: str) -> list[str]:
        method = "item/commandExecution/requestApproval"
        asked = self._told(method, itemId=call, command=command)
        return _lines({"id": "q-1"} | asked)

    def _end_of(self, call: str, status: str, **fields: Any) -> list[str]:
        item = self._command(call, "make", status=status, **fields)
        return _lines(self._told("item/completed", item=item))

    def result(self, call: str, output: str) -> list[str]:
        return self._end_of(call, "completed", aggregatedOutput=output, exitCode=0)

    def failed(self, call: str, text: str) -> list[str]:
        item = {"id": call, "type": "mcpToolCall", "server": "s", "tool": "t"}
        ended = item | {"status": "failed", "error": {"message": text}}
        return _lines(self._told("item/completed", item=ended))

    def refused(self, call: str) -> list[str]:
        return self._end_of(call, "declined")

    def end(self) -> list[str]:
        return _lines(self._told("turn/completed", turn={"status": "completed"}))

    def interrupted(self) -> list[str]:
        return _lines(self._told("turn/completed", turn={"status": "interrupted"}))


class AcpSpeech:
    """The lines of an ACP agent, as short as they may be."""

    kind = "acp:opencode"
    session = "s-1"
    question = "run-1:q-1"  # their number of it, after the run
    told = {"allow": "yes-once", "deny": "no-once", "interrupt": "session/cancel"}
    level = "auto"  # at which its session begins

    def __init__(self) -> None:
        self.prompts = 2  # our requests before the first

    @classmethod
    def adapter(cls) -> Any:
        return ADAPTERS[cls.kind]()

    def hello(self) -> list[str]:
        opened = {"sessionId": self.session} | self._settings()
        return _lines(
            {"jsonrpc": "2.0", "id": 1, "result": {"protocolVersion": 1}},
            {"jsonrpc": "2.0", "id": 2, "result": opened},
        )

    def _settings(self) -> dict[str, Any]:
        """Return the modes and options of a session that is set to its level."""
        settings = dict((built_in()[self.kind].levels or {}).get(self.level, {}))
        mode = settings.pop("mode", "")
        options = [
            {"id": name, "type": "select", "currentValue": value, "options": [{"value": value}]}
            for name, value in settings.items()
        ]
        return {"modes": {"currentModeId": mode}, "configOptions": options}

    def _update(self, what: str, **fields: Any) -> dict[str, Any]:
        update = {"sessionUpdate": what} | fields
        params = {"sessionId": self.session, "update": update}
        return {"jsonrpc": "2.0", "method": "session/update", "params": params}

    def _said(self, kind: str, pieces: tuple[str, ...]) -> list[str]:
        contents = ({"type": "text", "text": piece} for piece in pieces)
        return _lines(*(self._update(kind, content=content) for content in contents))

    def text(self, *pieces: str) -> list[str]:
        return self._said("agent_message_chunk", pieces)

    def thinking(self, *pieces: str) -> list[str]:
        return self._said("agent_thought_chunk", pieces)

    def _tool(self, call: str, command: str) -> dict[str, Any]:
        return {
            "toolCallId": call,
            "title": command,
            "kind": "execute",
            "status": "pending",
            "rawInput": {"command": command},
        }

    def call(self, call: str, command: str) -> list[str]:
        return _lines(self._update("tool_call", **self._tool(call, command)))

    def ask(self, call: str, command: str) -> list[str]:
        options = [
            {"optionId": "yes-always", "kind": "allow_always"},
            {"optionId": "yes-once", "kind": "allow_once"},
            {"optionId": "no-once", "kind": "reject_once"},
        ]
        params = {"toolCall": self._tool(call, command), "options": options}
        return _lines({"id": "q-1", "method": "session/request_permission", "params": params})

    def _ended(self, call: str, status: str, text: str) -> list[str]:
        content = [{"type": "content", "content": {"type": "text", "text": text}}]
        update = {"toolCallId": call, "status": status, "content": content}
        return _lines(self._update("tool_call_update", **update))

    def result(self, call: str, output: str) -> list[str]:
        return self._ended(call, "completed", output)

    def failed(self, call: str, text: str) -> list[str]:
        return self._ended(call, "failed", text)

    def refused(self, call: str) -> list[str]:
        return self._ended(call, "failed", "The person said no.")

    def _end(self, reason: str) -> list[str]:
        self.prompts += 1
        return _lines({"jsonrpc": "2.0", "id": self.prompts, "result": {"stopReason": reason}})

    def end(self) -> list[str]:
        return self._end("end_turn")

    def interrupted(self) -> list[str]:
        return self._end("cancelled")


# Each agent of the table that speaks ACP is held to the same.
_ACP_SPEECHES = [type(kind, (AcpSpeech,), {"kind": kind}) for kind in built_in()]
SPEECHES = [DemoSpeech, ClaudeCodeSpeech, CodexSpeech, *_ACP_SPEECHES]
