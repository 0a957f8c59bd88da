"""What a machine reports about itself when it asks for a code."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

_MACHINE_ID = re.compile(r"[A-Za-z0-9_-]{1,64}", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """Unverified claims, shown to the person who approves.

    Only ``machine_id`` has an effect: it is the machine that the tokens will work for.
    """

    hostname: str = ""
    platform: str = ""
    machine_id: str = ""
    version: str = ""

    @classmethod
    def parse(cls, form: Mapping[str, str]) -> Facts:
        """Return the facts in the form; a missing or invalid one becomes empty, never an error."""
        machine_id = form.get("machine_id", "")
        return cls(
            hostname=_plain(form.get("hostname", ""), 64),
            platform=_plain(form.get("platform", ""), 40),
            machine_id=machine_id if _MACHINE_ID.fullmatch(machine_id) else "",
            version=_plain(form.get("version", ""), 40),
        )


def _plain(text: str, limit: int) -> str:
    """Return ``text`` on one line, without invisible characters and those that reverse text.

    And short: a name as long as a paragraph could persuade its reader to approve.
    """
    seen = "".join(letter if letter.isprintable() else " " for letter in text)
    return " ".join(seen.split())[:limit].rstrip()
