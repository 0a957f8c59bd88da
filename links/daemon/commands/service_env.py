"""``deco_link service env [set NAME | unset NAME… | import [NAME…]]``: variables for the service.

Values are never shown, and never part of a command line: ``set`` reads one from the terminal, or
from its input. Exit codes: 0 done; 1 nothing to do, or the file can't be written; 2 wrong use.
"""

from __future__ import annotations

import argparse
import contextlib
import getpass
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from links.daemon import kept_variables, state
from links.daemon.config import own_command
from links.daemon.home import home_of
from links.daemon.needed_variables import is_needed
from links.daemon.terminal import say
from mesh.agent_programs import is_nameable, is_of_an_agent

# Read before the login shell can be asked: the link may need them for its own connection.
_OF_THE_LINK = (
    *("HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY", "NO_PROXY"),
    *("https_proxy", "http_proxy", "all_proxy", "no_proxy", "SSL_CERT_FILE", "SSL_CERT_DIR"),
)


def add_arguments(commands: Any) -> None:
    """Describe the command line."""
    env = commands.add_parser(
        "env",
        help="the variables that are kept for the service, by name",
        description="Variables for agents, such as a key, besides those that your login shell"
        " sets. They are stored on this machine, and only you can read them.",
    )
    acts = env.add_subparsers(dest="act", title="commands")
    give = acts.add_parser("set", help="keep a variable; its value is read, not typed here")
    give.add_argument("names", nargs=1, metavar="NAME")
    drop = acts.add_parser("unset", help="keep a variable no longer")
    drop.add_argument("names", nargs="+", metavar="NAME")
    take = acts.add_parser("import", help="keep variables with the values of this terminal")
    take.add_argument(
        "names", nargs="*", metavar="NAME", help="default: all that are set here and agents need"
    )


def run(given: argparse.Namespace) -> int:
    """Run the command; return its exit code."""
    home, names = home_of(), list(getattr(given, "names", ()))
    for name in names:
        if not is_nameable(name):
            say(_refusal(name), error=True)
            return 2
    try:
        if given.act == "set":
            return _set(home, names[0])
        if given.act == "unset":
            return _unset(home, names)
        if given.act == "import":
            return _import(home, names)
    except OSError as exc:
        say(f"{kept_variables.path_of(home)}: {exc.strerror}", error=True)
        return 1
    return _show(home)


def keep_for_install(home: Path) -> None:
    """Keep what a link needs, and what agents need and this terminal has."""
    found = {name: os.environ[name] for name in _OF_THE_LINK if os.environ.get(name)}
    found |= _of_agents(os.environ) | {"PATH": os.environ.get("PATH", os.defpath)}
    kept = {name: value for name, value in found.items() if kept_variables.is_value(value)}
    kept_variables.write(home, kept_variables.read(home) | kept)
    if names := sorted(kept.keys() - {"PATH"}):
        say(f"Kept for its agents, with the values of this terminal: {', '.join(names)}")
        say(f"To see or change that: {own_command('service', 'env')}")


def refresh(*, only: str = "") -> bool:
    """Have the links that run as services look again; return whether there is one."""
    found = False
    for link in state.list_running(home_of()):
        if link.is_service and only in ("", link.server):
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(link.pid, signal.SIGHUP)
                found = True
    return found


def _refusal(name: str) -> str:
    if "=" in name:
        return "Give only the name: other users of this machine can read command lines."
    return f"{name!r} can't be passed to an agent. Variables of Mesh itself are set at install."


def _set(home: Path, name: str) -> int:
    if sys.stdin.isatty():
        value = getpass.getpass(f"Value of {name} (hidden while you type): ")
    else:
        value = sys.stdin.readline(kept_variables.LONGEST + 2).rstrip("\r\n")
    if not value or not kept_variables.is_value(value):
        say(f"{name}: no value was given, or one that is too long.", error=True)
        return 2
    return _keep(home, {name: value})


def _unset(home: Path, names: Sequence[str]) -> int:
    kept = kept_variables.read(home)
    missing = [name for name in names if name not in kept]
    if missing:
        say(f"Not kept: {', '.join(missing)}", error=True)
    if len(missing) == len(names):
        return 1
    kept_variables.write(home, {n: value for n, value in kept.items() if n not in names})
    return _done("No longer kept", [name for name in names if name in kept])


def _import(home: Path, names: Sequence[str]) -> int:
    missing = [name for name in names if not os.environ.get(name)]
    if missing:
        say(f"Not set in this terminal: {', '.join(missing)}", error=True)
        return 1
    found = {name: os.environ[name] for name in names} if names else _of_agents(os.environ)
    if not found:
        say("No variable that an agent needs is set in this terminal.", error=True)
        return 1
    return _keep(home, found)


def _keep(home: Path, variables: dict[str, str]) -> int:
    kept_variables.write(home, kept_variables.read(home) | variables)
    for name in variables:
        if not is_needed(name):
            say(f"No agent that Mesh knows sees {name}. For one of --acp, add --acp-env.")
    return _done("Kept", sorted(variables))


def _done(what: str, names: Sequence[str]) -> int:
    say(f"{what}: {', '.join(names)}")
    if refresh():
        say("The running link takes that over now; an agent at work does with its next start.")
    return 0


def _show(home: Path) -> int:
    names = sorted(kept_variables.read(home))
    say("\n".join(names) if names else "No variable is kept for the service.")
    return 0


def _of_agents(environ: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in environ.items() if value and is_of_an_agent(name)}
