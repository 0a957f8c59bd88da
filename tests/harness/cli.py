"""Where the real programs are: installed by ``make test``, or named in the environment."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from mesh.develop import NPM_PACKAGES

ROOT = Path(__file__).resolve().parents[2]
TOOLS = (ROOT / ".tools").resolve()  # programs name it so
INSTALL = f"npm install --prefix .tools {' '.join(NPM_PACKAGES)}"


def find(program: str) -> str | None:
    """Return the path of ``claude``, ``codex``, ``gemini`` or ``opencode``, or ``None``."""
    named = os.environ.get(f"MESH_TEST_{program.upper()}")
    path = Path(named) if named else TOOLS / "node_modules/.bin" / program
    return str(path) if path.exists() else None


def need(program: str) -> str:
    """Return the path of the program; without it leave the test out."""
    if path := find(program):
        return path
    pytest.skip(f"no {program} program here: run `{INSTALL}`")


@contextlib.contextmanager
def a_home() -> Iterator[Path]:
    """Make a home for a program; not below the system's temporary folder, which Codex refuses."""
    TOOLS.mkdir(exist_ok=True)
    home = Path(tempfile.mkdtemp(prefix="home-", dir=TOOLS))
    try:
        yield home
    finally:
        shutil.rmtree(home, ignore_errors=True)
