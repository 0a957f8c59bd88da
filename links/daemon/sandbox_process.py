"""A sandbox's folder and process: what is laid out, what is started, what it tells back."""

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
from links.daemon.spec import Spec
from mesh import launch
from mesh.plain_files import new_plain, open_plain, read_plain, write_plain

COMMAND: Final = tuple(launch.command("sandboxes.daemon"))
_PROJECT: Final = Path(__file__).resolve().parents[2]
# Ours, and full of secrets on a machine that also runs the server. What an agent may see of
# the rest is decided, by an allow-list, in the sandbox.
_HIDDEN: Final = ("MESH_", "DJANGO_", "DATABASE_URL", "REDIS_URL", "DECO_", "DECOCMS_")

_children: list[subprocess.Popen[bytes]] = []


@dataclass(frozen=True, slots=True)
class PidFile:
    """What a sandbox that listens has written.

    ``token`` opens one that a link of an older version has started; ours need none.
    """

    pid: int
    started: str
    socket: str
    token: str = ""


def prepare(root: Path, spec: Spec) -> None:
    """Lay out the sandbox's folder, without what an earlier process has left of itself."""
    root.mkdir(parents=True, exist_ok=True, mode=0o700)
    (root / "token").unlink(missing_ok=True)  # of an older version's
    draft = root / ".spec.json"
    write_plain(draft, json.dumps(spec.as_json()))
    draft.replace(root / "spec.json")
    (root / "pid").unlink(missing_ok=True)


def spawn(command: Sequence[str], root: Path, *, server_key: str) -> subprocess.Popen[bytes]:
    """Start the sandbox in a session of its own, so that it outlives us.

    The server's public key goes through a pipe: a file, an agent could change.
    """
    with os.fdopen(_log_of(root), "ab") as log:
        child = subprocess.Popen(
            [*command, "--root", str(root)],
            cwd=launch.FOLDER,  # and not ``root``, which is the agents' to write to
            env=of_sandbox(os.environ),
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    _children.append(child)
    assert child.stdin is not None
    with contextlib.suppress(BrokenPipeError), child.stdin:  # it ended: its log says why
        child.stdin.write(json.dumps({"serverKey": server_key}).encode() + b"\n")
    return child


def _log_of(root: Path) -> int:
    """Return a descriptor of the sandbox's log; what is no plain file there is taken away."""
    path = root / "sandbox.log"
    try:
        return open_plain(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW)
    except OSError:
        return new_plain(path)


def with_agents(command: Sequence[str], agents: Sequence[Agent]) -> tuple[str, ...]:
    """Return the command of a sandbox that also knows the programs that the person named."""
    if not agents:
        return tuple(command)
    named = {agent.name: list(agent.command) for agent in agents}
    return (*command, "--acp", json.dumps(named))


def environment(given: Mapping[str, str]) -> dict[str, str]:
    """Return what a program that we start is given: the person's own without anything of ours."""
    return {name: value for name, value in given.items() if not name.startswith(_HIDDEN)}


def of_sandbox(given: Mapping[str, str]) -> dict[str, str]:
    """Return the sandbox's environment, in which it finds our own modules."""
    return {**environment(given), "PYTHONPATH": str(_PROJECT)}


def collect() -> None:
    """Collect children that ended, or they would stay behind as zombies."""
    _children[:] = [child for child in _children if child.poll() is None]


def read_pid_file(root: Path) -> PidFile | None:
    """Return what ``root/pid`` says; ``None`` if there is none, or none that makes sense."""
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
