"""Reads a project's folder, and finds the programs that install and start it."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import replace
from itertools import islice
from pathlib import Path

from mesh import launch
from mesh.plain_files import read_plain
from sandboxes.daemon.env import tool_env
from sandboxes.daemon.files.errors import IsADirectory, NoSuchFile, NotADirectory, NotAFile
from sandboxes.daemon.files.tree import Tree
from sandboxes.daemon.setup.config import Config
from sandboxes.daemon.setup.frameworks import FOLDERS, HOST, SOURCES
from sandboxes.daemon.setup.project import FILES, STATIC, Project, understand
from sandboxes.daemon.setup.store import save

MOST_BYTES = 4 * 1024 * 1024  # of a lock file
MOST_OF_SOURCE = 256 * 1024  # bytes
MOST_NAMES = 2000  # of a folder
STAMP = "installed"
_INSTALLED = (".venv", "node_modules", ".pnp.cjs", ".pnp.js")  # the last two: Yarn 2 and later
_COREPACK = ("pnpm", "yarn")
# Besides the PATH, which is short for a link that was started from a desktop icon.
_USUAL = (".local/bin", ".bun/bin", ".deno/bin", ".cargo/bin")


def read_project(tree: Tree, config: Config) -> Project:
    """Return the project in the folder. Blocking."""
    texts = _texts(tree, config.path, FILES, MOST_BYTES)
    project = understand(texts, manager=config.manager, has_uv=find("uv") is not None)
    sources = _texts(tree, config.path, SOURCES, MOST_OF_SOURCE) if project.is_python else {}
    below = [
        f"{folder}/{name}"
        for folder in FOLDERS
        for name in _names(tree, joined(config.path, folder))
    ]
    return replace(
        project,
        names=project.names.union(_names(tree, config.path), below),
        sources=sources,
    )


def _texts(tree: Tree, path: str, names: Iterable[str], most: int) -> dict[str, str]:
    """Return the contents of the files that there are."""
    found = ((name, _text(tree, joined(path, name), most)) for name in names)
    return {name: text for name, text in found if text is not None}


def _text(tree: Tree, path: str, most: int) -> str | None:
    try:
        with tree.open_file(path) as (file, _):
            return os.read(file, most).decode(errors="replace")
    except (NoSuchFile, NotADirectory, IsADirectory, NotAFile):
        return None


def _names(tree: Tree, path: str) -> list[str]:
    """Return the names in a folder; none if there is no such folder."""
    try:
        with tree.open_folder(path or ".") as (folder, _), os.scandir(folder) as entries:
            return [entry.name for entry in islice(entries, MOST_NAMES)]
    except (NoSuchFile, NotADirectory):
        return []


def joined(path: str, name: str) -> str:
    """Return the path of a name in a folder of the tree."""
    return f"{path}/{name}" if path else name


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
    if program == STATIC:
        return launch.command("sandboxes.daemon.setup.static_server", *argv[1:])
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
