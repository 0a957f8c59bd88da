"""The MCP servers of a run's agent: their tools, and calls of them.

Importing this takes seconds: see ``library``. Only servers with a URL: a stdio program would have
to run on this server. Their tokens come with the run (ADR 11) and are used only in the headers of
the requests.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any, Final

import httpx2
from mcp import Client, MCPError
from mcp.client.streamable_http import streamable_http_client
from mcp.types import (
    CONNECTION_CLOSED,
    ElicitRequestParams,
    ElicitRequestURLParams,
    ElicitResult,
)
from pydantic_ai.exceptions import UserError
from pydantic_ai.profiles.openai import OpenAIJsonSchemaTransformer

from agents.core.mcp import ANSWER_LIMIT
from agents.harness.decopilot.memory import cut
from agents.harness.decopilot.remote import RemoteTool, read_result, tools_of, without_secrets
from agents.harness.mcp import McpServer
from mesh.egress import AddressRefused, Guard
from mesh.http_client import MIB, Limits
from mesh.lib.addresses import Allowed
from threads.decopilot.files import ToolFailed
from threads.decopilot.toolbox import OUTPUT_LIMIT, Elicit, Elicitation, ToolResult
from threads.decopilot.transport import guarded_client

CALL_LIMIT: Final = 600.0  # seconds that one call may take
CLOSE_LIMIT: Final = 2.0  # seconds for telling a server that the session ends
LIMITS: Final = Limits(body=16 * MIB, stream=64 * MIB)
PAGES_LIMIT: Final = 20  # of a list of tools
SILENT: Final = "It did not answer in time."
NO_MCP: Final = "It could not be reached, or does not speak MCP."


class Unusable(Exception):
    """A server can't be used; the sentence says why, without any secret."""


class Silent(Unusable):
    """A server does not answer."""


class Servers:
    """All servers of one run. One that can't be used is reported, and the run continues.

    ``elicit`` asks the run's person what a server wants to know in the middle of a call.
    """

    def __init__(
        self, servers: Sequence[McpServer], *, allowed: Allowed, elicit: Elicit | None = None
    ) -> None:
        self._connections = {
            each.name: Connection(each, allowed=allowed, elicit=elicit) for each in servers
        }
        self.tools: Mapping[str, RemoteTool] = {}

    async def open(self) -> dict[str, Unusable]:
        """Load the tools of all servers in parallel; return the unusable ones, with the reason."""
        connections = self._connections.values()
        opened = await asyncio.gather(
            *(each.open() for each in connections), return_exceptions=True
        )
        tools: dict[str, RemoteTool] = {}
        problems: dict[str, Unusable] = {}
        for name, found in zip(self._connections, opened, strict=True):
            if isinstance(found, list):
                tools |= {tool.name: tool for tool in found}
            elif isinstance(found, Unusable):
                problems[name] = found
            else:
                raise found
        self.tools = tools
        return problems

    async def call(self, tool: RemoteTool, body: dict[str, Any]) -> ToolResult:
        """Return the tool's result.

        Raises:
            ToolFailed: it failed, or its server can't be reached; the sentence is for the model.
        """
        return await self._connections[tool.server].call(tool, body)

    async def close(self) -> None:
        await asyncio.gather(*(each.close() for each in self._connections.values()))


class Connection:
    """One server. Its session may break between two calls; the next call opens another."""

    def __init__(
        self, server: McpServer, *, allowed: Allowed, elicit: Elicit | None = None
    ) -> None:
        self._server = server
        self._elicit = elicit
        # Without a secret in the headers, plain HTTP exposes nothing.
        self._guard = Guard(allowed=allowed, plain=not server.headers)
        self._session: _Session | None = None
        # If several calls find the session broken, one of them opens the next.
        self._opening = asyncio.Lock()

    async def open(self) -> list[RemoteTool]:
        """Connect, and return the server's tools.

        Raises:
            Unusable
        """
        async with self._opening:
            return await self._open()

    async def _open(self) -> list[RemoteTool]:
        session = _Session(self._server, self._guard, self._elicit)
        try:
            async with asyncio.timeout(ANSWER_LIMIT):
                tools = await session.tools()
        except TimeoutError as exc:
            raise Silent(SILENT) from exc
        else:
            self._session = session
            return tools
        finally:
            if self._session is not session:  # it failed, or the caller was cancelled
                session.end()

    async def _ready(self) -> _Session:
        async with self._opening:
            if self._session is None or not self._session.is_open:
                try:
                    await self._open()
                except Unusable as exc:
                    raise ToolFailed(f"The MCP server {self._server.name} is gone. {exc}") from exc
            assert self._session is not None
            return self._session

    async def call(self, tool: RemoteTool, body: dict[str, Any]) -> ToolResult:
        """Return the tool's result.

        Raises:
            ToolFailed
        """
        session = await self._ready()
        try:
            result = await self._call_tool(session, tool.remote_name, body)
        except MCPError as exc:
            if exc.code == CONNECTION_CLOSED and exc.message == "Connection closed":
                await session.close()
                raise self._broken(session) from exc
            if session.status == 404:  # the server dropped this session: the next call opens one
                await session.close()
            raise ToolFailed(self._clean(exc.message)[:500] or "It was refused.") from exc
        except (ValueError, RuntimeError) as exc:
            raise ToolFailed(
                "The tool's answer does not match the schema that its server declares."
            ) from exc
        text, image = read_result(result)
        text = self._clean(cut(text, OUTPUT_LIMIT))
        if result.is_error:
            raise ToolFailed(text or "The tool failed without a message.")
        return ToolResult(text or "(It returned no text.)", image)

    async def _call_tool(self, session: _Session, name: str, body: dict[str, Any]) -> Any:
        if session.client is None:  # it broke since ``_ready`` returned it
            raise self._broken(session)
        call = asyncio.create_task(session.client.call_tool(name, body))
        try:
            await asyncio.wait({call, session.task}, return_when=asyncio.FIRST_COMPLETED)
            if not call.done():
                raise self._broken(session)
            return await call
        finally:
            call.cancel()

    def _broken(self, session: _Session) -> ToolFailed:
        return ToolFailed(
            f"The connection to the MCP server {self._server.name} broke, so it is not known"
            f" whether this was done. {session.why}".rstrip()
        )

    async def close(self) -> None:
        """End the session politely, within ``CLOSE_LIMIT``."""
        if self._session is not None:
            await self._session.close()

    def _clean(self, text: str) -> str:
        return without_secrets(text, self._server)


