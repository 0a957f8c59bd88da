"""The OpenAPI entry of the stream, the one endpoint that is not a DRF view."""

from __future__ import annotations

from typing import Any

PATH = "/api/{org}/decopilot/threads/{thread_id}/stream"


def add_stream(result: dict[str, Any], **context: Any) -> dict[str, Any]:
    """Add the stream to the schema; drf-spectacular calls this after it has built the rest."""
    result["paths"][PATH] = {
        "get": {
            "operationId": "threads_stream",
            "description": (
                "The thread's journal as Server-Sent Events: AI SDK UI message chunks, each "
                "with its number as the id. With `run`, only that run's last attempt: the stream "
                "ends after its `finish` chunk with `data: [DONE]`."
            ),
            "parameters": [
                _parameter("org", "path", "string"),
                _parameter("thread_id", "path", "string", format="uuid"),
                _parameter("after", "query", "integer", about="Only events after this number."),
                _parameter("run", "query", "string", format="uuid", about="Only this run."),
                _parameter("Last-Event-ID", "header", "integer", about="As `after`."),
            ],
            "tags": ["decopilot"],
            "security": [{"token": []}, {"cookieAuth": []}],
            "responses": {
                "200": {
                    "description": "The stream.",
                    "content": {"text/event-stream": {"schema": {"type": "string"}}},
                },
                "404": {"description": "Unknown, or not the caller's."},
                "410": {"description": "`cursor_too_old`: read the messages, and continue there."},
            },
        }
    }
    return result


def _parameter(
    name: str, where: str, kind: str, *, format: str = "", about: str = ""
) -> dict[str, Any]:
    schema = {"type": kind, **({"format": format} if format else {})}
    found = {"name": name, "in": where, "required": where == "path", "schema": schema}
    return {**found, "description": about} if about else found
