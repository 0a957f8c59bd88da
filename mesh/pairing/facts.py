"""What a machine says of itself when it asks for a code."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

_MACHINE_ID = re.compile(r"[A-Za-z0-9_-]{1,64}", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """Claims, not truths, shown to the person who approves.

    Only ``machine_id`` decides anything: which machine the tokens will work for.
    """

    hostname: str = ""
    platform: str = ""
    machine_id: str = ""
    version: str = ""

    @classmethod
    def parse(cls, form: Mapping[str, str]) -> Facts:
        """Return what the form says; what is missing or odd becomes empty, never an error."""
        machine_id = form.get("machine_id", "")
        return cls(
            hostname=_plain(form.get("hostname", ""), 64),
            platform=_plain(form.get("platform", ""), 40),
            machine_id=machine_id if _MACHINE_ID.fullmatch(machine_id) else "",
            version=_plain(form.get("version", ""), 40),
        )


def _plain(text: str, limit: int) -> str:
    """Return ``text`` on one line, without what can't be seen or turns the text around it.

    And short: a name that is a paragraph could talk its reader into approving.
    """
    seen = "".join(letter if letter.isprintable() else " " for letter in text)
    return " ".join(seen.split())[:limit].rstrip()
