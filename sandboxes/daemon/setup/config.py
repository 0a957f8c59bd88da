"""The configuration of a sandbox's project, and which setup a change of it needs. Pure.

The wire format is ``{git: {repository: {cloneUrl, branch}, identity: {userName, userEmail}},
application: {runtime, packageManager: {name, path}, port}, env}``. A change is merged into
the configuration; ``null`` removes a value.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal
from urllib.parse import urlsplit

from agents.harness.base import BadInput
from mesh.lib.errors import AppError

Transition = Literal[
    "bootstrap",
    "branch-change",
    "runtime-change",
    "pm-change",
    "port-change",
    "env-change",
    "no-op",
]
Step = Literal["clone", "install", "start"]

MANAGERS = ("npm", "pnpm", "yarn", "bun", "deno", "uv", "pip")
RUNTIMES = ("node", "bun", "deno", "python")
# The first step that a change needs; the steps after it follow.
FIRST_STEP: Mapping[str, Step | None] = {
    "bootstrap": "clone",
    "branch-change": "clone",
    "runtime-change": "install",
    "pm-change": "install",
    "port-change": "start",
    "env-change": None,
    "no-op": None,
}
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)
_TEXT_LIMIT = 2000
_ENV_LIMIT = 100_000


class Immutable(AppError):
    code = "immutable"
    text = "The sandbox was made for another repository."
    hint = "Make another sandbox for that repository."
    status = 409


@dataclass(frozen=True, slots=True)
class Config:
    """The typed view of a configuration; an empty string means that a value is not set."""

    clone_url: str = ""
    branch: str = ""
    user_name: str = ""
    user_email: str = ""
    runtime: str = ""
    manager: str = ""
    path: str = ""
    port: int | None = None
    env: Mapping[str, str] = field(default_factory=dict)


def parse_change(value: Mapping[str, Any]) -> dict[str, Any]:
    """Return the change as a validated nested object.

    Raises:
        BadInput: naming the invalid field.
    """
    if _object(value, "auth"):  # a server that believed it changed would be locked out
        raise BadInput("The token of a sandbox can't be changed.", detail="auth")
    git, application = _object(value, "git"), _object(value, "application")
    repository, identity = _object(git, "repository"), _object(git, "identity")
    manager = _object(application, "packageManager")
    change = {
        "git": {
            "repository": _texts(repository, "cloneUrl", "branch"),
            "identity": _texts(identity, "userName", "userEmail"),
        },
        "application": {
            **_choice(application, "runtime", RUNTIMES),
            "packageManager": {**_choice(manager, "name", MANAGERS), **_path(manager)},
            **_port(application),
        },
        "env": _env(_object(value, "env")),
    }
    return _without_empty(change)


def merge(known: Mapping[str, Any], change: Mapping[str, Any]) -> dict[str, Any]:
    """Return ``known`` with ``change`` merged into it, object by object."""
    merged = dict(known)
    for name, value in change.items():
        if value is None:
            merged.pop(name, None)
        elif isinstance(value, dict):
            inner = merged.get(name)
            merged[name] = merge(inner if isinstance(inner, dict) else {}, value)
        else:
            merged[name] = value
    return merged


def view(known: Mapping[str, Any]) -> Config:
    """Return the typed view of a merged configuration."""
    repository = known.get("git", {}).get("repository", {})
    identity = known.get("git", {}).get("identity", {})
    application = known.get("application", {})
    manager = application.get("packageManager", {})
    return Config(
        clone_url=repository.get("cloneUrl", ""),
        branch=repository.get("branch", ""),
        user_name=identity.get("userName", ""),
        user_email=identity.get("userEmail", ""),
        runtime=application.get("runtime", ""),
        manager=manager.get("name", ""),
        path=manager.get("path", ""),
        port=application.get("port"),
        env=known.get("env", {}),
    )


def transition(old: Config | None, new: Config, *, cloned_from: str = "") -> Transition:
    """Return the kind of change; ``cloned_from`` is the address that the folder was cloned from.

    Raises:
        Immutable: it names another repository.
    """
    made_from = cloned_from or (old.clone_url if old else "")
    if made_from and new.clone_url and identity_of(made_from) != identity_of(new.clone_url):
        raise Immutable
    if old is None or (new.clone_url and not made_from):
        return "bootstrap"
    changes: list[tuple[Transition, object, object]] = [
        ("branch-change", old.branch, new.branch),
        ("runtime-change", old.runtime, new.runtime),
        ("pm-change", (old.manager, old.path), (new.manager, new.path)),
        ("port-change", old.port, new.port),
        ("env-change", old.env, new.env),
    ]
    return next((name for name, before, after in changes if before != after), "no-op")


def identity_of(clone_url: str) -> str:
    """Return the repository's identity: its address without user, password and ``.git``."""
    url = clone_url.strip()
    if "://" in url:
        parts = urlsplit(url)
        url = f"{parts.hostname or ''}{f':{parts.port}' if parts.port else ''}{parts.path}"
    return url.rstrip("/").removesuffix(".git")


