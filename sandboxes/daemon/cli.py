"""The command line of one sandbox: ``python -m sandboxes.daemon --root DIR``."""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import os
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from mesh.launch import make_path_safe
from mesh.lib.errors import AppError
from sandboxes.daemon import container
from sandboxes.daemon.startup_secrets import StartupSecrets, read_startup_secrets

if TYPE_CHECKING:
    from agents.harness import Adapters
    from sandboxes.daemon.sandbox_folder import SandboxFolder

_Lists = Mapping[str, Sequence[str]]


def main(argv: Sequence[str] | None = None) -> int:
    """Serve one sandbox until it is told to stop; return the exit code.

    0 after an orderly stop; 3 when it could not start, with the reason on stderr.
    """
    arguments = _parser().parse_args(argv)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    # Runs outlive the link's terminal. A handler, because child programs would inherit SIG_IGN.
    signal.signal(signal.SIGHUP, lambda *_: None)
    try:
        adapters = partial(_adapters, arguments.acp, arguments.acp_env)
        return _serve(arguments.root.expanduser().resolve(), arguments.listen, adapters)
    except AppError as exc:
        print(f"{exc} ({exc.code})\n{exc.hint}", file=sys.stderr)
        return 3


def _adapters(agents: _Lists, variables: _Lists) -> Adapters:
    from agents.harness import with_agents

    return with_agents(agents, variables)


def _serve(root: Path, listen: tuple[str, int] | None, adapters: Callable[[], Adapters]) -> int:
    # Imported here, so that a wrong argument is reported before half a second of imports.
    from sandboxes.daemon.sandbox_folder import SandboxFolder
    from sandboxes.daemon.service import serve

    secrets = _startup_secrets(root, listen is not None)
    folder = SandboxFolder.open(root, secrets, address=listen)
    container.close_memory()
    make_path_safe(*_writable_by_agents(folder))
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        runner.run(serve(folder, adapters(), is_whole_process=True))
    return 0


def _startup_secrets(root: Path, is_contained: bool) -> StartupSecrets:
    if is_contained:
        container.unpack(root, os.environ)
        return container.take(root)
    return read_startup_secrets(sys.stdin.buffer)


def _writable_by_agents(folder: SandboxFolder) -> list[str]:
    """Return the folders whose programs must not be run as git or as an agent's program."""
    work = folder.spec.folder
    # A person whose agents work in their whole home keeps their own programs there as well.
    is_home = work and Path.home().resolve().is_relative_to(Path(work).resolve())
    return [str(folder.root), *([work] if work and not is_home else [])]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="deco_sandbox", description="Serve one sandbox. The link program runs this."
    )
    add_arguments(parser)
    return parser


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments to ``parser``, ours or Django's."""
    parser.add_argument("--root", type=Path, required=True, help="the sandbox's folder")
    parser.add_argument(
        "--listen",
        type=container.parse_address,
        metavar="HOST:PORT",
        help="in a container: the address to listen on, instead of the socket in the folder",
    )
    add_agents(parser)


def add_agents(parser: argparse.ArgumentParser) -> None:
    """Add the arguments that name a person's own agents."""
    parser.add_argument(
        "--acp",
        type=json.loads,
        default={},
        metavar="JSON",
        help="programs that speak ACP and are available as acp:NAME: {NAME: [COMMAND, …]}",
    )
    parser.add_argument(
        "--acp-env",
        type=json.loads,
        default={},
        metavar="JSON",
        help="the variables that each of them sees besides what Mesh knows: {NAME: [VARIABLE, …]}",
    )


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """Return the factory of uvloop's faster loop; ``None`` where it isn't installed."""
    try:
        import uvloop
    except ImportError:
        return None
    return uvloop.new_event_loop
