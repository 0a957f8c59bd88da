"""What every JSON edge shares: one form of error, and the signed-in person."""

from __future__ import annotations

import logging
from typing import Any

from django.conf import settings
from django.core.exceptions import PermissionDenied, RequestDataTooBig
from django.http import Http404, HttpRequest, JsonResponse
from rest_framework import exceptions
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import exception_handler

from mesh.database_errors import unavailable, unavailable_now
from mesh.lib.errors import AppError, BodyTooLarge, MethodNotAllowed, error_body
from mesh.models import User
from mesh.unstorable import is_unstorable

logger = logging.getLogger(__name__)


class StalePage(AppError):
    code = "stale_page"
    text = "This page is out of date: its CSRF token is missing, or older than your sign-in."
    hint = "Reload the page; what you wrote is kept. Programs send a bearer token instead."
    status = 403


class UnstorableText(AppError):
    code = "invalid_input"
    text = "A text contains a character that can't be stored: a NUL or half a surrogate pair."
    hint = "Send it without that character."


# DRF's refusals: (code, sentence, hint).
_REFUSALS: dict[type[exceptions.APIException], tuple[str, str, str]] = {
    exceptions.NotAuthenticated: (
        "unauthorized",
        "You are not signed in.",
        "Sign in, or send a token: Authorization: Bearer …",
    ),
    exceptions.AuthenticationFailed: (
        "unauthorized",
        "The token is unknown or has expired.",
        "Make a new one with: manage.py mesh_token",
    ),
    exceptions.PermissionDenied: (
        "forbidden",
        "You are not allowed to do this.",
        "Ask an admin of the organization.",
    ),
    exceptions.MethodNotAllowed: (
        MethodNotAllowed.code,
        MethodNotAllowed.text,
        MethodNotAllowed.hint,
    ),
    exceptions.UnsupportedMediaType: (
        "invalid_json",
        "The body is not JSON.",
        "Send an object, with Content-Type: application/json.",
    ),
    exceptions.NotFound: ("not_found", "There is nothing here.", "Check the address."),
    exceptions.Throttled: ("too_many_requests", "Too many requests.", "Wait, then try again."),
}


def answer_error(exc: Exception, context: dict[str, Any]) -> Response | None:
    """Answer in one shape; ``None`` means a bug, which Django logs and shows as 500."""
    if isinstance(exc, RequestDataTooBig):
        exc = BodyTooLarge.over(settings.DATA_UPLOAD_MAX_MEMORY_SIZE)
    if is_unstorable(exc):
        exc = UnstorableText()
    if away := unavailable(exc):
        logger.warning("answered 503, %s: %r", away.code, exc)
        exc = away
    if isinstance(exc, AppError):
        return Response(exc.body(), status=exc.status, headers=exc.headers())
    if isinstance(exc, Http404):
        exc = exceptions.NotFound()
    elif isinstance(exc, PermissionDenied):
        exc = exceptions.PermissionDenied()
    if isinstance(exc, exceptions.PermissionDenied) and str(exc).startswith("CSRF Failed"):
        exc = StalePage()  # perhaps the person signed in again in another tab
        return Response(exc.body(), status=exc.status)
    answer = exception_handler(exc, context)
    if answer is None:
        return None
    if isinstance(exc, exceptions.ValidationError):
        answer.data = error_body(
            "invalid_input", _first_reason(exc.detail), "See fields.", fields=exc.detail
        )
        return answer
    if isinstance(exc, exceptions.UnsupportedMediaType):
        answer.status_code = 400
    for kind, (code, message, hint) in _REFUSALS.items():
        if isinstance(exc, kind):
            answer.data = error_body(code, message, hint)
            return answer
    answer.data = error_body("refused", "The request was refused.", "Check the request.")
    return answer


def _first_reason(detail: Any, field: str = "") -> str:
    """Return the first reason in DRF's nested details as one sentence."""
    if isinstance(detail, dict):
        for name, inner in detail.items():
            if inner:
                return _first_reason(inner, "" if name == "non_field_errors" else str(name))
    if isinstance(detail, list):
        for inner in detail:
            if inner:
                return _first_reason(inner, field)
    text = str(detail)
    return f"{field}: {text}" if field else text


def answer_server_error(request: HttpRequest, *args: Any) -> JsonResponse:
    """Answer in the one shape, below ``/api/``, what no view has caught; Django logs it whole.

    Call it while the exception is being handled: the database may merely be away.
    """
    if away := unavailable_now():
        return JsonResponse(away.body(), status=away.status, headers=away.headers())
    return JsonResponse(
        error_body(
            "internal_error", "Something went wrong on the server.", "Try again. It was logged."
        ),
        status=500,
    )


def signed_in(request: Request) -> User:
    """Return the signed-in person, in views that require a sign-in."""
    assert isinstance(request.user, User)
    return request.user
