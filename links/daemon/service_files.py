"""The files that start the link automatically: a systemd user unit or a launchd agent."""

from __future__ import annotations

import plistlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from mesh import launch

# The flag by which the program knows that no terminal started it.
AS_SERVICE: Final = "--as-service"
# Exit codes that need a person: a restart would change nothing (links.daemon.cli).
NEEDS_A_PERSON: Final = (2, 3, 4, 5)


@dataclass(frozen=True, slots=True)
class Service:
    """``argv`` is the program with absolute paths.

    ``environ`` has no secret: the system's programs show it.
    """

    server: str
    argv: tuple[str, ...]
    environ: Mapping[str, str]

    @property
    def name(self) -> str:
        """A name of its own for each server: a machine may be linked to several."""
        parts = urlsplit(self.server)
        host = re.sub(r"[^a-z0-9]+", "-", f"{parts.netloc}{parts.path}".lower()).strip("-")
        return f"mesh-link-{host}"


def unit_path(home: Path, name: str) -> Path:
    return home / ".config" / "systemd" / "user" / f"{name}.service"


def plist_path(home: Path, name: str) -> Path:
    return home / "Library" / "LaunchAgents" / f"{name}.plist"


def unit(service: Service) -> str:
    """Return the text of the systemd unit.

    Raises:
        ValueError: a value has a character that a unit can't hold.
    """
    lines = [
        "[Unit]",
        f"Description=Mesh link to {_plain(service.server)}",
        "StartLimitIntervalSec=0",
        "",
        "[Service]",
        f"ExecStart={' '.join(_quoted(word, is_command=True) for word in service.argv)}",
        *(
            f"Environment={_quoted(f'{name}={value}')}"
            for name, value in sorted(service.environ.items())
        ),
        f"WorkingDirectory={launch.FOLDER}",
        "Restart=always",
        "RestartSec=5",
        f"RestartPreventExitStatus={' '.join(map(str, NEEDS_A_PERSON))}",
        "# Agents at work outlive a link that is stopped or started again.",
        "KillMode=process",
        "",
        "[Install]",
        "WantedBy=default.target",
    ]
    return "\n".join(lines) + "\n"


def plist(service: Service) -> bytes:
    """Return the text of the launchd agent."""
    return plistlib.dumps(
        {
            "Label": service.name,
            "ProgramArguments": list(service.argv),
            "EnvironmentVariables": dict(service.environ),
            "WorkingDirectory": launch.FOLDER,
            "RunAtLoad": True,
            # launchd ignores exit codes: it restarts even a link that needs a person.
            "KeepAlive": True,
            "ThrottleInterval": 60,
            "ProcessType": "Interactive",  # else macOS throttles an agent's stream
            "AbandonProcessGroup": True,  # working agents outlive the link
        }
    )


def _plain(text: str) -> str:
    if any(ord(letter) < 32 or ord(letter) == 127 for letter in text):
        raise ValueError(f"{text!r} can't be written to a unit.")
    return text.replace("%", "%%")


def _quoted(text: str, *, is_command: bool = False) -> str:
    """Return ``text`` as one word of a unit: systemd's own quoting, not the shell's."""
    text = _plain(text).replace("\\", "\\\\").replace('"', '\\"')
    # Variables are expanded in commands only.
    return f'"{text.replace("$", "$$") if is_command else text}"'


def argv_of(words: Sequence[str], *, executable: str, program: str) -> tuple[str, ...]:
    """Return the command line with which a service starts the program as it was started now."""
    is_checkout = Path(program).name == "manage.py"
    module = ("manage", "deco_link") if is_checkout else ("links.daemon.deco", "link")
    return tuple(launch.command(*module, *words, executable=executable))


def is_temporary(executable: str) -> bool:
    """Return whether the Python is in a cache folder that uv may clean up at any time."""
    return "archive-v" in executable or "/builds-v" in executable
