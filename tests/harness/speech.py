"""The same things said in each program's own lines: what the conformance kit is written in."""

from __future__ import annotations

import json
from typing import Any

from agents.harness.claude_code import ClaudeCodeAdapter
from agents.harness.demo import DemoAdapter


def _lines(*values: dict[str, Any]) -> list[str]:
    return [json.dumps(value, ensure_ascii=False) + "\n" for value in values]


class DemoSpeech:
    """The lines of ``agents/demo_agent.py``."""

    kind = "demo"
    adapter = DemoAdapter
    session = "s-1"
    question = "q-1"

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


SPEECHES = [DemoSpeech, ClaudeCodeSpeech]
