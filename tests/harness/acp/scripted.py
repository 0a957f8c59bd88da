"""Lines that an agent may send, and a player for them: the conformance kit of ACP."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

from agents.harness import ADAPTERS
from agents.harness.base import Out, TurnInput, Write
from tests.harness.driver import turn

SESSION = "s"


def line(**message: Any) -> bytes:
    return json.dumps({"jsonrpc": "2.0"} | message).encode()


def update(what: str, /, *, session: str = SESSION, **fields: Any) -> bytes:
    params = {"sessionId": session, "update": {"sessionUpdate": what} | fields}
    return line(method="session/update", params=params)


def text(words: str, **fields: Any) -> bytes:
    return update("agent_message_chunk", content={"type": "text", "text": words}, **fields)


def output(words: str) -> list[dict[str, Any]]:
    return [{"type": "content", "content": {"type": "text", "text": words}}]


def question(request_id: Any, *options: dict[str, str], **call: Any) -> bytes:
    """Return the question whether a call may run."""
    asked: dict[str, Any] = {"toolCall": call}
    if Scripted.version == 2:
        asked = {"title": "May I?", "subject": {"type": "tool_call", "toolCall": call}}
    params = {"sessionId": SESSION, "options": list(options)} | asked
    return line(id=request_id, method="session/request_permission", params=params)


def written(outs: list[Out]) -> list[dict[str, Any]]:
    return [json.loads(out.line) for out in outs if isinstance(out, Write)]


class Scripted:
    """A conversation with an agent that says what it is told to say.

    It speaks ``version`` of the protocol, which a test may set for all agents that it makes.
    """

    version = 1

    def __init__(self, kind: str = "acp:gemini", **session: Any) -> None:
        self.adapter = ADAPTERS[kind]()
        self.session = session
        self.prompt: Any = None
        self.asked: list[dict[str, Any]] = []  # our requests

    def begin(self, given: TurnInput | None = None) -> list[Out]:
        """Take a turn to its prompt, as the agent's responses do; it is at work then."""
        given = replace(given or turn("hi"), takes_unasked=self.version == 2)
        outs = self.adapter.begin(given)
        outs += self.respond(outs)
        if self.version == 2:
            outs += self.say(self.taken(), state("running"))
        return outs

    def respond(self, outs: list[Out]) -> list[Out]:
        """Answer our requests up to the prompt; returns the outputs of that."""
        answers = {
            "initialize": {"protocolVersion": 1},
            "session/new": {"sessionId": SESSION} | self.session,
        }
        if self.version == 2:
            answers["initialize"] = {"protocolVersion": 2, "info": {"name": "x", "version": "1"}}
        more: list[Out] = []
        for request in written(outs):
            if request.get("method") == "session/prompt":
                self.prompt = request["id"]
            elif "method" in request and "id" in request:
                self.asked.append(request)
                result = answers.get(request["method"], {})
                heard = self.adapter.feed(line(id=request["id"], result=result))
                more += heard + self.respond(heard)
        return more

    def taken(self) -> bytes:
        """Return the response to our message by which an agent of version 2 says that it has it."""
        return line(id=self.prompt, result={"messageId": "u"})

    def say(self, *lines: bytes) -> list[Out]:
        return [out for each in lines for out in self.adapter.feed(each)]

    def end(self, reason: str = "end_turn", **result: Any) -> list[Out]:
        if self.version == 2:
            return self.say(state("idle", stopReason=reason, **result))
        return self.say(line(id=self.prompt, result={"stopReason": reason} | result))

    def fail(self, **error: Any) -> list[Out]:
        """End the turn with an error."""
        if self.version == 2:
            return self.end("error", error=error)
        return self.say(line(id=self.prompt, error=error))

    def play(self, *lines: bytes) -> list[Out]:
        """Play a whole turn."""
        return self.begin() + self.say(*lines) + self.end()


def state(name: str, **fields: Any) -> bytes:
    """Return the state of a session, of which version 2 tells."""
    return update("state_update", state=name, **fields)
