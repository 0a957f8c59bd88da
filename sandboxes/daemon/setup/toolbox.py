"""Reads a project's folder, and finds the programs that install and start it."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path

from mesh.plain_files import read_plain
from sandboxes.daemon.env import tool_env
from sandboxes.daemon.files.errors import IsADirectory, NoSuchFile, NotADirectory, NotAFile
from sandboxes.daemon.files.tree import Tree
from sandboxes.daemon.setup.config import Config
from sandboxes.daemon.setup.project import FILES, HOST, Project, understand
from sandboxes.daemon.setup.store import save

MOST_BYTES = 4 * 1024 * 1024  # of a lock file
STAMP = "installed"
_INSTALLED = (".venv", "node_modules", ".pnp.cjs", ".pnp.js")  # the last two: Yarn 2 and later
_COREPACK = ("pnpm", "yarn")
# Besides the PATH, which is short for a link that was started from a desktop icon.
_USUAL = (".local/bin", ".bun/bin", ".deno/bin", ".cargo/bin")


def read_project(tree: Tree, config: Config) -> Project:
    """Return the project in the folder. Blocking."""
    texts = {name: text for name in FILES if (text := _text(tree, config.path, name)) is not None}
    return understand(texts, manager=config.manager, has_uv=find("uv") is not None)


def _text(tree: Tree, path: str, name: str) -> str | None:
    try:
        with tree.open_file(f"{path}/{name}" if path else name) as (file, _):
            return os.read(file, MOST_BYTES).decode(errors="replace")
    except (NoSuchFile, NotADirectory, IsADirectory, NotAFile):
        return None


def fingerprint(config: Config, project: Project) -> str:
    """Return a digest of everything that determines the result of an installation."""
    decisive = [config.runtime, project.manager, config.path, sorted(project.files.items())]
    return hashlib.sha256(json.dumps(decisive).encode()).hexdigest()


def is_installed(root: Path, folder: Path, mark: str) -> bool:
    """Return whether an installation with this fingerprint still exists. Blocking."""
    try:
        if read_plain(root / STAMP) != mark:
            return False
    except OSError:
        return False
    return any((folder / place).exists() for place in _INSTALLED)


def note_installed(root: Path, mark: str) -> None:
    """Store the fingerprint of an installation.

    Raises:
        NotKept: the disk can't store it.
    """
    save(root, STAMP, mark)


def find(program: str) -> str | None:
    """Return the path of a program: on the PATH, or where installers put it."""
    return shutil.which(program, path=_path())


def _path() -> str:
    home = Path(os.environ.get("HOME") or Path.home())
    usual = [str(home / folder) for folder in _USUAL]
    return os.pathsep.join([os.environ.get("PATH", os.defpath), *usual])


def resolved(argv: list[str], folder: Path) -> list[str] | None:
    """Return the argv with the full path of its program; ``None`` if it is not installed.

    ``.venv/…`` is relative to the project's folder. pnpm and yarn may come from corepack, without
    prompts and without enabling it for the whole machine.
    """
    program = argv[0]
    if "/" in program:
        return [str(folder / program), *argv[1:]]
    own = folder / ".venv" / "bin" / program
    if own.exists():
        return [str(own), *argv[1:]]
    if found := find(program):
        return [found, *argv[1:]]
    if program in _COREPACK and (corepack := find("corepack")):
        return [corepack, *argv]
    return None


def project_env(config: Config, project: Project, folder: Path) -> dict[str, str]:
    """Return the environment of the project's programs."""
    own = {"PATH": _path(), "COREPACK_ENABLE_STRICT": "0", "COREPACK_ENABLE_DOWNLOAD_PROMPT": "0"}
    if project.is_python:
        venv = folder / ".venv"
        own["PATH"] = f"{venv / 'bin'}{os.pathsep}{own['PATH']}"
        own |= {"VIRTUAL_ENV": str(venv), "PYTHONUNBUFFERED": "1"}
    return tool_env(os.environ, own | dict(config.env))


def server_env(env: Mapping[str, str], port: int) -> dict[str, str]:
    """Return ``env`` with the variables that make a dev server listen on loopback, on ``port``."""
    return {**env, "HOST": HOST, "HOSTNAME": HOST, "PORT": str(port)}
