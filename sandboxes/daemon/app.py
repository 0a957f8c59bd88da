"""The HTTP routes of one sandbox, all under ``/_sandbox``."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from agents.harness.base import BadInput, parse_input
from agents.harness.questions import parse_answers
from links.signed_requests import read_body
from links.wire.server_signature import Verifier
from mesh.lib import errors
from mesh.lib.errors import AppError, error_body
from sandboxes.daemon.attachments import Attachments
from sandboxes.daemon.disk import DiskFull, broken_by, is_full
from sandboxes.daemon.feeds import SSE_HEADERS, FeedResponse, close_on_disconnect
from sandboxes.daemon.frames import ACCEPTED
from sandboxes.daemon.guard import (
    BODY_LIMIT,
    SignatureGuard,
    TargetGuard,
    TokenGuard,
    answer,
    read_json,
)
from sandboxes.daemon.journal import RunRow
from sandboxes.daemon.runs import Runs
from sandboxes.daemon.streams import RunStream

logger = logging.getLogger(__name__)

PREFIX = "/_sandbox"
ID_LIMIT = 100  # characters of a steer's id
MOST = 2**31  # the largest number of an event or an attempt


class MissingHarnessId(AppError):
    code = "missing_harness_id"
    text = "harnessId must be a non-empty string."
    hint = "Give the kind of agent, such as “claude-code”."


class NotFound(errors.NotFound):
    text = "The sandbox has no such route."
    hint = "The server and the laptop may run different versions: update both."


class MethodNotAllowed(errors.MethodNotAllowed):
    text = "That route does not accept this method."
    hint = "The server and the laptop may run different versions: update both."


@dataclass(frozen=True, slots=True)
class Identity:
    """What identifies this sandbox process, and the key that verifies its requests.

    In a container, requests also carry ``token``.
    """

    handle: str
    boot_id: str
    version: str
    server_key: str
    token: str = ""


def make_app(
    runs: Runs,
    identity: Identity,
    *,
    attachments: Attachments,
    on_request: Callable[[], None],
    more: Callable[[], ASGIApp],
    health: Callable[[], dict[str, Any]],
) -> ASGIApp:
    """Return the ASGI app; it calls ``on_request`` for each request that counts as use.

    ``more`` loads the rarely used routes at their first request; ``health`` returns what
    ``/health`` reports about them.
    """
    routes = Routes(runs, identity, attachments, health)
    app = Starlette(
        routes=[
            Route(f"{PREFIX}/health", routes.health, methods=["GET"]),
            Route(f"{PREFIX}/idle", routes.idle, methods=["GET"]),
            Route(f"{PREFIX}/attachments", routes.held, methods=["GET"]),
            Route(f"{PREFIX}/attachments/{{digest}}", routes.keep, methods=["PUT"]),
            Route(f"{PREFIX}/background", routes.background, methods=["GET"]),
            Route(f"{PREFIX}/background/events", routes.watch_background, methods=["GET"]),
            Route(f"{PREFIX}/background/{{thread_id}}", routes.end_thread, methods=["DELETE"]),
            Route(
                f"{PREFIX}/background/{{thread_id}}/{{task_id}}",
                routes.stop_task,
                methods=["DELETE"],
            ),
            Route(f"{PREFIX}/dispatch", routes.dispatch, methods=["POST"]),
            Route(f"{PREFIX}/runs", routes.list, methods=["GET"]),
            Route(f"{PREFIX}/runs/{{run_id}}", routes.cancel, methods=["DELETE"]),
            Route(f"{PREFIX}/runs/{{run_id}}/events", routes.events, methods=["GET"]),
            Route(f"{PREFIX}/runs/{{run_id}}/ack", routes.ack, methods=["POST"]),
            Route(f"{PREFIX}/runs/{{run_id}}/answers", routes.answer, methods=["POST"]),
            Route(f"{PREFIX}/runs/{{run_id}}/steers", routes.steer, methods=["POST"]),
        ],
        exception_handlers={
            AppError: _refused,
            sqlite3.Error: _broken_journal,
            HTTPException: _no_route,
            Exception: _bug,
        },
    )
    app.router.redirect_slashes = False
    app.router.default = LazyRoutes(more)
    verifier = Verifier(identity.server_key, handle=identity.handle)
    guarded = SignatureGuard(TargetGuard(ActivityTracker(app, on_request)), verifier)
    return TokenGuard(guarded, identity.token) if identity.token else guarded


class ActivityTracker:
    """Calls ``on_request`` for each request that is not mere observation."""

    OBSERVING = (
        f"{PREFIX}/background",
        f"{PREFIX}/background/events",
        f"{PREFIX}/health",
        f"{PREFIX}/idle",
        f"{PREFIX}/events",
    )

    def __init__(self, app: ASGIApp, on_request: Callable[[], None]) -> None:
        self._app, self._on_request = app, on_request

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] not in self.OBSERVING:
            self._on_request()
        await self._app(scope, receive, send)


class LazyRoutes:
    """Routes that are loaded at the first request that no other route matches."""

    def __init__(self, load: Callable[[], ASGIApp]) -> None:
        self._load = load
        self._app: ASGIApp | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._app is None:
            self._app = self._load()
        await self._app(scope, receive, send)


class Routes:
    """Each handler parses its request, calls ``Runs`` once, and responds."""

    def __init__(
        self,
        runs: Runs,
        identity: Identity,
        attachments: Attachments,
        more_health: Callable[[], dict[str, Any]],
    ) -> None:
        self._runs, self._identity, self._more_health = runs, identity, more_health
        self._attachments = attachments

    async def health(self, request: Request) -> Response:
        return JSONResponse(
            {
                "status": "ready",
                "version": self._identity.version,
                "bootId": self._identity.boot_id,
                "handle": self._identity.handle,
                "serverKey": self._identity.server_key,
                "activeRuns": self._runs.active,
                # Without this flag, a server sends files inside the messages.
                "takesAttachments": True,
                # Without this one, it sends a dev server only bodies that it has read whole.
                "streamsBodies": True,
                **self._more_health(),
            }
        )

    async def idle(self, request: Request) -> Response:
        health = self._more_health()
        return JSONResponse({"idle": health["idle"], "idleSeconds": health["idleSeconds"]})

    async def held(self, request: Request) -> Response:
        """Return how many bytes of each file the sandbox has, so that the server sends the rest."""
        digests = request.query_params.getlist("digest")
        return JSONResponse({"held": {each: self._attachments.held(each) for each in digests}})

    async def keep(self, request: Request) -> Response:
        """Store one piece of a file."""
        held = self._attachments.add(
            request.path_params["digest"],
            size=_number(request.query_params, "size", least=1),
            offset=_number(request.query_params, "offset", least=0),
            piece=await read_body(request.receive, BODY_LIMIT),
        )
        return JSONResponse({"held": held})

    async def dispatch(self, request: Request) -> Response:
        body = await _object(request)
        harness = body.get("harnessId")
        if not isinstance(harness, str) or not harness:
            raise MissingHarnessId
        turn = parse_input(body.get("input"))
        self._attachments.fill(list(turn.messages))
        fence = _number(body, "fence", least=1)
        after = _after(request)
        stream = self._runs.dispatch(harness=harness, fence=fence, turn=turn, after=after)
        return EventStream(stream, after=after)

    async def list(self, request: Request) -> Response:
        runs = [
            {
                "runId": run.run_id,
                "fence": run.fence,
                "lastN": run.last_n,
                "state": "done" if run.is_done else "running",
                **({} if run.unasked is None else _unasked(run)),
            }
            for run in self._runs.list()
        ]
        return JSONResponse({"runs": runs})

    async def background(self, request: Request) -> Response:
        """Return what programs do beside the turns that the server gave them, by thread."""
        return JSONResponse(self._runs.background.state())

    async def watch_background(self, request: Request) -> Response:
        """Send the same as ``background``, now and after each change."""
        return FeedResponse(self._runs.background.watch(), self._runs.background.unwatch)

    async def end_thread(self, request: Request) -> Response:
        """End all that runs for a thread, such as one that was deleted."""
        self._runs.end_thread(request.path_params["thread_id"])
        return Response(status_code=204)

    async def stop_task(self, request: Request) -> Response:
        self._runs.background.stop_task(
            request.path_params["thread_id"], request.path_params["task_id"]
        )
        return Response(status_code=204)

    async def events(self, request: Request) -> Response:
        fence = _number(request.query_params, "fence", least=1)
        after = _after(request)
        stream = self._runs.stream(request.path_params["run_id"], fence=fence, after=after)
        return EventStream(stream, after=after)

    async def ack(self, request: Request) -> Response:
        body = await _object(request)
        self._runs.ack(
            request.path_params["run_id"],
            fence=_number(body, "fence", least=1),
            n=_number(body, "n", least=0),
        )
        return Response(status_code=204)

    async def answer(self, request: Request) -> Response:
        body = await _object(request)
        decision, reason = body.get("decision"), body.get("reason") or ""
        if decision not in ("allow", "deny"):
            raise BadInput("decision must be “allow” or “deny”.", detail="decision")
        if not isinstance(reason, str):
            raise BadInput("reason must be a string.", detail="reason")
        try:
            answers = parse_answers(body.get("answers"))
        except ValueError as exc:
            raise BadInput(f"{exc}.", detail="answers") from exc
        self._runs.answer(
            request.path_params["run_id"],
            fence=_number(body, "fence", least=1),
            approval_id=str(body.get("approvalId")),
            decision=decision,
            reason=reason,
            answers=answers,
        )
        return Response(status_code=204)

    async def steer(self, request: Request) -> Response:
        body = await _object(request)
        steer_id, message = body.get("steerId"), body.get("message")
        if not isinstance(steer_id, str) or not 0 < len(steer_id) <= ID_LIMIT:
            raise BadInput("steerId must be a non-empty string.", detail="steerId")
        if not isinstance(message, dict):
            raise BadInput("message must be an object.", detail="message")
        self._attachments.fill([message])
        self._runs.steer(request.path_params["run_id"], steer_id=steer_id, message=message)
        return Response(status_code=204)

    async def cancel(self, request: Request) -> Response:
        self._runs.cancel(request.path_params["run_id"])
        return Response(status_code=204)


class EventStream(Response):
    """A run's events as server-sent events: what is stored, then live, until ``done``."""

    def __init__(self, stream: RunStream, *, after: int) -> None:
        self._stream, self._after = stream, after

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": SSE_HEADERS})
        # Before any event, so that the server knows that the run is in the journal.
        await send({"type": "http.response.body", "body": ACCEPTED, "more_body": True})
        async with self._stream.reader(self._after) as reader:
            watching = asyncio.create_task(close_on_disconnect(receive, reader))
            try:
                while block := await reader.next():
                    await send({"type": "http.response.body", "body": block, "more_body": True})
            finally:
                watching.cancel()
        await send({"type": "http.response.body", "body": b"", "more_body": False})


