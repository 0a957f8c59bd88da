"""The one form of an expected failure, for every edge of Mesh."""

from __future__ import annotations

from typing import Any, ClassVar, Self


class AppError(Exception):
    """An expected failure: ``code`` for programs, sentence and ``hint`` for people.

    The sentence is ``text``, unless the raiser gives another. ``extra`` holds further
    fields of the response (such as ``activeCapabilities``). Any other exception that escapes
    is a bug: logged with its traceback, and shown outside only as ``internal_error``.
    """

    code: ClassVar[str] = "error"
    text: ClassVar[str] = "The request failed."
    hint: ClassVar[str] = "Try again."
    status: ClassVar[int] = 400
    retry_after: ClassVar[int] = 0  # seconds after which the same request may succeed; 0: never

    def __init__(self, text: str = "", **extra: Any) -> None:
        super().__init__(text)
        self.extra = extra

    def __str__(self) -> str:
        return super().__str__() or self.text

    def body(self) -> dict[str, Any]:
        """Return the JSON body every edge answers with."""
        return error_body(self.code, str(self), self.hint, **self.extra)

    def headers(self) -> dict[str, str]:
        """Return the headers that belong to the answer."""
        return {"Retry-After": str(self.retry_after)} if self.retry_after else {}


class Unauthorized(AppError):
    code = "unauthorized"
    text = "You are not signed in, or your token is unknown or has expired."
    hint = "Sign in, or send a token: Authorization: Bearer …"
    status = 401


class NotFound(AppError):
    """It does not exist, or the viewer may not know that it does: the two look the same."""

    code = "not_found"
    text = "There is nothing here."
    hint = "Check the address, and that you are signed in as the right person."
    status = 404


class MethodNotAllowed(AppError):
    code = "method_not_allowed"
    text = "This address does not accept that method."
    hint = "See /api/schema/ for the methods that it accepts."
    status = 405


class BodyTooLarge(AppError):
    code = "body_too_large"
    text = "The body is too large."
    hint = "Send a shorter message or smaller files."
    status = 413

    @classmethod
    def over(cls, limit: int) -> Self:
        """Return the error of a body that is longer than ``limit`` bytes."""
        for unit, name in ((1024**2, "MiB"), (1024, "KiB")):
            if limit >= unit and limit % unit == 0:
                return cls(f"The body is larger than {limit // unit} {name}.")
        return cls(f"The body is larger than {limit} bytes.")


class StoreNotReady(AppError):
    code = "store_not_ready"
    text = "The server's database can't be reached."
    hint = "Try again in a few seconds."
    status = 503
    retry_after = 2


class DiskFull(AppError):
    code = "disk_full"
    text = "The disk of the server's database is full."
    hint = "Ask the server's operator to free space, then try again."
    status = 503
    retry_after = 10


def error_body(code: str, message: str, hint: str, **extra: Any) -> dict[str, Any]:
    """Return ``{"error": {"code", "message", "hint", …extra}}``."""
    return {"error": {"code": code, "message": message, "hint": hint, **extra}}
