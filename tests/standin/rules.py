"""What the real providers refuse in a request, as far as their documents and their errors say.

``complaint_of`` returns the error of the first rule that a request breaks, in the provider's own
words. Sources:

* Anthropic: platform.claude.com/docs/en/api/messages, …/build-with-claude/vision (pictures: 8000
  pixels on a side, 2000 if there are more than 20, 5 MB of Base64, 100 in all),
  …/agents-and-tools/tool-use (each call is followed by its result),
  …/build-with-claude/extended-thinking (signatures), and its errors.
* OpenAI: developers.openai.com/api/reference for Chat Completions and Responses, and its errors;
  chat templates of compatible servers demand that the person and the model take turns.
* Gemini: ai.google.dev/gemini-api/docs/function-calling, …/image-understanding (types, 20 MB of a
  request), …/thought-signatures, and its errors.
"""

from __future__ import annotations

import base64
import binascii
import io
import json
import re
from collections.abc import Callable, Iterator
from typing import Any

from PIL import Image, UnidentifiedImageError

Json = dict[str, Any]
MB = 1_000_000
NAME = re.compile(r"[a-zA-Z0-9_-]{1,64}")
SIGNATURE = "c3RhbmRpbg=="  # of the stand-in's own thinking


class Broken(Exception):
    """A rule is broken; the sentence is the provider's."""


def complaint_of(path: str, body: Json) -> str:
    """Return the provider's error for a request; empty if it keeps all rules."""
    text = json.dumps(body, ensure_ascii=False)
    try:
        text.encode()
    except UnicodeEncodeError:
        return "The request body is not valid JSON: no low surrogate in string"
    try:
        for pattern, check in _CHECKS:
            if re.search(pattern, path):
                check(body, len(text))
    except Broken as broken:
        return str(broken)
    return ""


def _need(kept: object, sentence: str) -> None:
    if not kept:
        raise Broken(sentence)


# Anthropic


def _anthropic(body: Json, size: int) -> None:
    _need(size <= 32 * MB, "Request exceeds the maximum size")
    messages = [m for m in body.get("messages", ()) if m["role"] != "system"]
    _need(messages, "messages: at least one message is required")
    _need(messages[0]["role"] == "user", 'messages: first message must use the "user" role')
    _need(
        messages[-1]["role"] == "user",
        "This model does not support assistant message prefill. The conversation must end with a"
        " user message.",
    )
    used: set[str] = set()
    open_calls: list[str] = []
    for at, message in enumerate(body["messages"]):
        blocks = _blocks(message["content"])
        _need(blocks, f"messages.{at}: all messages must have non-empty content")
        answered = [b["tool_use_id"] for b in blocks if b["type"] == "tool_result"]
        _need(
            set(open_calls) <= set(answered),
            f"messages.{at}: `tool_use` ids were found without `tool_result` blocks immediately"
            f" after: {', '.join(open_calls)}",
        )
        for call_id in answered:
            _need(
                call_id in open_calls,
                f"messages.{at}: unexpected `tool_use_id` found in `tool_result` blocks: {call_id}",
            )
        open_calls = []
        for index, block in enumerate(blocks):
            where = f"messages.{at}.content.{index}"
            _block(block, where)
            if block["type"] == "tool_use":
                _need(block["id"] not in used, f"{where}: `tool_use` ids must be unique")
                used.add(block["id"])
                open_calls.append(block["id"])
    _need(not open_calls, "messages: `tool_use` ids were found without `tool_result` blocks")
    _pictures_of_claude(body["messages"])


def _block(block: Json, where: str) -> None:
    kind = block["type"]
    if kind == "text":
        _need(block["text"], f"{where}.text: text content blocks must be non-empty")
        _need(
            block["text"].strip(), f"{where}.text: text content blocks must contain non-whitespace"
        )
    elif kind == "tool_use":
        shape = "String should match pattern '^[a-zA-Z0-9_-]+$'"
        _need(re.fullmatch(r"[a-zA-Z0-9_-]+", block["id"]), f"{where}.tool_use.id: {shape}")
        _need(
            re.fullmatch(r"[a-zA-Z0-9_-]{1,128}", block["name"]), f"{where}.tool_use.name: {shape}"
        )
        _need(isinstance(block["input"], dict), f"{where}.tool_use.input: not an object")
    elif kind == "thinking":
        _need(
            block.get("signature") == SIGNATURE,
            f"{where}: Invalid `signature` in `thinking` block",
        )


def _pictures_of_claude(messages: list[Json]) -> None:
    found = list(_sources(messages))
    _need(len(found) <= 100, "messages: too many images")
    limit, why = (2000, " for many-image requests") if len(found) > 20 else (8000, "")
    for where, source in found:
        data = source["data"]
        _need(
            len(data) <= 5 * 1024 * 1024,
            f"{where}.image.source.base64: image exceeds 5 MB maximum: {len(data)} bytes > 5242880"
            " bytes",
        )
        width, height = _decoded(data, source["media_type"], "Could not process image").size
        _need(
            max(width, height) <= limit,
            f"{where}.image.source.base64.data: At least one of the image dimensions exceed max"
            f" allowed size{why}: {limit} pixels",
        )


def _sources(messages: list[Json]) -> Iterator[tuple[str, Json]]:
    for at, message in enumerate(messages):
        for index, block in enumerate(_blocks(message["content"])):
            inner = _blocks(block["content"]) if block.get("type") == "tool_result" else [block]
            for each in inner:
                if each["type"] == "image":
                    yield f"messages.{at}.content.{index}", each["source"]


