"""``deco_link sandboxes [list | stop HANDLE … | stop --all]``: this machine's sandboxes.

Exit codes: 0 done; 1 one was not stopped; 2 wrong use. Folders are never touched.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Sequence
from pathlib import Path

from links.daemon import rooms
from links.daemon.home import home_of
from links.daemon.supervisor import Supervisor
from mesh.lib.errors import AppError

DESCRIPTION = "List the sandboxes of this machine, or stop some. Their folders stay as they are."


def main(argv: Sequence[str]) -> int:
    """Run the command; return its exit code."""
    parser = argparse.ArgumentParser(prog="deco_link sandboxes", description=DESCRIPTION)
    commands = parser.add_subparsers(dest="command", title="commands")
    commands.add_parser("list", help="list them (what happens without a command, too)")
    stop = commands.add_parser("stop", help="end the process of a sandbox and its agents")
    stop.add_argument("handle", nargs="*")
    stop.add_argument("--all", action="store_true", help="every sandbox that runs")
    stop.add_argument("--force", action="store_true", help="also where an agent is at work")
    given = parser.parse_args(argv)
    home = home_of() / "sandboxes"
    if given.command != "stop":
        print(rooms.table(asyncio.run(rooms.list_rooms(home))))
        return 0
    if bool(given.handle) == given.all:
        stop.error("name the sandboxes to stop, or say --all")
    return asyncio.run(_stop(home, given.handle, force=given.force))


async def _stop(home: Path, handles: list[str], *, force: bool) -> int:
    """Stop ``handles``, or all that run; return the exit code."""
    running = {room.handle for room in await rooms.list_rooms(home) if room.pid}
    supervisor = Supervisor(home)
    failed = 0
    for handle in handles or sorted(running):
        if handle not in running:
            print(f"{handle}: it does not run.", file=sys.stderr)
            failed = 1
            continue
        try:
            await supervisor.delete(handle, force=force)
        except AppError as exc:
            hint = "Stop the run first, or say --force." if exc.code == "sandbox_busy" else exc.hint
            print(f"{handle}: {exc} {hint}", file=sys.stderr)
            failed = 1
        else:
            print(f"{handle}: stopped.")
    return failed
