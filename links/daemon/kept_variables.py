"""The variables that a link keeps for the agents of its service: one file, readable by its owner.

A start file of the login shell is the usual place for them; here is what stands in none.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from mesh.plain_files import read_plain, write_plain

LONGEST: Final = 32_000  # bytes of a value; the system's limit is a little higher


def path_of(home: Path) -> Path:
    return home / "link" / "environment.json"


def read(home: Path) -> dict[str, str]:
    """Return the kept variables; none if the file is missing or can't be read."""
    try:
        value = json.loads(read_plain(path_of(home)))
    except (OSError, ValueError, RecursionError):
        return {}
    pairs = value.items() if isinstance(value, dict) else ()
    return {name: each for name, each in pairs if isinstance(each, str) and is_value(each)}


def write(home: Path, variables: Mapping[str, str]) -> None:
    """Keep ``variables``, and nothing else.

    Raises:
        OSError: the folder can't be written.
    """
    path = path_of(home)
    home.mkdir(parents=True, exist_ok=True, mode=0o700)
    path.parent.mkdir(exist_ok=True, mode=0o700)
    draft = path.with_suffix(".draft")
    write_plain(draft, json.dumps(dict(sorted(variables.items())), indent=1) + "\n")
    draft.replace(path)


def is_value(text: str) -> bool:
    """Return whether a program can be started with ``text`` as the value of a variable."""
    return "\0" not in text and len(text.encode(errors="surrogatepass")) <= LONGEST
