"""The only reader of the environment: typed and strict, with ``NAME_FILE`` for secrets.

Every setting is a field of ``Env`` with its variable, default and meaning, so that a test can
check the README's table against it. No other module of the server may read ``os.environ``.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field, fields
from pathlib import Path
from typing import Any


class BadEnvironment(Exception):
    """A variable has a value that Mesh can't use; the text says which one and why."""


def _var(
    name: str,
    default: Any,
    help: str,
    *,
    secret: bool = False,
    choices: tuple[str, ...] = (),
    between: tuple[int, int] | None = None,
) -> Any:
    """Describe a variable; a number has to lie ``between`` two limits, both included."""
    about = {"name": name, "help": help, "secret": secret, "choices": choices, "between": between}
    return field(default=default, metadata=about)


@dataclass(frozen=True, slots=True, kw_only=True)
class Env:
    """The settings of an operator."""

    home: Path = _var("MESH_HOME", Path("~/.mesh"), "Folder where `make run` keeps all its state.")
    port: int = _var("MESH_PORT", 8321, "Port of `make run`; 0: any free one.", between=(0, 65_535))
    folder: str = _var(
        "MESH_FOLDER", "", "Folder in which `make run`'s agents work; empty: a scratch folder."
    )
    acp: str = _var(
        "MESH_ACP",
        "",
        "Agents that speak ACP, for `make run`: NAME=COMMAND, separated by semicolons.",
    )
    acp_env: str = _var(
        "MESH_ACP_ENV",
        "",
        "Variables that those see besides what Mesh knows them to need: NAME=VARIABLE,…, separated"
        " by semicolons.",
    )
    open_browser: bool = _var("MESH_OPEN_BROWSER", True, "Open the browser when Mesh is ready.")
    debug: bool = _var("MESH_DEBUG", False, "Django's debug pages. Never on a server others reach.")
    hsts: str = _var(
        "MESH_HSTS",
        "host",
        "Which hosts Strict-Transport-Security restricts to https for a year: off, host (this host"
        " alone), subdomains (its subdomains, too), preload (for browsers' preload lists).",
        choices=("off", "host", "subdomains", "preload"),
    )
    secret_key: str = _var(
        "MESH_SECRET_KEY",
        "",
        "Signs sessions and requests to sandboxes. Embedded: made once.",
        secret=True,
    )
    encryption_keys: str = _var(
        "MESH_ENCRYPTION_KEYS",
        "",
        "Fernet keys for secrets at rest, comma-separated, newest first. Embedded: made once.",
        secret=True,
    )
    url: str = _var("MESH_URL", "", "Public address of the server, such as https://mesh.example.")
    admin_second_factor: bool = _var(
        "MESH_ADMIN_SECOND_FACTOR",
        True,
        "Require a second factor of staff at /admin/. `make run` without MESH_URL asks only those"
        " who have set one up.",
    )
    open_signup: bool = _var(
        "MESH_OPEN_SIGNUP",
        False,
        "Let anybody who reaches the server make an account, once there is an owner.",
    )
    proxies: str = _var(
        "MESH_PROXIES",
        "",
        "Trusted proxies in front of the server: their addresses and networks, comma-separated, or"
        " how many there are; empty: none, and no X-Forwarded header is trusted.",
    )
    database_url: str = _var("DATABASE_URL", "", "postgres://… ; empty: SQLite.", secret=True)
    redis_url: str = _var("REDIS_URL", "", "redis://… ; empty: one process only.", secret=True)
    allow_localhost_links: bool = _var(
        "MESH_ALLOW_LOCALHOST_LINKS", False, "Accept http://localhost link addresses (dev)."
    )
    link_hosts: str = _var(
        "MESH_LINK_HOSTS",
        "",
        "Hosts that `--tunnel-url` may name, comma-separated (`*.ts.net`); empty: none.",
    )
    private_hosts: str = _var(
        "MESH_PRIVATE_HOSTS",
        "",
        "Private hosts, addresses or networks that AI providers' base URLs and agents' MCP servers"
        " may name, comma-separated (`*.internal`, `10.0.0.0/8`, `localhost:11434`); empty: none.",
    )
    cors_origins: str = _var(
        "MESH_CORS_ORIGINS",
        "",
        "Origins whose pages may use the API of threads with a token, comma-separated"
        " (`https://app.example`); empty: none. Cookies are never taken from them.",
    )
    cluster_url: str = _var(
        "MESH_CLUSTER_URL", "", "Server of `deco_link` when its command line names none."
    )
    data_dir: str = _var("DATA_DIR", "", "Home of `deco_link` if MESH_HOME is not set.")
    decocms_home: str = _var("DECOCMS_HOME", "", "The same, if DATA_DIR is not set either.")
    token_seconds: int = _var(
        "MESH_TOKEN_SECONDS",
        3600,
        "How long a machine's access token is valid; the machine renews it automatically.",
        between=(1, 90 * 24 * 3600),  # as long as the token that renews it
    )
    keep_deleted_days: int = _var(
        "MESH_KEEP_DELETED_DAYS",
        7,
        "Days in which a deleted chat can be restored; then it is removed. 0: immediately.",
        between=(0, 3650),
    )
    sandbox_runner: str = _var(
        "STUDIO_SANDBOX_RUNNER",
        "remote-user",
        "Sandbox kind for people with no machine online: remote-user, docker or agent-sandbox.",
        choices=("remote-user", "docker", "agent-sandbox"),
    )
    sandbox_kinds: str = _var(
        "MESH_SANDBOX_KINDS",
        "",
        "Kinds to offer besides remote-user and STUDIO_SANDBOX_RUNNER, comma-separated.",
    )
    docker_host: str = _var(
        "DOCKER_HOST", "", "Engine for docker sandboxes, in the form Docker's own programs take."
    )
    sandbox_image: str = _var(
        "MESH_SANDBOX_IMAGE", "mesh-sandbox", "Image of docker sandboxes (sandboxes/Dockerfile)."
    )
    sandbox_network: str = _var(
        "MESH_SANDBOX_NETWORK",
        "",
        "Network of docker sandboxes, shared with the server; empty: ports published on loopback.",
    )
    sandbox_memory: str = _var(
        "MESH_SANDBOX_MEMORY", "", "Memory limit of a docker sandbox, such as 2g; empty: none."
    )
    kubeconfig: str = _var(
        "KUBECONFIG", "", "Cluster for agent-sandbox sandboxes; empty: the one the server runs in."
    )
    sandbox_namespace: str = _var(
        "MESH_SANDBOX_NAMESPACE", "mesh-sandboxes", "Namespace of the cluster's sandboxes."
    )
    sandbox_pool: str = _var(
        "MESH_SANDBOX_POOL", "mesh", "SandboxWarmPool that the cluster's sandboxes come from."
    )
    node: str = _var("MESH_NODE", "", "Name of this server process; empty: host and pid.")
    internal_address: str = _var(
        "MESH_INTERNAL_ADDRESS",
        "",
        "host:port (0: any) where other server processes reach this one; empty: a unix socket.",
    )
    catalog: str = _var(
        "MESH_CATALOG",
        "",
        "TOML file that overrides the shipped agents, tiers and models.",
    )
    log_level: str = _var("MESH_LOG_LEVEL", "INFO", "DEBUG, INFO, WARNING or ERROR.")


