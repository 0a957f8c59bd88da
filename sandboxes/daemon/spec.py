"""The purpose of a sandbox: its ``spec.json``, written by the program that starts it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from links.wire.names import is_key


@dataclass(frozen=True, slots=True)
class Spec:
    """The contents of ``spec.json``. ``allowed`` are the folders that the link program allows."""

    handle: str
    folder: str = ""
    clone_url: str = ""
    branch: str = ""
    allowed: tuple[str, ...] = ()


def parse_spec(value: Any) -> Spec:
    """Return the spec; unknown fields and fields of another type are ignored."""
    given = _object(value)
    repo = _object(given.get("repo"))
    branch = _text(given.get("branch")) or _text(repo.get("branch"))
    return Spec(
        handle=_text(given.get("handle")),
        folder=_text(given.get("folder")),
        clone_url=_text(repo.get("cloneUrl")),
        branch="" if is_key(branch) else branch,
        allowed=tuple(filter(None, map(_text, _list(given.get("allowed"))))),
    )


def _object(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""