def _blocks(content: Any) -> list[Json]:
    return [{"type": "text", "text": content}] if isinstance(content, str) else content or []


# OpenAI


def _chat(body: Json, size: int) -> None:
    _need(size <= 50 * MB, "Request too large")
    messages = body.get("messages", [])
    _need(messages, "[] is too short - 'messages'")
    waiting: list[str] = []
    before = ""
    for at, message in enumerate(messages):
        role = message["role"]
        if role == "tool":
            _need(
                message["tool_call_id"] in waiting,
                "messages with role 'tool' must be a response to a preceeding message with"
                " 'tool_calls'.",
            )
            waiting.remove(message["tool_call_id"])
        else:
            _need(
                not waiting,
                "An assistant message with 'tool_calls' must be followed by tool messages"
                f" responding to each 'tool_call_id': {waiting}",
            )
        _need(
            (role, before) != ("user", "user"),
            "After the optional system message, conversation roles must alternate",
        )
        if role == "assistant":
            calls = message.get("tool_calls") or []
            _need(message.get("content") or calls, f"Invalid 'messages[{at}].content': null")
            waiting = [call["id"] for call in calls]
            _need(len(set(waiting)) == len(waiting), "Duplicate tool call id")
            for call in calls:
                _call(call["id"], 40, call["function"]["name"], call["function"]["arguments"])
        _parts(message.get("content"), f"messages[{at}].content")
        before = role
    _need(not waiting, "'tool_calls' without tool messages")


def _responses(body: Json, size: int) -> None:
    _need(size <= 50 * MB, "Request too large")
    items = body.get("input", [])
    calls = [item for item in items if item.get("type") == "function_call"]
    outputs = [item["call_id"] for item in items if item.get("type") == "function_call_output"]
    ids = [item["call_id"] for item in calls]
    _need(len(set(ids)) == len(ids), "Duplicate call_id")
    for call_id in outputs:
        _need(
            call_id in ids, f"No tool call found for function call output with call_id {call_id}."
        )
    for item in calls:
        _need(item["call_id"] in outputs, f"No tool output found for function call {item}")
        _call(item["call_id"], 64, item["name"], item["arguments"])
    for at, item in enumerate(items):
        _parts(item.get("content"), f"input[{at}].content")


def _call(call_id: str, longest: int, name: str, arguments: str) -> None:
    _need(
        len(call_id) <= longest, f"string too long. Expected a string with maximum length {longest}"
    )
    _need(NAME.fullmatch(name), "Expected a string that matches the pattern '^[a-zA-Z0-9_-]+$'.")
    _need(isinstance(json.loads(arguments), dict), "arguments: not an object")


def _parts(content: Any, where: str) -> None:
    for index, part in enumerate(content if isinstance(content, list) else ()):
        if part["type"] in ("image_url", "input_image"):
            url = part["image_url"]
            address = url if isinstance(url, str) else url["url"]
            head, _, data = address.partition(";base64,")
            sentence = (
                f"Invalid '{where}[{index}].image_url'. You uploaded an unsupported image. Please"
                " make sure your image is valid and has one of the formats png, jpeg, gif, webp."
            )
            image = _decoded(data, head.removeprefix("data:"), sentence)
            _need(not getattr(image, "is_animated", False), sentence)


# Gemini


def _gemini(body: Json, size: int) -> None:
    _need(size <= 20 * MB, "Request payload size exceeds the limit: 20971520 bytes.")
    contents = body.get("contents", [])
    _need(contents and contents[0]["role"] == "user", "Please ensure that the first turn is a user")
    asked = 0
    for at, content in enumerate(contents):
        parts = content.get("parts") or []
        _need(parts, f"contents[{at}].parts must not be empty")
        answers = sum("functionResponse" in part for part in parts)
        _need(
            answers == asked,
            "Please ensure that the number of function response parts is equal to the number of"
            " function call parts of the function call turn.",
        )
        calls = [part for part in parts if "functionCall" in part]
        asked = len(calls)
        _need(
            not asked or contents[at - 1]["role"] == "user",
            "Please ensure that function call turn comes immediately after a user turn or after a"
            " function response turn.",
        )
        for part in calls:
            name = part["functionCall"]["name"]
            _need(re.fullmatch(r"[a-zA-Z_][\w.:-]{0,63}", name, re.ASCII), "Invalid function name")
        for part in parts:
            _need("text" not in part or part["text"], "Unable to submit request: empty text")
            if data := part.get("inlineData"):
                kinds = ("image/png", "image/jpeg", "image/webp", "image/heic", "image/heif")
                kind = data.get("mimeType") or data["mime_type"]
                _need(kind in kinds, f"Unsupported MIME type: {kind}")
                _decoded(data["data"], kind, "Unable to process input image.")
    _need(not asked, "Please ensure that each function call has a function response")


def _decoded(data: str, media_type: str, sentence: str) -> Any:
    try:
        # Gemini's library writes the alphabet for URLs, as JSON of protocol buffers may.
        raw = base64.b64decode(data.replace("-", "+").replace("_", "/"), validate=True)
        image = Image.open(io.BytesIO(raw))
        image.load()
    except (binascii.Error, OSError, SyntaxError, ValueError, UnidentifiedImageError) as exc:
        raise Broken(sentence) from exc
    _need(Image.MIME.get(image.format or "") == media_type, sentence)
    return image


_CHECKS: tuple[tuple[str, Callable[[Json, int], None]], ...] = (
    (r"/v1/messages$", _anthropic),
    (r"/v1/chat/completions$", _chat),
    (r"/v1/responses$", _responses),
    (r"enerateContent$", _gemini),
)
