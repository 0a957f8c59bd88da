"""``deco_link SERVER``: link this machine to a Mesh server, until Ctrl-C.

Exit codes: 0 stopped by the person; 1 something unexpected; 2 wrong use, or no token;
3 the token is not accepted; 4 this program is too old; 5 another deco_link took over,
or another machine has this one's identity.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import socket
import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from logging.handlers import RotatingFileHandler
from pathlib import Path

from links.daemon.commands import COMMANDS
from links.daemon.config import PORT, Config, program
from links.daemon.errors import Stop
from links.daemon.home import home_of
from links.daemon.named_agents import read_agents
from links.daemon.servers import checked_server, only_server
from links.daemon.session import Session, wait_for_session
from links.daemon.terminal import LogFormatter, Parser, say
from links.wire.addresses import is_own_url
from mesh import env
from mesh.version import VERSION

LOG_BYTES = 2_000_000  # and two older files
DESCRIPTION = "Link this machine to a Mesh server and run its agents here, until Ctrl-C."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the command line; shared with ``manage.py help deco_link``."""
    parser.add_argument(
        "server",
        nargs="?",
        help="address of the server, such as https://mesh.example (default: MESH_CLUSTER_URL, or"
        " the only server that this machine is linked to)",
    )
    parser.add_argument(
        "--token-file",
        type=Path,
        metavar="FILE",
        help="use the bearer token in FILE instead of approving this machine in the browser",
    )
    parser.add_argument(
        "--allow",
        type=Path,
        action="append",
        default=[],
        metavar="DIR",
        help="a folder that agents may work in; repeatable",
    )
    parser.add_argument(
        "--acp",
        action="append",
        default=[],
        metavar="NAME=COMMAND",
        help="a program that speaks ACP on stdio, offered as the agent acp:NAME; repeatable. The"
        " server's operator describes it in the catalog (MESH_CATALOG)",
    )
    parser.add_argument(
        "--acp-env",
        action="append",
        default=[],
        metavar="NAME=VARIABLE,…",
        help="variables of yours that the agent of this name may see, besides those that Mesh knows"
        " it to need; repeatable",
    )
    where = parser.add_mutually_exclusive_group()
    where.add_argument(
        "--no-tunnel",
        action="store_true",
        help="listen on 127.0.0.1 for a server on this machine that runs with"
        " MESH_ALLOW_LOCALHOST_LINKS=1",
    )
    where.add_argument(
        "--tunnel-url",
        default="",
        metavar="URL",
        help="have the server call this https:// address of yours, which must lead to --port here;"
        " the server's operator allows its host with MESH_LINK_HOSTS",
    )
    parser.add_argument(
        "--port",
        type=int,
        default=PORT,
        help=f"port for --no-tunnel and --tunnel-url (default: {PORT})",
    )
    parser.add_argument(
        "--local-sandbox-provider",
        action="store_true",
        help="for development, beside a server on this machine: with MESH_ALLOW_LOCALHOST_LINKS=1,"
        " sign in with the session that the server minted",
    )
    parser.add_argument(
        "--as-service",
        action="store_true",
        help="no terminal started it: take PATH and variables from your login shell, and from what"
        " “service env” keeps; the service file has it",
    )
    parser.add_argument(
        "--name", default=socket.gethostname(), help="name of this machine in the chat"
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Run the program; return its exit code."""
    words = sys.argv[1:] if argv is None else argv
    if words and words[0] in COMMANDS:
        code: int = import_module(COMMANDS[words[0]]).main(words[1:])
        return code
    parser = Parser(
        prog=program(),
        description=DESCRIPTION,
        epilog=f"Other commands, each with --help: {', '.join(COMMANDS)}.",
    )
    parser.add_argument("--version", action="version", version=VERSION)
    add_arguments(parser)
    given = parser.parse_args(words)
    try:
        config = config_of(given)
    except ValueError as exc:
        parser.error(str(exc))
    except Stop as exc:
        return _say(exc)
    return run(config)


def config_of(given: argparse.Namespace) -> Config:
    """Return the configuration that the arguments describe.

    Raises:
        ValueError: an argument is invalid; the text says which and why.
    """
    home = home_of()
    session = _session(given, home)
    server = checked_server(
        given.server or (session.target if session else "") or only_server(home)
    )
    allowed = []
    for folder in given.allow:
        real = folder.expanduser().resolve()
        if not real.is_dir():
            raise ValueError(f"--allow {folder}: this folder does not exist.")
        allowed.append(real)
    return Config(
        server=server,
        home=home,
        token_file=session.path if session else given.token_file,
        address=_address(given),
        port=given.port,
        name=str(given.name)[:255],
        allowed=tuple(allowed),
        acp=read_agents(given.acp, given.acp_env),
        as_service=given.as_service,
    )


def _session(given: argparse.Namespace, home: Path) -> Session | None:
    """Return the local session, if it is requested and this machine allows it."""
    is_requested = given.local_sandbox_provider and given.token_file is None
    return wait_for_session(home) if is_requested and env.read().allow_localhost_links else None


def _address(given: argparse.Namespace) -> str:
    """Return the address at which the server calls this machine; empty for the tunnel."""
    if not 0 < given.port < 65536:
        raise ValueError(f"--port {given.port}: use a number from 1 to 65535.")
    if given.no_tunnel:
        return f"http://localhost:{given.port}"
    if given.tunnel_url and not is_own_url(given.tunnel_url):
        raise ValueError(f"--tunnel-url {given.tunnel_url}: use https://name.example.")
    return str(given.tunnel_url).rstrip("/")


def run(config: Config) -> int:
    """Run the daemon in a new event loop; return the exit code."""
    _log_to(config.log_file)
    # Imported after the arguments were checked, so that wrong use is reported immediately.
    from links.daemon import main as daemon

    try:
        with asyncio.Runner(loop_factory=_loop_factory()) as runner:
            runner.run(daemon.run(config))
    except Stop as exc:
        return _say(exc)
    except KeyboardInterrupt:  # before the signal handlers were installed
        return 0
    return 0


def _say(why: Stop) -> int:
    say(f"{why} ({why.code})\n{why.hint}", error=True)
    return why.exit_code


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    try:
        import uvloop
    except ImportError:  # not available here: slower, otherwise the same
        return None
    return uvloop.new_event_loop


def _log_to(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    handlers: list[logging.Handler] = [
        RotatingFileHandler(path, maxBytes=LOG_BYTES, backupCount=2, encoding="utf-8")
    ]
    # A terminal or systemd's journal. Any other file would grow as long as the link runs.
    if sys.stderr.isatty() or "JOURNAL_STREAM" in os.environ:
        handlers.append(logging.StreamHandler())
    for handler in handlers:
        handler.setFormatter(LogFormatter("{asctime} {levelname} {name}: {message}", style="{"))
    logging.basicConfig(level=logging.INFO, handlers=handlers)
    # Its messages contain every handshake, with headers.
    logging.getLogger("websockets").setLevel(logging.ERROR)


if __name__ == "__main__":
    sys.exit(main())
