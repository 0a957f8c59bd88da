"""The gits that the table is tried with: the one on the PATH, and newer ones."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from mesh.develop import NEWER_GIT, TOOLS


@dataclass(frozen=True, slots=True)
class AGit:
    """A git in ``folder``, which is put first on the PATH."""

    folder: Path
    version: tuple[int, int]

    def __str__(self) -> str:
        return "git {}.{}".format(*self.version)


def _found(program: Path) -> AGit:
    said = subprocess.run([program, "--version"], capture_output=True, text=True, check=True).stdout
    major, minor = re.findall(r"\d+", said)[:2]
    return AGit(program.parent, (int(major), int(minor)))


def all_gits() -> list[AGit]:
    """Return the git on the PATH, the one that ``make test`` installs, and those in the folders
    that MESH_TEST_GITS lists, as a PATH does."""
    named = os.environ.get("MESH_TEST_GITS", "").split(os.pathsep)
    folders = [TOOLS / f"git-{NEWER_GIT}" / "path", *map(Path, filter(None, named))]
    programs = [Path(shutil.which("git") or "git"), *(folder / "git" for folder in folders)]
    return [_found(program) for program in dict.fromkeys(programs) if program.exists()]
