"""Errors in messages from the other end."""

from __future__ import annotations

from typing import Any, ClassVar, Final

from links.wire import closing
from mesh.lib.errors import AppError


class BadMessage(AppError):
    """A message lacks a field, or has one of the wrong type."""

    code = "invalid_input"
    text = "The message is malformed."
    hint = "See the description of the API at /api/schema/."


class RequestRefused(AppError):
    """A request to the laptop is not proven to be the server's, timely and new."""

    code = "unauthorized"
    hint = "Requests to a laptop are signed with the link's secret."
    status = 401
    reason: ClassVar[str]

    def __init__(self, text: str = "", **extra: Any) -> None:
        super().__init__(text, reason=self.reason, **extra)


class MissingHeaders(RequestRefused):
    text = "The request is not signed."
    reason = "missing_headers"


class BadSignature(RequestRefused):
    code = reason = "bad_signature"
    text = "The signature does not match the request."
    hint = "The link's secret may have changed; the laptop will register again and reconnect."


CLOCK: Final = "x-mesh-clock"  # the laptop's time, in seconds, in a refusal for its sake


class TimestampDrift(RequestRefused):
    """``now`` is the time of the clock that refused, by which the request can be signed again."""

    code = reason = "timestamp_drift"
    text = "The clocks of server and laptop are more than 30 s apart."
    hint = "Set both clocks to network time."

    def __init__(self, now: float) -> None:
        super().__init__()
        self.now = now

    def headers(self) -> dict[str, str]:
        return {CLOCK: str(int(self.now))}


class NonceReplay(RequestRefused):
    code = reason = "nonce_replay"
    text = "This request was already executed."
    hint = "Sign each request with a new nonce."


class NotSignedByServer(RequestRefused):
    code = reason = "not_signed_by_server"
    text = "The request does not carry the server's signature."
    hint = "Only the server may call a sandbox; answer and send messages on its pages."


class BadServerSignature(RequestRefused):
    code = reason = "bad_server_signature"
    text = "The server's signature does not match the request."
    hint = "If the server's secret key was changed, stop the sandbox; it restarts with the new key."


class TooManyRequests(AppError):
    code = "too_many_requests"
    text = "Too many signed requests arrived."
    hint = "Wait two minutes."
    status = 503


class TunnelError(AppError):
    """The other end violated the tunnel's protocol; the tunnel is closed with ``close_code``."""

    code = "tunnel_protocol"
    text = "The other end violated the tunnel's protocol."
    hint = "Update deco_link or the server, so that both have the same version."
    close_code: ClassVar[int] = 1002


class MalformedFrame(TunnelError):
    code = "malformed_frame"


class FrameTooLarge(TunnelError):
    code = "frame_too_large"
    close_code = 1009


class HelloExpected(TunnelError):
    code = "hello_expected"
    text = "The first frame must be the greeting."
    close_code = 1008


class UpgradeRequired(TunnelError):
    code = "upgrade_required"
    text = "The program at the other end is too old."
    close_code = closing.TOO_OLD


class CreditExceeded(TunnelError):
    code = "credit_exceeded"
    text = "More bytes were sent on a stream than its credit allows."


class OutOfTurn(TunnelError):
    """A frame arrived that its stream's state does not allow."""

    code = "out_of_turn"


class TooManyStreams(AppError):
    code = "too_many_streams"
    text = "The machine has too many open requests."
    hint = "Wait until some of them have finished."
    status = 503


class TunnelNotReady(AppError):
    code = "tunnel_not_ready"
    text = "The machine has connected but not greeted yet."
    hint = "Try again in a moment."
    status = 503
