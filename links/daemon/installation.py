"""What tells a machine's files from a copy of them on another machine, or in another folder.

The machine's id is a file, so a copied home or a cloned disk has it as well. Two programs that run
at the same time with one id would take each other's place at the server, and end each other's runs.
"""

from __future__ import annotations

import hashlib
import re
import subprocess
import sys
from pathlib import Path
from typing import Final

_SYSTEM: Final = Path("/etc/machine-id")
_PLATFORM: Final = re.compile(r'"IOPlatformUUID" = "([^"]+)"')
_BOOT: Final = Path("/proc/sys/kernel/random/boot_id")


def installation(home: Path) -> str:
    """Return 32 hex digits that differ for a copy of ``home`` that is in use at the same time.

    They stay the same until the machine starts anew. A clone of a whole disk has the same files in
    the same places, but another start; a copy on the same machine has files of its own.
    """
    facts = (home / "machine-id").stat()
    parts = f"{_boot_id()} {facts.st_dev} {facts.st_ino}"
    return hashlib.sha256(parts.encode()).hexdigest()[:32]


def copy_name(home: Path) -> str:
    """Return 32 hex digits that stay the same over restarts, and differ for a copy in another
    folder or on another machine; a clone of a whole disk has the same."""
    parts = f"{_system_id()} {(home / 'machine-id').stat().st_ino}"
    return hashlib.sha256(parts.encode()).hexdigest()[:32]


def _system_id() -> str:
    """Return the id of the installed system; empty where it has none."""
    if sys.platform == "darwin":
        asked = ["ioreg", "-rd1", "-c", "IOPlatformExpertDevice"]
        told = subprocess.run(asked, capture_output=True, text=True, check=False).stdout
        found = _PLATFORM.search(told)
        return found[1] if found else ""
    try:
        return _SYSTEM.read_text().strip()
    except OSError:
        return ""


def _boot_id() -> str:
    """Return the id of the machine's last start; empty where the system has none."""
    if sys.platform == "darwin":
        asked = ["sysctl", "-n", "kern.bootsessionuuid"]
        return subprocess.run(asked, capture_output=True, text=True, check=False).stdout.strip()
    try:
        return _BOOT.read_text().strip()
    except OSError:
        return ""