def read(environ: Mapping[str, str] | None = None) -> Env:
    """Return the environment as an ``Env``.

    Raises:
        BadEnvironment: a value can't be read as its type, or NAME and NAME_FILE are both set.
    """
    given = os.environ if environ is None else environ
    values: dict[str, Any] = {}
    for one in fields(Env):
        name = one.metadata["name"]
        text = _text(given, name, secret=one.metadata["secret"])
        if text is not None:
            values[one.name] = _convert(name, text, _default(one), one.metadata["between"])
            _check_choice(name, text, one.metadata["choices"])
    env = Env(**values)
    if env.redis_url and not env.database_url:
        raise BadEnvironment(
            "REDIS_URL is set but DATABASE_URL is not: several processes need PostgreSQL."
        )
    return env


def refuse_halves(env: Env) -> None:
    """Refuse settings that are neither an embedded Mesh nor a complete server; for servers only.

    PostgreSQL without Redis is complete: one server process needs no notifications from others.

    Raises:
        BadEnvironment: a variable is missing or wrong; the text names it.
    """
    if env.database_url:
        needed = {
            "MESH_SECRET_KEY": env.secret_key,
            "MESH_ENCRYPTION_KEYS": env.encryption_keys,
            "MESH_URL": env.url,
        }
        if missing := [name for name, value in needed.items() if not value]:
            raise BadEnvironment(f"With DATABASE_URL set, Mesh also needs {', '.join(missing)}.")
        if not env.database_url.startswith(("postgres://", "postgresql://")):
            raise BadEnvironment("DATABASE_URL takes postgres://user:password@host/name.")
    if env.redis_url and not env.redis_url.startswith(("redis://", "rediss://", "unix://")):
        raise BadEnvironment("REDIS_URL takes redis://host:port/0.")
    if env.internal_address and not env.redis_url:
        raise BadEnvironment(
            "MESH_INTERNAL_ADDRESS is set but REDIS_URL is not: several processes need Redis."
        )


def _default(one: Any) -> Any:
    assert one.default is not MISSING
    return one.default


def _text(given: Mapping[str, str], name: str, *, secret: bool) -> str | None:
    text, file = given.get(name), given.get(f"{name}_FILE") if secret else None
    if file is None:
        return text
    if text is not None:
        raise BadEnvironment(f"Set {name} or {name}_FILE, not both.")
    try:
        return Path(file).read_text(encoding="utf-8").strip()
    except OSError as exc:
        raise BadEnvironment(f"{name}_FILE can't be read: {exc.strerror}.") from exc


def _check_choice(name: str, text: str, choices: tuple[str, ...]) -> None:
    if choices and text not in choices:
        raise BadEnvironment(f"{name} is {text!r}; it takes {', '.join(choices)}.")


def _convert(name: str, text: str, default: Any, between: tuple[int, int] | None) -> Any:
    if isinstance(default, bool):
        words = {"1": True, "true": True, "yes": True, "0": False, "false": False, "no": False}
        if text.lower() not in {*words, ""}:
            raise BadEnvironment(f"{name} is {text!r}; it takes 1 or 0.")
        return words.get(text.lower(), default)
    if isinstance(default, int):
        assert between is not None
        return _number(name, text, *between) if text else default
    if isinstance(default, Path):
        return Path(text) if text else default
    return text


def _number(name: str, text: str, least: int, most: int) -> int:
    # A longer text can't be a valid number; Python refuses to read very long ones.
    if text.isdecimal() and len(text) <= len(str(most)) and least <= int(text) <= most:
        return int(text)
    raise BadEnvironment(
        f"{name} is {text[:40]!r}; it takes a whole number from {least} to {most}."
    )
