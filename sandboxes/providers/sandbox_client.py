"""The client of the ``deco_sandbox`` program, for every kind of sandbox that runs it."""

from __future__ import annotations

import asyncio
import json as jsonlib
import logging
from abc import abstractmethod
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any, Final
from urllib.parse import quote

import httpx

from links.transport import STREAMED, is_streamed
from links.upload import Body, Upload, UploadBroken
from links.wire import streamed
from mesh.lib.errors import AppError
from mesh.lib.targets import BadTarget, checked_target
from sandboxes.core.sse import Event, EventTooLong, SseReader
from sandboxes.providers.attachments import AttachmentSender, inlined, names_files
from sandboxes.providers.base import (
    DispatchRefused,
    Events,
    Json,
    NoAnswer,
    NotNow,
    Pairs,
    Place,
    SandboxDown,
    SandboxEvent,
    SandboxProvider,
    SandboxRemoved,
    Stream,
    StreamCut,
    UnknownRun,
    UploadStalled,
)
from sandboxes.providers.signature import clock_at, sign_request

logger = logging.getLogger(__name__)

# Seconds without progress; none of them limits a whole transfer.
START_LIMIT = 30.0  # until a sandbox must answer after it was started
REPLY_LIMIT = 15.0  # for anything else
OPEN_LIMIT = 75.0  # until a response starts, and between two pieces of it
# Until a dev server's response starts: a long poll takes minutes, and the sandbox gives up sooner.
# Then it may be silent for as long as it likes.
DEV_SERVER_LIMIT = 660.0
STATE_LIMIT = 4 * 1024 * 1024  # bytes of one state of the background
SILENCE_LIMIT = 45.0  # a stream sends at least a comment every 15 seconds


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where a sandbox is reached: a client, and the prefix of the program's own paths."""

    client: httpx.AsyncClient
    prefix: str

    def target(self, path: str) -> str:
        """Return the request target of ``path``, which has no leading slash.

        Raises:
            BadTarget, TargetTooLong: it would leave the prefix, or can't be sent.
        """
        return checked_target(f"{self.prefix}/{path}")

    def request(
        self,
        place: Place,
        method: str,
        path: str,
        *,
        timeout: httpx.Timeout | float,
        headers: Pairs = (),
        body: Body | None = None,
        json: Any = None,
    ) -> httpx.Request:
        """Return a signed request for ``path``, to be sent once with ``send``.

        httpx normalizes addresses: it removes dot segments and encodes some characters. So the
        target is also passed separately, exactly as it is to be sent and signed.

        Raises:
            BadTarget, TargetTooLong: see ``target``.
        """
        target = self.target(path)
        sent, is_upload = list(headers), isinstance(body, Upload)
        if isinstance(body, Upload) and body.length is not None:
            sent.append(("content-length", str(body.length)))
        request = self.client.build_request(
            method,
            target,
            headers=sent,
            content=body.pieces() if isinstance(body, Upload) else body,
            json=json,
            timeout=timeout,
            extensions={"target": target.encode("ascii"), STREAMED: is_upload},
        )
        if not request.url.raw_path.startswith(f"{self.prefix}/".encode("ascii")):
            raise BadTarget  # if the check above missed a normalization of this client
        return self._signed(request, place)

    async def send(
        self, request: httpx.Request, place: Place, *, stream: bool = False
    ) -> httpx.Response:
        """Return the response to a request of ``place``.

        One that was refused because of the machine's clock is sent once more, signed by that
        clock; not a streamed upload, whose body is gone.
        """
        reply = await self.client.send(request, stream=stream)
        if not clock_at(place).learn_from(reply) or is_streamed(request):
            return reply
        await reply.aclose()
        return await self.client.send(self._signed(request, place), stream=stream)

    def _signed(self, request: httpx.Request, place: Place) -> httpx.Request:
        return sign_request(request, handle=place.handle, prefix=self.prefix, clock=clock_at(place))


