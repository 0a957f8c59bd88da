"""The server's ASGI application: pages and API, sockets, and background services.

This is the composition root: the apps are connected only here. Events go up from ``links`` to
``threads`` through the handlers given to the gateway.
"""

from __future__ import annotations

import os
from typing import Any

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "mesh.settings")

from django.core.asgi import get_asgi_application

_django = get_asgi_application()  # first: the imports below need the apps loaded

from channels.auth import AuthMiddlewareStack
from django.conf import settings

from links.direct import Directs
from links.gateway import make_gateway
from links.internal.listener import Listener
from links.services import presence_changed
from links.upkeep import Upkeep
from mesh.body_limits import limited
from mesh.client_address import Proxied
from mesh.content_types import with_readable_type
from mesh.early_authentication import is_signed_in
from mesh.lib.asgi import Receive, Send
from mesh.lib.origins import own_origins
from mesh.readers import impatient
from sandboxes.preview.app import Previews, preview_of
from threads.mcp_gateway import has_token_of_thread
from threads.origin import same_origin_only
from threads.reading.consumers import BrowserConsumer
from threads.serving.runtime import Runtime, ring_link


async def is_known(scope: dict[str, Any]) -> bool:
    """Return whether a request is signed in, or carries the token of a thread's MCP servers."""
    return has_token_of_thread(scope) or await is_signed_in(scope)


pages = impatient(
    limited(
        with_readable_type(_django),
        settings.DATA_UPLOAD_MAX_MEMORY_SIZE,
        is_known=is_known,
    )
)
runtime = Runtime()
presence_changed.append(ring_link)
laptops = make_gateway(on_up=runtime.dispatcher.link_up, on_down=runtime.dispatcher.link_down)
# An embedded Mesh has no other process that could call this one.
internal = (
    None
    if settings.MESH_EMBEDDED
    else Listener(home=settings.MESH_HOME, at=settings.MESH_INTERNAL_ADDRESS)
)
upkeep = Upkeep(judge=laptops.judge, listener=internal)
called = Directs(laptops)
presence_changed.append(called.notify)
previews = Previews(
    frame_ancestors=lambda: own_origins(mesh_url=settings.MESH_URL),
    mesh_url=lambda: settings.MESH_URL,
)
browsers = same_origin_only(AuthMiddlewareStack(BrowserConsumer.as_asgi()))


async def _serve(scope: dict[str, Any], receive: Receive, send: Send) -> None:
    """Pass a connection to the application that handles it."""
    if scope["type"] == "lifespan":
        await _live(receive, send)
        return
    await _start()  # for servers without the lifespan protocol, such as daphne
    if (handle := preview_of(scope, mesh_url=settings.MESH_URL)) is not None:
        await previews.serve(scope, receive, send, handle=handle)
    elif scope["type"] == "http":
        await pages(scope, receive, send)
    elif scope["path"] == "/api/links/connect":
        await laptops(scope, receive, send)
    elif scope["path"] == "/ws":
        await browsers(scope, receive, send)
    else:
        await receive()
        await send({"type": "websocket.close", "code": 4404})


application = Proxied(_serve, settings.MESH_PROXIES, needs_tls=settings.SECURE_SSL_REDIRECT)


async def _start() -> None:
    await runtime.start()
    await upkeep.start()
    await called.start()


async def _live(receive: Receive, send: Send) -> None:
    while True:
        message = await receive()
        if message["type"] == "lifespan.startup":
            try:
                await _start()
            except Exception as exc:
                await send({"type": "lifespan.startup.failed", "message": str(exc)})
                raise
            await send({"type": "lifespan.startup.complete"})
        elif message["type"] == "lifespan.shutdown":
            await called.stop()
            await upkeep.stop()
            await runtime.stop()
            await send({"type": "lifespan.shutdown.complete"})
            return
