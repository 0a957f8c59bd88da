"""``make run``: an embedded Mesh and the link of this machine, until Ctrl-C."""

from __future__ import annotations

import asyncio
import gc
import os
import platform
import sys
import webbrowser
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from mesh import sign_in_link
from mesh.embedded import advice, companions, home, logs
from mesh.embedded.server import Server, listen
from mesh.lib.errors import AppError


class Command(BaseCommand):
    help = "Start Mesh on this machine: server, database and link, all under MESH_HOME."
    requires_system_checks: list[str] = []

    def handle(self, *args: Any, **options: Any) -> None:
        if not settings.MESH_EMBEDDED:
            raise CommandError(
                "DATABASE_URL is set, so this is a team server: start it with compose.yaml or"
                " mesh_serve, or unset DATABASE_URL for `make run`."
            )
        try:
            acp = companions.acp_words(settings.ENV.acp, settings.ENV.acp_env)
        except ValueError as exc:
            raise CommandError(str(exc), returncode=3) from exc
        try:
            folder = home.chosen_folder()
            lock = home.lock()
            socket = listen(settings.ENV.port)
        except AppError as exc:
            raise CommandError(f"{exc}\n{exc.hint}", returncode=3) from exc
        owner = home.prepare(folder=folder)
        # Imported after its files are in place. It configures logging, so ours comes after it.
        from mesh.asgi import application

        logs.write_to(settings.MESH_HOME / "log" / "server.log")
        port = socket.getsockname()[1]
        ticket = sign_in_link.make_ticket(user=owner)
        link = companions.LocalLink(
            argv=companions.argv_of(
                port=port,
                token=home.link_token(owner),
                name=platform.node() or "this machine",
                folder=folder,
                acp=acp,
            ),
            home=settings.MESH_HOME,
            on_start=lambda facts: lock.write({"pid": os.getpid(), "port": port, "link": facts}),
            say=_say,
        )
        lock.write({"pid": os.getpid(), "port": port})
        if settings.MESH_ALLOW_LOCALHOST_LINKS:
            home.mint_session(owner, address=f"http://127.0.0.1:{port}")

        async def ready() -> None:
            link.start()
            await _announce(f"http://127.0.0.1:{port}/enter?ticket={ticket}")

        async def leave() -> None:
            _say("\nStopping …")
            await asyncio.to_thread(companions.end_sandboxes, settings.MESH_HOME)
            await link.stop()
            # While one was slow to end, a message that waited for another may have begun a third.
            await asyncio.to_thread(companions.end_sandboxes, settings.MESH_HOME)

        server = Server(application, on_ready=ready, before_exit=leave)
        gc.freeze()  # loaded modules stay: the collector need not scan them each time
        server.run(sockets=[socket])


async def _announce(address: str) -> None:
    _say(f"Mesh is ready: {address}")
    _say("Open it in a browser; it signs you in once. Ctrl-C stops everything.")
    if settings.ENV.open_browser and _has_display():
        await asyncio.to_thread(webbrowser.open, address)
    asyncio.get_running_loop().run_in_executor(None, _advise)


def _advise() -> None:
    if text := advice.about_claude():
        _say(text)


def _has_display() -> bool:
    if platform.system() == "Darwin":
        return sys.stdout.isatty()
    return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


def _say(text: str) -> None:
    print(text, flush=True)
