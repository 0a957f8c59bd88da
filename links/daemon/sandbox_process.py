"""A sandbox's folder and process: preparing, starting, and reading its pid file and log."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from links.daemon.config import Agent
from links.daemon.spec import SandboxSpec
from mesh import launch
from mesh.plain_files import new_plain, open_plain, read_plain, write_plain

COMMAND: Final = tuple(launch.command("sandboxes.daemon"))
_PROJECT: Final = Path(__file__).resolve().parents[2]
# Ours, and full of secrets on a machine that also runs the server. Which of the other variables
# an agent may see is decided in the sandbox, by an allow-list.
_HIDDEN: Final = ("MESH_", "DJANGO_", "DATABASE_URL", "REDIS_URL", "DECO_", "DECOCMS_")

_children: list[subprocess.Popen[bytes]] = []


@dataclass(frozen=True, slots=True)
class PidFile:
    """The pid file that a listening sandbox has written.

    ``token`` authorizes requests to one that an older link started; ours need none.
    """

    pid: int
    started: str
    socket: str
    token: str = ""


def prepare(root: Path, spec: SandboxSpec, *, environment: str = "") -> None:
    """Create the sandbox's folder and spec, without an earlier process's pid file and token.

    ``environment`` tells the one that it is started in from others.
    """
    root.mkdir(parents=True, exist_ok=True, mode=0o700)
    (root / "token").unlink(missing_ok=True)  # of an older version
    draft = root / ".spec.json"
    write_plain(draft, json.dumps(spec.as_json()))
    draft.replace(root / "spec.json")
    if environment:
        write_plain(root / "environment", environment)
    else:
        (root / "environment").unlink(missing_ok=True)
    (root / "pid").unlink(missing_ok=True)


def read_environment(root: Path) -> str:
    """Return what ``prepare`` was told of the environment; empty if nothing."""
    try:
        return read_plain(root / "environment")
    except OSError:
        return ""


def spawn(command: Sequence[str], root: Path, *, server_key: str) -> subprocess.Popen[bytes]:
    """Start the sandbox in a session of its own, so that it outlives us.

    The server's public key is passed through a pipe: an agent could change a file.
    """
    with os.fdopen(_log_of(root), "ab") as log:
        child = subprocess.Popen(
            [*command, "--root", str(root)],
            cwd=launch.FOLDER,  # not ``root``, where agents may write
            env=sandbox_environment(os.environ),
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    _children.append(child)
    assert child.stdin is not None
    with contextlib.suppress(BrokenPipeError), child.stdin:  # it exited: its log says why
        child.stdin.write(json.dumps({"serverKey": server_key}).encode() + b"\n")
    return child


def _log_of(root: Path) -> int:
    """Return a descriptor of the sandbox's log; anything but a plain file there is replaced."""
    path = root / "sandbox.log"
    try:
        return open_plain(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW)
    except OSError:
        return new_plain(path)


def with_agents(command: Sequence[str], agents: Sequence[Agent]) -> tuple[str, ...]:
    """Return ``command`` with the programs that the person gave with --acp, and their
    variables."""
    if not agents:
        return tuple(command)
    commands = {agent.name: agent.command for agent in agents}
    variables = {agent.name: agent.variables for agent in agents if agent.variables}
    words = ["--acp-env", json.dumps(variables)] if variables else []
    return (*command, "--acp", json.dumps(commands), *words)


def environment(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of a program that we start: the person's, without our variables."""
    return {name: value for name, value in environ.items() if not name.startswith(_HIDDEN)}


def sandbox_environment(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the sandbox's environment, in which Python finds our modules."""
    return {**environment(environ), "PYTHONPATH": str(_PROJECT)}


def reap() -> None:
    """Reap children that have ended; they would stay as zombies."""
    _children[:] = [child for child in _children if child.poll() is None]


def read_pid_file(root: Path) -> PidFile | None:
    """Return the content of ``root/pid``; ``None`` if it is missing or malformed."""
    try:
        value = json.loads(read_plain(root / "pid"))
        token = read_plain(root / "token").strip() if (root / "token").exists() else ""
        return PidFile(int(value["pid"]), str(value["started"]), str(value["socket"]), token)
    except (OSError, ValueError, KeyError, TypeError):
        return None


def log_tail(root: Path, *, most: int = 4000) -> str:
    """Return the last lines of the sandbox's log, for the person who has to act on them."""
    try:
        with (root / "sandbox.log").open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - most))
            return "\n".join(file.read().decode(errors="replace").splitlines()[-20:])
    except OSError:
        return ""
