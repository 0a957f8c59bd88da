"""The link program's configuration, and where it keeps its state."""

from __future__ import annotations

import os
import secrets
import shlex
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from links.daemon.installation import copy_name
from mesh.plain_files import read_plain, write_plain

PORT: Final = 5174


@dataclass(frozen=True, slots=True)
class Agent:
    """A program that speaks ACP on stdio, its name, and the variables that it may see besides what
    Mesh knows of it."""

    name: str
    command: tuple[str, ...]
    variables: tuple[str, ...] = ()

    @property
    def kind(self) -> str:
        return f"acp:{self.name}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """``server`` has no trailing slash; ``allowed`` are real paths."""

    server: str
    home: Path
    name: str
    token_file: Path | None = None  # None: the machine is paired, and renews its tokens
    allowed: tuple[Path, ...] = ()
    address: str = ""  # where the server calls this machine; empty: it uses the tunnel
    port: int = PORT  # where this machine listens for that, on 127.0.0.1
    sandbox_command: tuple[str, ...] | None = None  # None: the real one
    acp: tuple[Agent, ...] = ()  # programs given with --acp
    as_service: bool = False  # nobody started it in a terminal: it asks the login shell

    @property
    def named_variables(self) -> frozenset[str]:
        """What the person named for the agents of --acp."""
        return frozenset(name for agent in self.acp for name in agent.variables)

    @property
    def sandboxes(self) -> Path:
        return self.home / "sandboxes"

    @property
    def log_file(self) -> Path:
        return self.home / "link" / "log"


def program() -> str:
    """Return the name under which this program was started."""
    return "deco link" if Path(sys.argv[0]).name == "deco" else "deco_link"


def own_command(*words: str) -> str:
    """Return the command line that starts this program with ``words``."""
    start = [sys.executable, sys.argv[0]] if Path(sys.argv[0]).name == "manage.py" else []
    return shlex.join([*start, *program().split(), *words])


def machine_id(home: Path) -> str:
    """Return this machine's id: 32 hex digits, generated once, readable by the owner only.

    A copy of another machine's files has an id of its own once it was noticed (``separate``).
    """
    path = home / "machine-id"
    try:
        known = read_plain(path).strip()
    except FileNotFoundError:
        known = ""
    if not known:
        return _new_id(path)
    try:
        return read_plain(_own_id(home)).strip() or known
    except (FileNotFoundError, NotADirectoryError):
        return known


def separate(home: Path) -> str:
    """Give this copy of a machine's files an id of its own, and return it.

    It is kept beside the copied one, under the name of this machine and these files: a home that
    two machines share has one for each, and a copy of the copy is noticed in its turn.
    """
    return _new_id(_own_id(home))


def _own_id(home: Path) -> Path:
    return home / "machine-ids" / copy_name(home)


def _new_id(path: Path) -> str:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    write_plain(draft, secrets.token_hex(16) + "\n")
    draft.replace(path)
    return read_plain(path).strip()
