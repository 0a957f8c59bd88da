"""A project's ``mesh.toml``, as the preview's page reads and writes it."""

from __future__ import annotations

import hashlib
import os
import shlex
import threading
from collections.abc import Mapping
from typing import Any, Final

from agents.harness.base import BadInput
from mesh.lib.errors import AppError
from sandboxes.daemon.files.errors import NoSuchFile
from sandboxes.daemon.files.tools import FileTools
from sandboxes.daemon.files.tree import Tree
from sandboxes.daemon.setup.project import settings_of
from sandboxes.daemon.setup.settings_text import MOST_CHARACTERS, InvalidSettings, parsed, with_keys

NAME: Final = "mesh.toml"
MOST_WORDS: Final = 2000  # characters of a command
_changing = threading.Lock()


class ChangedSince(AppError):
    code = "settings_changed"
    text = "mesh.toml has changed since this page read it, so nothing was written."
    hint = "Look at what it says now, then try again."
    status = 409


class SettingsElsewhere(AppError):
    code = "settings_elsewhere"
    text = "Settings stand under [tool.mesh] in pyproject.toml, and a mesh.toml would hide them."
    hint = "Write port or dev there, or ask the agent to."
    status = 409


def parse_keys(body: Mapping[str, Any]) -> tuple[dict[str, int | list[str]], str]:
    """Return the keys to write, and the revision of the file that the person saw.

    Raises:
        BadInput: naming the invalid field.
    """
    keys: dict[str, int | list[str]] = {}
    port, dev, revision = body.get("port"), body.get("dev"), body.get("revision")
    if port is not None:
        if type(port) is not int or not 0 < port < 65536:
            raise BadInput("port must be a number from 1 to 65535.", detail="port")
        keys["port"] = port
    if dev is not None:
        keys["dev"] = _words(dev)
    if not keys:
        raise BadInput("The body must name a port, or a command as dev.", detail="port")
    if not isinstance(revision, str):
        raise BadInput("revision must be that of the settings that were read.", detail="revision")
    return keys, revision


def read(tree: Tree, path: str) -> dict[str, Any]:
    """Return ``port``, ``dev`` (as one line) and the ``revision`` of a project. Blocking.

    Raises:
        InvalidSettings: the file is not valid TOML.
    """
    try:
        with tree.open_file(path) as (file, _):
            data = os.read(file, MOST_CHARACTERS + 1)
    except NoSuchFile:
        data = b""
    settings = parsed(_text(data))
    dev, port = settings.get("dev"), settings.get("port")
    is_command = isinstance(dev, list) and all(isinstance(word, str) for word in dev)
    return {
        "port": port if type(port) is int else None,
        "dev": shlex.join(dev) if is_command and dev else None,
        "revision": _revision(data),
    }


def write(
    tree: Tree, path: str, keys: Mapping[str, int | list[str]], revision: str, *, pyproject: str
) -> None:
    """Write the keys into the file, which is made if there is none. Blocking.

    Raises:
        InvalidSettings, CantRewrite: as their texts say; the file stays as it is.
        ChangedSince, ChangedMeanwhile: it is no longer the one of ``revision``.
        SettingsElsewhere: there is none, and ``pyproject`` has the settings.
    """

    def change(data: bytes) -> bytes:
        if _revision(data) != revision:
            raise ChangedSince
        if not data.strip() and settings_of({"pyproject.toml": pyproject}):
            raise SettingsElsewhere
        return with_keys(_text(data), keys).encode()

    FileTools(tree, _changing).rewrite(path, change, most=MOST_CHARACTERS)


def _text(data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError as exc:
        raise InvalidSettings("mesh.toml is not UTF-8, so it can't be read as TOML.") from exc


def _revision(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _words(dev: Any) -> list[str]:
    """Return a command, given as one line, as its words."""
    if not isinstance(dev, str) or len(dev) > MOST_WORDS or not dev.isprintable():
        raise BadInput(f"dev must be a line of at most {MOST_WORDS} characters.", detail="dev")
    try:
        words = shlex.split(dev)
    except ValueError as exc:
        raise BadInput(f"dev is no command: {exc}.", detail="dev") from exc
    if not words or not words[0]:
        raise BadInput("dev must name a program.", detail="dev")
    return words
