"""Tools of third-party MCP servers as Decopilot's tools; without I/O.

The servers' messages are classes of the MCP library, which is slow to import: only attributes
are read here.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from agents.harness.decopilot.memory import IMAGES, Image
from agents.harness.decopilot.tools import BadCall, Json, Tool
from agents.harness.mcp import McpServer

TOOLS_LIMIT: Final = 100  # per server
NAME_LIMIT: Final = 64  # accepted by every provider
DESCRIPTION_LIMIT: Final = 4_000  # characters
SCHEMA_LIMIT: Final = 30_000  # characters
INPUT_LIMIT: Final = 400_000  # characters of one call
_NOT_ALLOWED: Final = re.compile(r"[^A-Za-z0-9_-]")


@dataclass(frozen=True, slots=True)
class RemoteTool(Tool):
    """A tool of an MCP server, which calls it ``remote_name``."""

    server: str = ""
    remote_name: str = ""
    remote_schema: Json = field(default_factory=dict)

    @property
    def schema(self) -> Json:
        return self.remote_schema


def tools_of(server: str, listed: Iterable[Any]) -> list[RemoteTool]:
    """Return the tools that ``server`` lists, without those no model would accept."""
    found: dict[str, RemoteTool] = {}
    for each in listed:
        tool = _tool(server, each)
        if tool is not None and len(found) < TOOLS_LIMIT:
            found.setdefault(tool.name, tool)
    return list(found.values())


def _tool(server: str, each: Any) -> RemoteTool | None:
    schema = each.input_schema if isinstance(each.input_schema, dict) else {}
    schema = {**schema, "type": "object"}
    try:
        size = len(json.dumps(schema, default=str, allow_nan=False))
    except (ValueError, RecursionError):  # no provider accepts a NaN, and the run would end
        return None
    if not each.name or size > SCHEMA_LIMIT:
        return None
    # Only a tool that declares itself read-only runs without asking (U-M).
    is_read_only = getattr(each.annotations, "read_only_hint", None) is True
    return RemoteTool(
        name=name_of(server, each.name),
        description=(each.description or each.name)[:DESCRIPTION_LIMIT],
        properties={},
        required=(),
        effect="look" if is_read_only else "act",
        server=server,
        remote_name=each.name,
        remote_schema=schema,
    )


def name_of(server: str, tool: str) -> str:
    """Return the name by which a model calls a server's tool, in the other agents' form."""
    name = _NOT_ALLOWED.sub("_", f"mcp__{server}__{tool}")
    if len(name) <= NAME_LIMIT and name.endswith(tool):
        return name
    # Without a digest, two names that are cut or cleaned could become the same.
    digest = hashlib.sha256(tool.encode()).hexdigest()[:6]
    return f"{name[: NAME_LIMIT - 7]}_{digest}"


def checked_remote(tool: RemoteTool, arguments: object) -> Json:
    """Return the input of a call; the server itself validates it.

    Raises:
        BadCall: it is not an object, or too large.
    """
    if not isinstance(arguments, Mapping):
        raise BadCall(f"{tool.name} takes an object.")
    if len(json.dumps(arguments, default=str)) > INPUT_LIMIT:
        raise BadCall(f"The input is longer than {INPUT_LIMIT} characters.")
    return dict(arguments)


def read_result(result: Any) -> tuple[str, Image | None]:
    """Return the result of a call: its text and its first picture."""
    texts: list[str] = []
    image: Image | None = None
    for block in result.content:
        if block.type == "image" and image is None and (image := _image(block)):
            continue
        texts.append(_text(block))
    if not texts and not image and result.structured_content is not None:
        texts = [json.dumps(result.structured_content, ensure_ascii=False)]
    return "\n".join(text for text in texts if text), image


def _image(block: Any) -> Image | None:
    if block.mime_type not in IMAGES:
        return None
    try:
        return Image(block.mime_type, base64.b64decode(block.data, validate=True))
    except binascii.Error:
        return None


def _text(block: Any) -> str:
    match block.type:
        case "text":
            return str(block.text)
        case "resource_link":
            return f"{block.name}: {block.uri}"
        case "resource":
            return str(getattr(block.resource, "text", f"({block.resource.uri} is no text.)"))
        case kind:
            return f"({kind} left out)"


def without_secrets(text: str, server: McpServer) -> str:
    """Return ``text`` without the values of the server's headers: a server may echo its
    requests."""
    for value in server.headers.values():
        for secret in (value, value.rpartition(" ")[2]):
            if len(secret) >= 6:
                text = text.replace(secret, "…")
    return text
