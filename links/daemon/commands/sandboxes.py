"""``deco_link sandboxes [list | stop … | remove … | restore …]``: this machine's sandboxes.

Exit codes: 0 done; 1 not all of it; 2 wrong use. Only ``remove`` moves a folder aside.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

from links.daemon import sandbox_list
from links.daemon.home import home_of
from links.daemon.sandbox_folders import REASONS, SandboxFolders
from links.daemon.spec import checked_handle
from links.daemon.supervisor import Supervisor
from links.daemon.terminal import Parser, say
from mesh.lib.errors import AppError

DESCRIPTION = "List the sandboxes of this machine, stop some, or remove them."


def main(argv: Sequence[str]) -> int:
    """Run the command; return its exit code."""
    parser = Parser(prog="deco_link sandboxes", description=DESCRIPTION)
    commands = parser.add_subparsers(dest="command", title="commands")
    commands.add_parser("list", help="list them (the default)")
    stop = commands.add_parser("stop", help="stop the process of a sandbox and its agents")
    stop.add_argument("handle", nargs="*")
    stop.add_argument("--all", action="store_true", help="every running sandbox")
    stop.add_argument("--force", action="store_true", help="even if an agent is working")
    remove = commands.add_parser("remove", help="stop it, and move its folder aside for 7 days")
    remove.add_argument("handle", nargs="+")
    remove.add_argument("--force", action="store_true", help="even if work would be lost")
    restore = commands.add_parser("restore", help="restore a removed sandbox")
    restore.add_argument("handle", nargs="+")
    given = parser.parse_args(argv)
    home = home_of() / "sandboxes"
    if given.command == "remove":
        return asyncio.run(_remove(home, given.handle, force=given.force))
    if given.command == "restore":
        return asyncio.run(_restore(home, given.handle))
    if given.command != "stop":
        say(sandbox_list.table(asyncio.run(sandbox_list.list_sandboxes(home))))
        return 0
    if bool(given.handle) == given.all:
        stop.error("name the sandboxes to stop, or use --all")
    return asyncio.run(_stop(home, given.handle, force=given.force))


async def _stop(home: Path, handles: list[str], *, force: bool) -> int:
    """Stop ``handles``, or all running sandboxes; return the exit code."""
    running = {sandbox.handle for sandbox in await sandbox_list.list_sandboxes(home) if sandbox.pid}
    supervisor = Supervisor(home)
    failed = 0
    for handle in handles or sorted(running):
        if handle not in running:
            say(f"{handle}: it is not running.", error=True)
            failed = 1
            continue
        try:
            await supervisor.delete(handle, force=force)
        except AppError as exc:
            hint = "Stop the run first, or use --force." if exc.code == "sandbox_busy" else exc.hint
            say(f"{handle}: {exc} {hint}", error=True)
            failed = 1
        else:
            say(f"{handle}: stopped.")
    return failed


async def _remove(home: Path, handles: list[str], *, force: bool) -> int:
    """Move the folders of ``handles`` aside; return the exit code."""
    folders = SandboxFolders(Supervisor(home))
    failed = 0
    for handle in handles:
        try:
            size = (await folders.describe(checked_handle(handle)))["bytes"]
            await folders.remove(handle, force=force)
        except AppError as exc:
            failed = 1
            why = ", ".join(REASONS[reason] for reason in exc.extra.get("reasons", ()))
            say(f"{handle}: {exc} {f'({why}) ' if why else ''}{_hint(exc)}", error=True)
        else:
            say(f"{handle}: removed, {size // 1_000_000} MB. Undo within 7 days: restore {handle}")
    return failed


async def _restore(home: Path, handles: list[str]) -> int:
    """Restore the folders of ``handles``; return the exit code."""
    folders = SandboxFolders(Supervisor(home))
    failed = 0
    for handle in handles:
        try:
            await folders.restore(checked_handle(handle))
        except AppError as exc:
            failed = 1
            say(f"{handle}: {exc}", error=True)
        else:
            say(f"{handle}: restored.")
    return failed


def _hint(exc: AppError) -> str:
    return "Or use --force." if exc.code in ("unsaved_work", "sandbox_busy") else exc.hint