class HttpProvider(SandboxProvider):
    """A kind whose sandboxes are the ``deco_sandbox`` program, called over HTTP.

    A subclass must return the endpoint of a sandbox, and start and remove one.
    """

    # The error for a refused connection: by default, that the connection broke.
    unreachable: type[AppError] = StreamCut

    @abstractmethod
    async def endpoint(self, place: Place) -> Endpoint:
        """Return the program's endpoint; the program need not be running.

        Raises:
            LinkOffline: its machine is not connected.
            SandboxDown: there is no address because it is not running.
        """

    def dispatch(
        self, place: Place, *, harness_id: str, fence: int, input: Json, after: int = 0
    ) -> Stream:
        return self._dispatch(place, harness_id, fence, input, after)

    @asynccontextmanager
    async def _dispatch(
        self, place: Place, harness_id: str, fence: int, input: Json, after: int
    ) -> AsyncIterator[Events]:
        if names_files(input.get("messages", [])):
            input = {**input, "messages": await self._with_files(place, input["messages"])}
        body = {"harnessId": harness_id, "fence": fence, "input": input}
        async with self._stream(place, "POST", "dispatch", after, body) as events:
            yield events

    def attach(self, place: Place, *, run_id: str, fence: int, after: int) -> Stream:
        return self._stream(place, "GET", f"runs/{run_id}/events?fence={fence}", after)

    async def ack(self, place: Place, *, run_id: str, fence: int, n: int) -> None:
        await self._call(place, "POST", f"runs/{run_id}/ack", {"fence": fence, "n": n})

    async def cancel(self, place: Place, *, run_id: str) -> None:
        await self._call(place, "DELETE", f"runs/{run_id}")

    async def answer(
        self,
        place: Place,
        *,
        run_id: str,
        fence: int,
        approval_id: str,
        decision: str,
        reason: str,
        answers: Json | None = None,
    ) -> None:
        body: Json = {
            "approvalId": approval_id,
            "fence": fence,
            "decision": decision,
            "reason": reason,
        }
        if answers:
            body["answers"] = answers
        await self._call(place, "POST", f"runs/{run_id}/answers", body)

    async def steer(self, place: Place, *, run_id: str, steer_id: str, message: Json) -> None:
        (message,) = await self._with_files(place, [message])
        body = {"steerId": steer_id, "message": message}
        await self._call(place, "POST", f"runs/{run_id}/steers", body)

    @asynccontextmanager
    async def watch(self, place: Place) -> AsyncIterator[AsyncIterator[Json]]:
        async with self._opened(place, "GET", "background/events", 0) as reply:
            yield _states(reply)

    async def stop_task(self, place: Place, *, thread_id: str, task_id: str) -> None:
        path = f"background/{quote(thread_id, safe='')}/{quote(task_id, safe='')}"
        await self._call(place, "DELETE", path)

    async def end_thread(self, place: Place, *, thread_id: str) -> None:
        await self._call(place, "DELETE", f"background/{quote(thread_id, safe='')}")

    @asynccontextmanager
    async def open(
        self, place: Place, method: str, path: str, *, headers: Pairs = (), body: Body = b""
    ) -> AsyncIterator[httpx.Response]:
        endpoint = await self.endpoint(place)
        is_upload = isinstance(body, Upload)
        is_patient = streamed.sandbox_may_stream(f"/_sandbox/{path}")
        timeout = httpx.Timeout(
            REPLY_LIMIT,
            read=None if is_patient else OPEN_LIMIT,
            write=None if is_upload else REPLY_LIMIT,
        )
        request = endpoint.request(place, method, path, headers=headers, body=body, timeout=timeout)
        try:
            reply = await _answered(
                endpoint.send(request, place, stream=True),
                body,
                within=DEV_SERVER_LIMIT if is_patient else None,
            )
        except httpx.TransportError as exc:
            if isinstance(body, Upload) and body.is_broken:
                raise UploadBroken from exc
            raise self._broken(exc) from exc
        except TimeoutError as exc:
            raise NoAnswer from exc
        try:
            yield reply
        finally:
            await reply.aclose()

    async def streams_bodies(self, place: Place) -> bool:
        reply = await self.request(place, "GET", "health")
        return reply.is_success and says(reply.content, "streamsBodies")

    async def request(
        self, place: Place, method: str, path: str, *, json: Any = None, limit: float | None = None
    ) -> httpx.Response:
        return await self._sent(place, method, path, json=json, limit=limit)

    async def _sent(
        self,
        place: Place,
        method: str,
        path: str,
        *,
        json: Any = None,
        body: bytes | None = None,
        limit: float | None = None,
    ) -> httpx.Response:
        endpoint = await self.endpoint(place)
        timeout = limit or REPLY_LIMIT
        request = endpoint.request(place, method, path, json=json, body=body, timeout=timeout)
        try:
            return await endpoint.send(request, place)
        except httpx.TransportError as exc:
            raise self._broken(exc) from exc

    async def _with_files(self, place: Place, messages: list[Json]) -> list[Json]:
        """Return ``messages`` in the form that the sandbox accepts, after uploading their files.

        An older version of the program accepts files only inside the messages.
        """
        if not names_files(messages):
            return messages
        health = await self.request(place, "GET", "health")
        if not health.is_success:
            raise refusal(health.status_code, health.content)
        if not says(health.content, "takesAttachments"):
            return await inlined(messages, self.read_file)
        ask = partial(self._ask, place)
        return await self._attachments.by_reference(messages, self.read_file, ask)

    @cached_property
    def _attachments(self) -> AttachmentSender:
        return AttachmentSender()

    async def _ask(self, place: Place, method: str, path: str, body: bytes) -> Any:
        """Return the JSON of a successful response; ``None`` if it is not JSON."""
        reply = await self._sent(place, method, path, body=body)
        if not reply.is_success:
            raise refusal(reply.status_code, reply.content)
        try:
            return reply.json()
        except (ValueError, RecursionError):
            return None

    async def _call(self, place: Place, method: str, path: str, body: Json | None = None) -> None:
        """Send a request; return if the response is a success."""
        reply = await self.request(place, method, path, json=body)
        if not reply.is_success:
            raise refusal(reply.status_code, reply.content)

    @asynccontextmanager
    async def _stream(
        self, place: Place, method: str, path: str, after: int, body: Json | None = None
    ) -> AsyncIterator[Events]:
        async with self._opened(place, method, path, after, body) as reply:
            yield _events(reply, after)

    @asynccontextmanager
    async def _opened(
        self, place: Place, method: str, path: str, after: int, body: Json | None = None
    ) -> AsyncIterator[httpx.Response]:
        """Give the response, a success, of a request for a stream of events."""
        endpoint = await self.endpoint(place)
        headers = [("accept", "text/event-stream"), ("last-event-id", str(after))]
        timeout = httpx.Timeout(REPLY_LIMIT, read=SILENCE_LIMIT)
        request = endpoint.request(place, method, path, json=body, headers=headers, timeout=timeout)
        reply = await self._send_checked(endpoint, request, place)
        try:
            yield reply
        finally:
            await reply.aclose()

    async def _send_checked(
        self, endpoint: Endpoint, request: httpx.Request, place: Place
    ) -> httpx.Response:
        """Return the response, which is a success."""
        try:
            reply = await endpoint.send(request, place, stream=True)
            if reply.is_success:
                return reply
            try:
                raise refusal(reply.status_code, await reply.aread())
            finally:
                await reply.aclose()
        except httpx.TransportError as exc:
            raise self._broken(exc) from exc

    def _broken(self, error: Exception) -> AppError:
        if isinstance(error, httpx.ConnectError | httpx.ConnectTimeout):
            return self.unreachable()
        return cut(error)


