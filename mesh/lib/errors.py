"""The one form of an expected failure, for every edge of Mesh."""

from __future__ import annotations

from typing import Any, ClassVar


class AppError(Exception):
    """An expected failure: ``code`` for programs, sentence and ``hint`` for people.

    The sentence is ``text``, or what the raiser gives instead. ``extra`` holds further
    fields of the answer (such as ``activeCapabilities``). Anything else that escapes
    is a bug: logged whole, and shown outside only as ``internal_error``.
    """

    code: ClassVar[str] = "error"
    text: ClassVar[str] = "The request could not be carried out."
    hint: ClassVar[str] = "Try again."
    status: ClassVar[int] = 400

    def __init__(self, text: str = "", **extra: Any) -> None:
        super().__init__(text)
        self.extra = extra

    def __str__(self) -> str:
        return super().__str__() or self.text

    def body(self) -> dict[str, Any]:
        """Return the JSON body every edge answers with."""
        return error_body(self.code, str(self), self.hint, **self.extra)


def error_body(code: str, message: str, hint: str, **extra: Any) -> dict[str, Any]:
    """Return ``{"error": {"code", "message", "hint", …extra}}``."""
    return {"error": {"code": code, "message": message, "hint": hint, **extra}}