def shown(known: Mapping[str, Any]) -> dict[str, Any]:
    """Return the public part of a configuration: no values of variables, no credentials."""
    public = {name: value for name, value in known.items() if name != "env"}
    if url := view(known).clone_url:
        public = merge(public, {"git": {"repository": {"cloneUrl": without_credentials(url)}}})
    return public


def without_credentials(clone_url: str) -> str:
    """Return the address without the user and password before its host."""
    scheme, mark, rest = clone_url.partition("://")
    if not mark:
        return clone_url
    host, slash, path = rest.partition("/")
    return f"{scheme}://{host.rpartition('@')[2]}{slash}{path}"


def _object(value: Mapping[str, Any], name: str) -> dict[str, Any]:
    found = value.get(name)
    if found is not None and not isinstance(found, dict):
        raise BadInput(f"{name} must be an object.", detail=name)
    return found or {}


def _texts(value: Mapping[str, Any], *names: str) -> dict[str, Any]:
    return {name: _text(value[name], name) for name in names if name in value}


def _text(value: Any, name: str, most: int = _TEXT_LIMIT) -> str | None:
    if value is None:
        return None
    if not isinstance(value, str) or not value or len(value) > most or "\0" in value:
        raise BadInput(f"{name} must be a string of at most {most} characters.", detail=name)
    return value


def _choice(value: Mapping[str, Any], name: str, choices: tuple[str, ...]) -> dict[str, Any]:
    if name not in value:
        return {}
    if value[name] is not None and value[name] not in choices:
        raise BadInput(f"{name} must be one of: {', '.join(choices)}.", detail=name)
    return {name: value[name]}


def _path(manager: Mapping[str, Any]) -> dict[str, Any]:
    found = _texts(manager, "path")
    if (path := found.get("path")) and (path.startswith("/") or ".." in path.split("/")):
        raise BadInput("packageManager.path must lead into the repository.", detail="path")
    return found


def _port(application: Mapping[str, Any]) -> dict[str, Any]:
    if "port" not in application:
        return {}
    port = application["port"]
    if isinstance(port, str) and port.isascii() and port.isdecimal() and len(port) < 6:
        port = int(port)
    if port is not None and (type(port) is not int or not 0 < port < 65536):
        raise BadInput("port must be a number from 1 to 65535.", detail="port")
    return {"port": port}


def _env(env: Mapping[str, Any]) -> dict[str, Any]:
    for name, value in env.items():
        if not _NAME.fullmatch(name):
            raise BadInput(f"“{name}” is not a valid variable name.", detail="env")
        if value is not None and (
            not isinstance(value, str) or "\0" in value or len(value) > _ENV_LIMIT
        ):
            raise BadInput(f"The value of {name} must be a string.", detail="env")
    return dict(env)


def _without_empty(value: Mapping[str, Any]) -> dict[str, Any]:
    kept: dict[str, Any] = {}
    for name, inner in value.items():
        if isinstance(inner, dict):
            inner = _without_empty(inner)
            if not inner:
                continue
        kept[name] = inner
    return kept
