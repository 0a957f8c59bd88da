"""A repository as our checkpoints see it: its files, with an index and objects of our own.

Git writes nothing in the repository: its index, its references and its objects are only read.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from mesh.git.calls import Call
from mesh.git.view import View

_SETTINGS: Final = (
    "core.splitIndex=false",  # the shared part of one would be the repository's
    "core.untrackedCache=false",
    "core.safecrlf=false",  # a warning for people who commit; here it would refuse the file
    # Nothing is ever checked out from this index: any name that the folder has is welcome.
    "core.protectHFS=false",
    "core.protectNTFS=false",
)


@dataclass(frozen=True, slots=True)
class Beside:
    """Git that reads the repository of ``view`` and writes into ``folder`` alone."""

    view: View
    folder: Path

    @property
    def index(self) -> Path:
        return self.folder / "index"

    @property
    def objects(self) -> Path:
        return self.folder / "objects"

    def call(self, args: tuple[str, ...], parent: Mapping[str, str]) -> Call:
        """Return the call of a command."""
        settings = (word for setting in _SETTINGS for word in ("-c", setting))
        call = self.view.call((*settings, *args), parent)
        places = {
            # Nobody commits this: a file whose filter is missing is kept as it lies there.
            "GIT_CONFIG_COUNT": "0",
            "GIT_NO_LAZY_FETCH": "1",  # a turn does not wait for a server
            "GIT_INDEX_FILE": str(self.index),
            "GIT_OBJECT_DIRECTORY": str(self.objects),
            "GIT_ALTERNATE_OBJECT_DIRECTORIES": _quoted(self.view.place / "objects"),
        }
        return replace(call, env={**call.env, **places})

    def explain(self, said: str) -> str:
        """Return git's message for a person."""
        return self.view.explain(said)


def _quoted(path: Path) -> str:
    """Return a path as one entry of a list that colons separate."""
    text = str(path).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{text}"'
