"""``deco_link service install | uninstall | refresh [SERVER] | env …``: start with the machine.

Exit codes: 0 done; 1 written, but it could not be started or stopped, or no link runs; 2 wrong
use; 3 the machine is not linked yet.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from links.daemon import service_files as files
from links.daemon.commands import service_env
from links.daemon.config import own_command
from links.daemon.home import home_of
from links.daemon.servers import checked_server, only_server
from links.daemon.service_files import Service
from links.daemon.terminal import Parser, say
from links.daemon.tokens import RenewalFailed, TokenStore

DESCRIPTION = "Start the link when you sign in to this machine, and restart it whenever it ends."
# What the link itself needs before it can read anything else. No secret may be among them: the
# system's programs show a service's environment. The rest is kept in a file of its own.
FOLDERS = ("MESH_HOME", "DATA_DIR", "DECOCMS_HOME")
KEPT = (*FOLDERS, "MESH_ALLOW_LOCALHOST_LINKS")


def main(argv: Sequence[str]) -> int:
    """Run the command; return its exit code."""
    parser = Parser(prog="deco_link service", description=DESCRIPTION)
    commands = parser.add_subparsers(dest="command", title="commands", required=True)
    install = commands.add_parser("install", help="write the service file, and start it")
    install.add_argument("server", nargs="?")
    install.add_argument("--no-start", action="store_true", help="only write the file")
    uninstall = commands.add_parser("uninstall", help="stop the service, and remove its file")
    uninstall.add_argument("server", nargs="?")
    refresh = commands.add_parser(
        "refresh", help="look for programs and variables again, as a new terminal would find them"
    )
    refresh.add_argument("server", nargs="?")
    service_env.add_arguments(commands)
    given, flags = parser.parse_known_args(argv)
    if flags and given.command != "install":
        parser.error(f"unknown arguments: {' '.join(flags)}")
    if given.command == "env":
        return service_env.run(given)
    try:
        server = checked_server(given.server or only_server(home_of()))
        words = _checked_words(server, flags)
    except ValueError as exc:
        parser.error(str(exc))
    if given.command == "refresh":
        return _refresh(server)
    service = Service(
        server=server,
        argv=files.argv_of(
            [*words, files.AS_SERVICE], executable=sys.executable, program=sys.argv[0]
        ),
        environ=_environment(),
    )
    if given.command == "uninstall":
        return _uninstall(service)
    if not _is_linked(server, flags):
        say(f"Link this machine by hand first: {own_command(server, *flags)}", error=True)
        return 3
    return _install(service, start=not given.no_start)


def _environment() -> dict[str, str]:
    """Return the service's environment, with absolute paths: it starts in another folder."""
    kept = {name: os.environ[name] for name in KEPT if name in os.environ}
    folders = {name: _absolute(kept[name]) for name in FOLDERS if kept.get(name)}
    return kept | folders


def _refresh(server: str) -> int:
    if service_env.refresh(only=server):
        say("The link asks your login shell again, and looks for the agents' programs.")
        return 0
    say(f"No link to {server} runs as a service.", error=True)
    return 1


def _absolute(path: str) -> str:
    return os.path.abspath(os.path.expanduser(path))


def _checked_words(server: str, flags: Sequence[str]) -> list[str]:
    """Return the link's arguments with absolute paths: a service starts in another folder.

    Raises:
        ValueError: a flag is invalid.
    """
    from links.daemon import cli

    parser = Parser(prog="deco_link service install", add_help=False, allow_abbrev=False)
    cli.add_arguments(parser)
    config = cli.config_of(parser.parse_args([server, *flags]))
    words, paths = [server], iter(flags)
    for word in paths:
        flag, equals, value = word.partition("=")
        words.append(flag if equals else word)
        if equals or flag in ("--allow", "--token-file"):
            value = value if equals else next(paths)
            words.append(os.path.abspath(value) if flag in ("--allow", "--token-file") else value)
    assert config.server == server
    return words


def _is_linked(server: str, flags: Sequence[str]) -> bool:
    """Return whether the service will have a token: nobody is there to pair it."""
    if any(flag.startswith(("--token-file", "--local-sandbox-provider")) for flag in flags):
        return True
    try:
        return TokenStore(home_of(), server).read() is not None
    except RenewalFailed:
        return False


def _install(service: Service, *, start: bool) -> int:
    is_mac = sys.platform == "darwin"
    path = _path(service)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(files.plist(service) if is_mac else files.unit(service).encode())
    path.chmod(0o600)
    say(f"Written: {path}")
    service_env.keep_for_install(home_of())
    if files.is_temporary(sys.executable):
        say("uvx fetched this copy and may delete it. Install deco_link with the command that")
        say("“Connect your desktop” shows, and run this command again from there.")
    if not start:
        return 0
    code = _run(_start_commands(service, path))
    if code == 0 and not is_mac:
        say("To keep it running while you are signed out: loginctl enable-linger")
    return code


def _uninstall(service: Service) -> int:
    path = _path(service)
    if not path.exists():
        say(f"Not installed: {path} does not exist.")
        return 0
    code = _run(_stop_commands(service, path))
    path.unlink()
    say(f"Removed: {path}")
    return code


def _path(service: Service) -> Path:
    path_of = files.plist_path if sys.platform == "darwin" else files.unit_path
    return path_of(Path.home(), service.name)


def _start_commands(service: Service, path: Path) -> list[list[str]]:
    if sys.platform == "darwin":
        return [["launchctl", "bootstrap", f"gui/{os.getuid()}", str(path)]]
    unit = f"{service.name}.service"
    return [
        ["systemctl", "--user", "daemon-reload"],
        ["systemctl", "--user", "enable", "--now", unit],
    ]


def _stop_commands(service: Service, path: Path) -> list[list[str]]:
    if sys.platform == "darwin":
        return [["launchctl", "bootout", f"gui/{os.getuid()}", str(path)]]
    return [["systemctl", "--user", "disable", "--now", f"{service.name}.service"]]


def _run(commands: list[list[str]]) -> int:
    """Run ``commands``; if one fails, print it and the rest for the person, and return 1."""
    for done, command in enumerate(commands):
        is_installed = shutil.which(command[0]) is not None
        if not is_installed or subprocess.run(command, check=False).returncode != 0:
            remaining = "\n".join(f"  {' '.join(each)}" for each in commands[done:])
            say(f"Run these commands yourself:\n{remaining}", error=True)
            return 1
    return 0
