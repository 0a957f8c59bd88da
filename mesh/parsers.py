"""The one parser of JSON requests.

A module of its own: DRF imports the classes in its settings while it imports its views, so this
module must not import those.
"""

from __future__ import annotations

import json
import math
from typing import Any

from django.conf import settings
from rest_framework.parsers import BaseParser

from mesh.lib.errors import AppError, BodyTooLarge


class BadJson(AppError):
    code = "invalid_json"
    text = "The body is not a JSON object."
    hint = "Send an object, with Content-Type: application/json."


class JSONParser(BaseParser):
    """Reads a JSON object; checks the size limit before it parses the body."""

    media_type = "application/json"

    def parse(
        self, stream: Any, media_type: str | None = None, parser_context: Any = None
    ) -> dict[str, Any]:
        limit = settings.DATA_UPLOAD_MAX_MEMORY_SIZE
        body = stream.read(limit + 1)
        if len(body) > limit:
            raise BodyTooLarge.over(limit)
        try:
            value = json.loads(body, parse_constant=_refuse, parse_float=_finite)
        except (ValueError, RecursionError) as exc:
            raise BadJson from exc
        if not isinstance(value, dict):
            raise BadJson
        return value


def _refuse(constant: str) -> None:
    raise ValueError(constant)  # NaN and Infinity are not JSON


def _finite(number: str) -> float:
    value = float(number)
    if not math.isfinite(value):  # 1e999 is JSON, but can't be stored or sent on
        raise ValueError(number)
    return value
