"""Real MCP servers with one tool, ``paint``, that asks for a colour and a number of coats first."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import socket
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Literal

import uvicorn
from mcp.server.mcpserver import MCPServer
from mcp.server.mcpserver.resolve import Elicit, Resolve
from pydantic import BaseModel, Field

from mesh.develop import TOOLS
from tests.waiting import until

OLD = Path(__file__).with_name("mcp_asking_old.mjs")


class Paint(BaseModel):
    """What the server wants to know."""

    colour: Literal["red", "blue"]
    coats: int = Field(ge=1, le=3)


def _ask() -> Elicit[Paint]:
    return Elicit("How shall it look?", Paint)


@contextlib.contextmanager
def modern() -> Iterator[str]:
    """Serve the newest protocol with the Python SDK; the value is the address."""
    server = MCPServer("painter")

    @server.tool()
    async def paint(wanted: Annotated[Paint, Resolve(_ask)]) -> str:
        """Paint it."""
        return f"{wanted.coats} coats of {wanted.colour}"

    config = uvicorn.Config(server.streamable_http_app(), port=0, log_level="error")
    running = uvicorn.Server(config)
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        thread = threading.Thread(
            target=lambda: asyncio.run(running.serve(sockets=[bound])), daemon=True
        )
        thread.start()
        until(lambda: running.started)
        try:
            yield f"http://127.0.0.1:{bound.getsockname()[1]}/mcp"
        finally:
            running.should_exit = True
            thread.join(10)


@contextlib.contextmanager
def old() -> Iterator[str]:
    """Serve the protocol with sessions (2025-11-25) with the TypeScript SDK 1; the value is the
    address."""
    node = shutil.which("node")
    assert node
    process = subprocess.Popen(
        [node, OLD, TOOLS], stdout=subprocess.PIPE, text=True, env={"PATH": os.environ["PATH"]}
    )
    try:
        assert process.stdout
        yield f"http://127.0.0.1:{int(process.stdout.readline())}/mcp"
    finally:
        process.kill()
        process.wait()
