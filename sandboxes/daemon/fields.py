"""Reads the fields of a JSON body one by one, and checks their types and limits."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from starlette.requests import Request

from agents.harness.base import BadInput
from sandboxes.daemon.guard import read_json


async def fields_of(request: Request) -> Fields:
    """Return the body as fields; an empty body has none.

    Raises:
        BadJson, BodyTooLarge: see ``read_json``.
        BadInput: the body is not a JSON object.
    """
    if request.headers.get("content-length") == "0":
        return Fields({})
    body = await read_json(request)
    if not isinstance(body, dict):
        raise BadInput("The body must be a JSON object.", detail="body")
    return Fields(body)


class Fields:
    """A JSON object; each method raises ``BadInput``, naming the field, if its value is invalid."""

    def __init__(self, values: Mapping[str, Any]) -> None:
        self._values = values

    @property
    def values(self) -> Mapping[str, Any]:
        """The object as it came."""
        return self._values

    def text(self, name: str, default: str | None = None, *, most: int | None = None) -> str:
        """Return a string; required without ``default``."""
        value = self._values.get(name)
        if value is None and default is not None:
            return default
        if not isinstance(value, str):
            raise BadInput(f"{name} must be a string.", detail=name)
        if most is not None and len(value) > most:
            raise BadInput(f"{name} may have at most {most} characters.", detail=name)
        return value

    def path(self, name: str = "path", *, most: int | None = None) -> str:
        """Return a required string that is not empty."""
        value = self.text(name, most=most)
        if not value:
            raise BadInput(f"{name} must not be empty.", detail=name)
        return value

    def flag(self, name: str) -> bool:
        """Return a boolean; ``False`` if it is missing."""
        value = self._values.get(name)
        if value is not None and not isinstance(value, bool):
            raise BadInput(f"{name} must be true or false.", detail=name)
        return bool(value)

    def number(self, name: str, default: int, *, least: int, most: int) -> int:
        """Return a whole number of at least ``least``; a larger one than ``most`` is capped."""
        value = self._values.get(name)
        if value is None:
            return default
        if not isinstance(value, int) or isinstance(value, bool) or value < least:
            raise BadInput(f"{name} must be a whole number of at least {least}.", detail=name)
        return min(value, most)

    def choice(self, name: str, *choices: str) -> str:
        """Return one of ``choices``; the first if it is missing."""
        value = self._values.get(name, choices[0])
        if value not in choices:
            raise BadInput(f"{name} must be one of: {', '.join(choices)}.", detail=name)
        return str(value)

    def texts(self, name: str) -> dict[str, str]:
        """Return an object whose values are strings; empty if it is missing."""
        value = self._values.get(name) or {}
        if not isinstance(value, dict) or not all(isinstance(v, str) for v in value.values()):
            raise BadInput(f"{name} must be an object whose values are strings.", detail=name)
        return value

    def list_of_texts(self, name: str, *, most: int) -> list[str]:
        """Return a list of strings; empty if it is missing."""
        value = self._values.get(name) or []
        sound = isinstance(value, list) and all(isinstance(v, str) and v for v in value)
        if not sound or len(value) > most:
            raise BadInput(f"{name} must be a list of at most {most} strings.", detail=name)
        return list(value)