async def _answered(
    sending: Coroutine[Any, Any, httpx.Response], body: Body, *, within: float | None
) -> httpx.Response:
    """Return the response to a request, which has ``within`` seconds after the last of the upload.

    Raises:
        TimeoutError: it did not start in time.
    """
    now = asyncio.get_running_loop().time
    async with asyncio.timeout(within) as limit:
        if within is not None and isinstance(body, Upload):
            body.on_piece = lambda: limit.reschedule(now() + within)
        try:
            return await sending
        finally:
            if isinstance(body, Upload):
                body.on_piece = lambda: None


def cut(error: Exception) -> StreamCut:
    """Return the error for a connection that broke after it was established."""
    if isinstance(error, httpx.WriteTimeout):
        return UploadStalled()
    return NoAnswer() if isinstance(error, httpx.ReadTimeout) else StreamCut()


_SENT_AGAIN: Final = ("attachments_missing", "attachment_damaged")


def says(health: bytes, flag: str) -> bool:
    """Return whether a sandbox says that it can do something that older ones can't."""
    try:
        return bool(jsonlib.loads(health)[flag])
    except (ValueError, KeyError, TypeError, RecursionError):
        return False


def spec_of(place: Place) -> Json:
    """Return the spec of a sandbox, as its link or its ``spec.json`` gets it."""
    spec = {
        "folder": place.folder,
        "repo": place.repo,
        "branch": place.branch,
        "application": place.application,
    }
    return {key: value for key, value in spec.items() if value is not None}


