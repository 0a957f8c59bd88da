"""Heads of requests and answers, as OPEN and HEAD frames carry them."""

from __future__ import annotations

from typing import Any, NamedTuple

from links.wire.errors import MalformedFrame
from links.wire.frames import pack_json, unpack_json

Headers = list[tuple[str, str]]


class RequestHead(NamedTuple):
    """``target`` is the path with ``?`` and raw query; header names are in lower case."""

    method: str
    target: str
    headers: Headers
    websocket: bool = False

    def pack(self) -> bytes:
        value: dict[str, Any] = {
            "method": self.method,
            "target": self.target,
            "headers": self.headers,
        }
        if self.websocket:
            value["websocket"] = True
        return pack_json(value)


class AnswerHead(NamedTuple):
    """On a WebSocket stream status 101 accepts; any other refuses."""

    status: int
    headers: Headers

    def pack(self) -> bytes:
        return pack_json({"status": self.status, "headers": self.headers})


def unpack_request(payload: bytes) -> RequestHead:
    """Return the head of an OPEN frame.

    Raises:
        MalformedFrame, FrameTooLarge: not a request's head.
    """
    value = unpack_json(payload)
    method, target = value.get("method"), value.get("target")
    if not isinstance(method, str) or not isinstance(target, str) or target[:1] != "/":
        raise MalformedFrame("A request needs a method and a path.")
    return RequestHead(method, target, _headers(value), value.get("websocket") is True)


def unpack_answer(payload: bytes) -> AnswerHead:
    """Return the head of a HEAD frame.

    Raises:
        MalformedFrame, FrameTooLarge: not an answer's head.
    """
    value = unpack_json(payload)
    status = value.get("status")
    if type(status) is not int or not 100 <= status <= 599:
        raise MalformedFrame("An answer needs a status from 100 to 599.")
    return AnswerHead(status, _headers(value))


def _headers(value: dict[str, Any]) -> Headers:
    pairs = value.get("headers", [])
    if not isinstance(pairs, list):
        raise MalformedFrame("Headers are a list of pairs.")
    headers: Headers = []
    for pair in pairs:
        if not (
            isinstance(pair, list)
            and len(pair) == 2
            and isinstance(pair[0], str)
            and isinstance(pair[1], str)
        ):
            raise MalformedFrame("A header is a pair of texts.")
        headers.append((pair[0], pair[1]))
    return headers
