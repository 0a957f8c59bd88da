"""``manage.py mesh_serve``: one server process of a team's Mesh, uvicorn with Mesh's limits."""

from __future__ import annotations

import logging
from argparse import ArgumentParser
from typing import Any

import uvicorn
from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from mesh.http_protocol import guarded
from mesh.http_server import process_config
from mesh.lib.addresses import parse_address
from mesh.process_server import ProcessServer
from mesh.proxy_check import HINT, UNNAMED, lacks_proxies

logger = logging.getLogger(__name__)


class Command(BaseCommand):
    help = "Serve Mesh on an address, or on a unix socket, until SIGTERM."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--host", default="127.0.0.1", help="address to listen on")
        parser.add_argument("--port", type=int, default=8000, help="port to listen on")
        parser.add_argument("--uds", help="path of a unix socket to listen on instead")

    def handle(self, *args: Any, **options: Any) -> None:
        if lacks_proxies(mesh_url=settings.MESH_URL, proxies=settings.MESH_PROXIES):
            logger.warning("%s %s", UNNAMED, HINT)
        server = ProcessServer(config(options["host"], options["port"], options["uds"]))
        try:
            server.run()
        except KeyboardInterrupt:
            pass  # uvicorn raises the signal again once everything is closed
        if not server.started:
            raise CommandError("The server did not start. The log says why.", returncode=3)


def config(host: str, port: int, uds: str | None) -> uvicorn.Config:
    """Return the uvicorn configuration of a server process."""
    return process_config(
        "mesh.asgi:application",
        host=host,
        port=port,
        uds=uds,
        http=guarded(is_exempt=_is_exempt),
        timeout_graceful_shutdown=5,
    )


def _is_exempt(peer: str) -> bool:
    """Return whether ``peer`` may stand for many clients: a proxy, or this machine."""
    address = parse_address(peer)
    is_here = address is None or address.is_loopback
    return is_here or settings.MESH_PROXIES.trusts(peer)
