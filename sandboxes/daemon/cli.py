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
from pathlib import Path
from typing import TYPE_CHECKING

from mesh.launch import make_path_safe
from mesh.lib.errors import AppError
from sandboxes.daemon import container
from sandboxes.daemon.startup_secrets import Given, read_given

if TYPE_CHECKING:
    from sandboxes.daemon.sandbox_folder import Place


def main(argv: Sequence[str] | None = None) -> int:
    """Serve one sandbox until it is told to end; return the exit code.

    0 after an orderly end, 3 when it could not start, which is then told on stderr.
    """
    given = _parser().parse_args(argv)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    # The terminal of the link may close: runs outlive it. A handler, not SIG_IGN, because
    # programs would inherit that one.
    signal.signal(signal.SIGHUP, lambda *_: None)
    try:
        return _serve(given.root.expanduser().resolve(), given.listen, given.acp)
    except AppError as exc:
        print(f"{exc} ({exc.code})\n{exc.hint}", file=sys.stderr)
        return 3


def _serve(root: Path, listen: tuple[str, int] | None, agents: Mapping[str, Sequence[str]]) -> int:
    # Late: a wrong argument is told before half a second of imports.
    from agents.harness import with_agents
    from sandboxes.daemon.sandbox_folder import Place
    from sandboxes.daemon.service import serve

    given = _given(root, listen is not None)
    place = Place.open(root, given, address=listen)
    container.close_memory()
    make_path_safe(*_agents_folders(place))
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        runner.run(serve(place, with_agents(agents), is_whole_process=True))
    return 0


def _given(root: Path, is_contained: bool) -> Given:
    if is_contained:
        container.unpack(root, os.environ)
        return container.take(root)
    return read_given(sys.stdin.buffer)


def _agents_folders(place: Place) -> list[str]:
    """Return where agents put programs in, which must not be taken for git or an agent's own."""
    folder = place.spec.folder
    # Who lets agents work in their whole home has their own programs there as well.
    is_home = folder and Path.home().resolve().is_relative_to(Path(folder).resolve())
    return [str(place.root), *([folder] if folder and not is_home else [])]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="deco_sandbox", description="Serve one sandbox; the link program starts this."
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
        help="in a container: where to listen, instead of the socket in the folder",
    )
    parser.add_argument(
        "--acp",
        type=json.loads,
        default={},
        metavar="JSON",
        help="programs that speak ACP and may be asked as acp:NAME: {NAME: [COMMAND, …]}",
    )


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """Return what makes uvloop's loop, the faster one; ``None`` where it isn't installed."""
    try:
        import uvloop
    except ImportError:
        return None
    return uvloop.new_event_loop
