"""The one parser of JSON requests.

A module of its own: DRF imports what its settings name in the middle of importing its views, so
this must need none of those.
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
    """Reads a JSON object; the limit is looked at before the body is."""

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
    raise ValueError(constant)  # NaN and Infinity are no JSON


def _finite(number: str) -> float:
    value = float(number)
    if not math.isfinite(value):  # 1e999 is JSON, but no number that could be kept or sent on
        raise ValueError(number)
    return value
