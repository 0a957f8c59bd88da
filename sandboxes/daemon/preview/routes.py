"""The route of the preview's menu. The preview itself is no route: it takes all other paths."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from agents.harness.base import BadInput
from sandboxes.daemon.guard import read_json
from sandboxes.daemon.preview.probe import Probe


def routes(prefix: str, probe: Probe) -> list[Route]:
    """Return the routes over one sandbox's preview."""

    async def choose(request: Request) -> Response:
        body = await read_json(request)
        if not isinstance(body, dict) or "port" not in body:
            raise BadInput("The body must be an object with a port.", detail="port")
        port = body["port"]
        if port is not None and (type(port) is not int or not 0 < port < 65536):
            raise BadInput("port must be a number from 1 to 65535, or null.", detail="port")
        await probe.choose(port)
        return JSONResponse({"port": port})

    return [Route(f"{prefix}/port", choose, methods=["POST"])]