def refusal(status: int, body: bytes) -> Exception:
    """Return the error for a response other than 2xx."""
    code, message, hint = _said(body)
    if code == "unknown_run":
        return UnknownRun(message)
    if code == "unknown_handle":
        return SandboxRemoved(message)
    if code == "sandbox_down" or status in (502, 503, 504):
        return SandboxDown(message)
    # A signature is refused because of a clock, a restart or a new secret, all of them temporary.
    # Files that the sandbox lost are sent again.
    passes = status in (401, 408, 425, 429) or code in _SENT_AGAIN
    kind = NotNow if passes else DispatchRefused
    return kind(code or f"http_{status}", message or f"The machine answered {status}.", hint)


def _said(body: bytes) -> tuple[str, str, str]:
    """Return code, message and hint of an error response; empty ones if it has another form."""
    try:
        error: Any = jsonlib.loads(body)["error"]
        return str(error["code"]), str(error["message"]), str(error.get("hint", ""))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return "", "", ""


async def _events(reply: httpx.Response, after: int) -> Events:
    """Yield the events of an open stream, the last of them ``done``.

    Raises:
        StreamCut: the stream ended before that, or can't be read.
    """
    reader = SseReader()
    try:
        async for piece in reply.aiter_raw():
            for event in reader.feed(piece):
                if (parsed := _parse(event)) is not None and parsed.n > after:
                    after = parsed.n  # never yield an event twice
                    yield parsed
                    if parsed.is_last:
                        return
    except httpx.TransportError as exc:
        raise cut(exc) from exc
    except EventTooLong as exc:
        raise StreamCut from exc
    for event in reader.close():
        if (parsed := _parse(event)) is not None and parsed.is_last:
            yield parsed
            return
    raise StreamCut


async def _states(reply: httpx.Response) -> AsyncIterator[Json]:
    """Yield the states of an open feed.

    Raises:
        StreamCut: the feed has ended, or can't be read.
    """
    reader = SseReader(limit=STATE_LIMIT)
    try:
        async for piece in reply.aiter_raw():
            for event in reader.feed(piece):
                try:
                    state = jsonlib.loads(event.data)
                except (ValueError, RecursionError):
                    continue
                if isinstance(state, dict):
                    yield state
    except httpx.TransportError as exc:
        raise cut(exc) from exc
    except EventTooLong as exc:
        raise StreamCut from exc
    raise StreamCut


def _parse(event: Event) -> SandboxEvent | None:
    """Return the parsed event; ``None`` if it is malformed."""
    try:
        body = jsonlib.loads(event.data)
        n = int(event.id)
    except (ValueError, RecursionError):
        logger.warning("skipping a malformed event from the sandbox: id %r", event.id[:40])
        return None
    return SandboxEvent(n, body, len(event.data)) if isinstance(body, dict) else None
