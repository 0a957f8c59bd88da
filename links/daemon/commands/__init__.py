"""``deco_link <command>``: the commands besides linking this machine."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

# Each module has ``main(words) -> exit code``, and its first line says what it does.
COMMANDS: Final[Mapping[str, str]] = {
    "status": "links.daemon.commands.status",
    "doctor": "links.daemon.doctor.command",
    "logout": "links.daemon.logout",
    "sandboxes": "links.daemon.commands.sandboxes",
    "service": "links.daemon.commands.service",
}
