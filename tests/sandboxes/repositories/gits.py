"""The gits that the table is tried with: the one on the PATH, and newer ones."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path


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
    """Return the git on the PATH, then those in the folders that MESH_TEST_GITS lists."""
    folders = os.environ.get("MESH_TEST_GITS", "").split(os.pathsep)
    programs = [shutil.which("git"), *(str(Path(folder) / "git") for folder in folders if folder)]
    return [_found(Path(program)) for program in programs if program]
