"""What tells a machine's files from a copy of them on another machine, or in another folder.

The machine's id is a file, so a copied home or a cloned disk has it as well. Two programs that run
at the same time with one id would take each other's place at the server, and end each other's runs.
"""

from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path
from typing import Final

_BOOT: Final = Path("/proc/sys/kernel/random/boot_id")


def installation(home: Path) -> str:
    """Return 32 hex digits that differ for a copy of ``home`` that is in use at the same time.

    They stay the same until the machine starts anew. A clone of a whole disk has the same files in
    the same places, but another start; a copy on the same machine has files of its own.
    """
    facts = (home / "machine-id").stat()
    parts = f"{_boot_id()} {facts.st_dev} {facts.st_ino}"
    return hashlib.sha256(parts.encode()).hexdigest()[:32]


def _boot_id() -> str:
    """Return the id of the machine's last start; empty where the system has none."""
    if sys.platform == "darwin":
        asked = ["sysctl", "-n", "kern.bootsessionuuid"]
        return subprocess.run(asked, capture_output=True, text=True, check=False).stdout.strip()
    try:
        return _BOOT.read_text().strip()
    except OSError:
        return ""