def _unasked(run: RunRow) -> dict[str, Any]:
    """Return what the server must know to adopt a run that a program began by itself."""
    return {"threadId": run.thread_id, "harnessId": run.harness, "unasked": run.unasked}


async def _object(request: Request) -> dict[str, Any]:
    body = await read_json(request)
    if not isinstance(body, dict):
        raise BadInput("The body must be a JSON object.", detail="body")
    return body


def _number(values: Any, key: str, *, least: int) -> int:
    """Return a whole number from a JSON object or a query.

    Raises:
        BadInput: it is missing, of another type, or too small.
    """
    value = values.get(key)
    if isinstance(value, str) and value.isascii() and value.isdecimal() and len(value) < 16:
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= MOST:
        raise BadInput(f"{key} must be a whole number of at least {least}.", detail=key)
    return value


def _after(request: Request) -> int:
    """Return the last number that the client has: ``Last-Event-ID``, else ``?after=``, else 0."""
    given = request.headers.get("last-event-id") or request.query_params.get("after") or "0"
    return _number({"after": given}, "after", least=0)


async def _refused(request: Request, exc: Exception) -> Response:
    assert isinstance(exc, AppError)
    return answer(exc)


async def _broken_journal(request: Request, exc: Exception) -> Response:
    assert isinstance(exc, sqlite3.Error)
    logger.error("%s %s: writing the journal failed: %s", request.method, request.url.path, exc)
    return answer(broken_by(exc))


async def _no_route(request: Request, exc: Exception) -> Response:
    assert isinstance(exc, HTTPException)
    return answer(MethodNotAllowed() if exc.status_code == 405 else NotFound())


async def _bug(request: Request, exc: Exception) -> Response:
    if is_full(exc):
        logger.error("%s %s: the disk is full: %s", request.method, request.url.path, exc)
        return answer(DiskFull())
    logger.error(
        "%s %s: unexpected error, answered 500", request.method, request.url.path, exc_info=exc
    )
    hint = "See the sandbox's log for details."
    body = error_body("internal_error", "The sandbox failed to handle this request.", hint)
    return JSONResponse(body, status_code=500)