class _Session:
    """One session with a server, opened immediately. The library's client lives in a task of its
    own, ``task``, which also closes it."""

    def __init__(self, server: McpServer, guard: Guard, elicit: Elicit | None) -> None:
        self._server = server
        self._guard = guard
        self._elicit = elicit
        self._closing = asyncio.Event()
        self._listed: asyncio.Future[list[RemoteTool]] = asyncio.get_running_loop().create_future()
        self.client: Client | None = None
        self.status = 0  # of the last error response
        self.why = ""
        self.task = asyncio.create_task(self._serve(), name=f"mcp {server.name}")

    @property
    def is_open(self) -> bool:
        return self.client is not None

    async def tools(self) -> list[RemoteTool]:
        """Return the tools that the server lists.

        Raises:
            Unusable
        """
        await asyncio.wait({self._listed})
        if self._listed.cancelled():
            raise Unusable(NO_MCP)
        return self._listed.result()

    async def close(self) -> None:
        """End the session politely, within ``CLOSE_LIMIT``."""
        self.client = None  # no further call starts in it
        self._closing.set()
        await asyncio.wait({self.task}, timeout=CLOSE_LIMIT)
        self.end()

    def end(self) -> None:
        """Drop the session without telling the server."""
        self.client = None
        self.task.cancel()

    async def _serve(self) -> None:
        try:
            async with self._connected() as client:
                listed = tools_of(self._server.name, await _list(client))
                self.client = client
                self._listed.set_result([tool for tool in listed if _is_usable(tool.schema)])
                await self._closing.wait()
        except Exception as exc:
            self.why = self._sentence(exc)
            if not self._listed.done():
                kind = Silent if self.why == SILENT else Unusable
                self._listed.set_exception(kind(self.why))
                self._listed.exception()  # retrieved, since perhaps nobody waits for it any more
        finally:
            self.client = None
            self._listed.cancel()

    @contextlib.asynccontextmanager
    async def _connected(self) -> AsyncIterator[Client]:
        http = guarded_client(
            self._guard,
            silence=CALL_LIMIT,
            limits=LIMITS,
            headers=dict(self._server.headers),
            event_hooks={"response": [self._record_status]},
        )
        async with http:
            streams = streamable_http_client(self._server.url, http_client=http)
            async with Client(
                streams,
                cache=None,
                read_timeout_seconds=CALL_LIMIT,
                elicitation_callback=self._ask if self._elicit else None,
            ) as client:
                yield client

    async def _ask(self, context: Any, params: ElicitRequestParams) -> ElicitResult:
        """Answer a server that needs to know something before it can go on with a call."""
        assert self._elicit is not None
        if isinstance(params, ElicitRequestURLParams):
            wanted = Elicitation(self._server.name, params.message, address=str(params.url))
        else:
            schema = dict(params.requested_schema)
            wanted = Elicitation(self._server.name, params.message, schema=schema)
        content = await self._elicit(wanted)
        if content is None:
            return ElicitResult(action="decline")
        return ElicitResult(action="accept", content=content if wanted.schema else None)

    async def _record_status(self, response: httpx2.Response) -> None:
        if response.status_code >= 400:
            self.status = response.status_code

    def _sentence(self, exc: BaseException) -> str:
        for cause in _causes(exc):
            if isinstance(cause, AddressRefused):
                return str(cause)
            if isinstance(cause, TimeoutError | httpx2.TimeoutException):
                return SILENT
        if self.status in (401, 403):
            return f"It refused this agent's token ({self.status})."
        if self.status:
            return f"It answered {self.status}."
        return NO_MCP


def _is_usable(schema: dict[str, Any]) -> bool:
    """Return whether the model library accepts the schema: one it refuses would end the run."""
    try:
        OpenAIJsonSchemaTransformer(schema).walk()
    except UserError:
        return False
    return True


async def _list(client: Client) -> list[Any]:
    found: list[Any] = []
    cursor = None
    for _ in range(PAGES_LIMIT):
        page = await client.list_tools(cursor=cursor)
        found += page.tools
        cursor = page.next_cursor
        if not cursor:
            break
    return found


def _causes(exc: BaseException) -> list[BaseException]:
    """Return the errors inside nested exception groups."""
    if isinstance(exc, BaseExceptionGroup):
        return [cause for each in exc.exceptions for cause in _causes(each)]
    return [exc]
