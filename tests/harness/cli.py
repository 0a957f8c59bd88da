"""Where the real programs are: installed by ``make test``, or named in the environment."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from mesh.develop import NPM_PACKAGES, PYPI_AGENTS

ROOT = Path(__file__).resolve().parents[2]
TOOLS = (ROOT / ".tools").resolve()  # programs name it so
INSTALL = f"npm install --prefix .tools {' '.join(NPM_PACKAGES)}"


def find(program: str) -> str | None:
    """Return the path of an agent's program, such as ``claude``, or ``None``."""
    named = os.environ.get(f"MESH_TEST_{program.upper().replace('-', '_')}")
    own = (TOOLS / f"{each.pypi}-{each.pypi_version}/bin" / program for each in PYPI_AGENTS)
    places = [Path(named)] if named else [TOOLS / "node_modules/.bin" / program, *own]
    return next((str(path) for path in places if path.exists()), None)


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
