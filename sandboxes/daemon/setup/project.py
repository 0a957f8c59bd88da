"""Recognizes the project in a folder: how to install it, and how to start its server.

Pure: works on the contents of the few files that say so.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from mesh.lib.errors import AppError
from sandboxes.daemon.setup.frameworks import (
    HOST,
    Found,
    Python,
    other_server,
    python_server,
    wants_of,
)

# Read from the project's folder.
FILES = (
    "package.json",
    "package-lock.json",
    "pnpm-lock.yaml",
    "yarn.lock",
    ".yarnrc.yml",
    "bun.lock",
    "bun.lockb",
    "deno.json",
    "deno.jsonc",
    "deno.lock",
    "pyproject.toml",
    "uv.lock",
    "requirements.txt",
    "manage.py",
    "mesh.toml",
    "Gemfile",
    "mix.exs",
    "pom.xml",
    "build.gradle",
    "build.gradle.kts",
)
_LOCKS = {
    "pnpm-lock.yaml": "pnpm",
    "yarn.lock": "yarn",
    "bun.lock": "bun",
    "bun.lockb": "bun",
    "package-lock.json": "npm",
}
STARTERS = ("dev", "start")
PYTHON = (".venv/bin/python",)
STATIC = "mesh-static"  # our own server of a folder's files: static_server.py


class NoStart(AppError):
    code = "no_start"
    text = "The project has nothing to start."
    hint = 'Say how: dev = ["…"] in mesh.toml, or under [tool.mesh] in pyproject.toml.'


class NotInstalled(NoStart):
    hint = (
        "Install it on the machine where the chat works, then try again. Or write another command "
        "as dev into mesh.toml."
    )


@dataclass(frozen=True, slots=True)
class Project:
    """The project that the files of a folder describe."""

    manager: str  # one of config.MANAGERS, or empty: nothing to install
    scripts: Mapping[str, str] = field(default_factory=dict)
    dev: tuple[str, ...] = ()  # set in [tool.mesh] or mesh.toml
    port: int | None = None
    dependencies: tuple[str, ...] = ()  # of pyproject.toml
    files: Mapping[str, str] = field(default_factory=dict)  # name → contents
    names: frozenset[str] = frozenset()  # of the files in its folder, and some below it
    sources: Mapping[str, str] = field(default_factory=dict)  # those that may make its app

    @property
    def is_python(self) -> bool:
        return self.manager in ("uv", "pip")


def understand(
    files: Mapping[str, str],
    *,
    manager: str = "",
    has_uv: bool = False,
    names: Collection[str] = (),
    sources: Mapping[str, str] | None = None,
) -> Project:
    """Return the project; ``manager`` is a person's choice, without which the files decide."""
    package, deno = _json(files.get("package.json")), _json(_deno(files))
    python, settings = _toml(files.get("pyproject.toml")), settings_of(files)
    dev, port = settings.get("dev"), settings.get("port")
    scripts = package.get("scripts") or deno.get("tasks") or {}
    dependencies = python.get("project", {}).get("dependencies", [])
    return Project(
        manager=manager or _manager(files, package, has_uv=has_uv),
        scripts={k: str(v) for k, v in scripts.items()} if isinstance(scripts, dict) else {},
        dev=_argv(dev),
        port=port if type(port) is int and 0 < port < 65536 else None,
        dependencies=_argv(dependencies),
        files=dict(files),
        names=frozenset(names) | frozenset(files),
        sources=sources or {},
    )


def settings_of(files: Mapping[str, str]) -> dict[str, Any]:
    """Return a project's settings for Mesh: mesh.toml, else [tool.mesh] in pyproject.toml."""
    if settings := _toml(files.get("mesh.toml")):
        return settings
    tool = _toml(files.get("pyproject.toml")).get("tool")
    found = tool.get("mesh") if isinstance(tool, dict) else None
    return found if isinstance(found, dict) else {}


def _manager(files: Mapping[str, str], package: Mapping[str, Any], *, has_uv: bool) -> str:
    if "package.json" in files:
        named = str(package.get("packageManager", "")).partition("@")[0]
        if named in ("npm", "pnpm", "yarn", "bun"):
            return named
        return next((name for lock, name in _LOCKS.items() if lock in files), "npm")
    if "deno.json" in files or "deno.jsonc" in files:
        return "deno"
    if any(name in files for name in ("pyproject.toml", "requirements.txt", "uv.lock")):
        return "uv" if has_uv else "pip"
    return ""


def install_commands(
    project: Project, *, make_venv: Sequence[str] = ("python3", "-I", "-m", "venv")
) -> list[list[str]]:
    """Return the commands, in order, that install the project's dependencies.

    None of them changes a file that belongs to the person: no lock file is made or changed,
    except by Yarn 2 and later, which can't work without one.
    ``make_venv`` makes the virtual environment if uv is not installed.
    """
    has = project.files.__contains__
    match project.manager:
        case "npm" if has("package.json"):
            locked = [] if has("package-lock.json") else ["--no-package-lock"]
            return [["npm", "install", "--no-audit", "--no-fund", *locked]]
        case "pnpm" if has("package.json"):
            return [["pnpm", "install", *([] if has("pnpm-lock.yaml") else ["--no-lockfile"])]]
        case "yarn" if has("package.json"):
            is_free = has("yarn.lock") or _has_modern_yarn(project)
            return [["yarn", "install", *([] if is_free else ["--no-lockfile"])]]
        case "bun" if has("package.json"):
            is_locked = has("bun.lock") or has("bun.lockb")
            return [["bun", "install", *([] if is_locked else ["--no-save"])]]
        case "uv" if has("uv.lock"):
            return [["uv", "sync", "--frozen"]]
        case "uv":
            what = _python_wants(project, ["-r", "pyproject.toml"])
            install = ["uv", "pip", "install", "--python", *PYTHON]
            return [["uv", "venv", "--quiet", "--allow-existing", ".venv"]] + (
                [[*install, *what]] if what else []
            )
        case "pip":
            what = _python_wants(project, ["--", *project.dependencies])
            return [[*make_venv, ".venv"]] + (
                [[*PYTHON, "-I", "-m", "pip", "install", "--disable-pip-version-check", *what]]
                if what
                else []
            )
    return []


def _has_modern_yarn(project: Project) -> bool:
    """Return whether it uses Yarn 2 or later, which refuses the options of Yarn 1."""
    named = _json(project.files.get("package.json")).get("packageManager")
    name, _, version = str(named).partition("@")
    is_named = name == "yarn" and version[:1].isdigit() and not version.startswith(("0.", "1."))
    return is_named or ".yarnrc.yml" in project.files


def _python_wants(project: Project, of_pyproject: list[str]) -> list[str]:
    if "requirements.txt" in project.files:
        return ["-r", "requirements.txt"]
    return of_pyproject if project.dependencies else []


def start_command(project: Project, *, port: int) -> tuple[str, list[str]]:
    """Return the name of the script to start (dev or start), and its argv.

    Raises:
        NoStart: the project does not say how; the text names what is missing.
    """
    if project.dev:
        return "dev", [_filled(word, port) for word in project.dev]
    for name in STARTERS:
        if name in project.scripts:
            return name, script_command(project, name)
    if project.is_python and "manage.py" in project.files:
        return "dev", [*PYTHON, "manage.py", "runserver", f"{HOST}:{port}"]
    found = found_in(project, port)
    if found is not None and found.argv:
        return "dev", list(found.argv)
    if found is not None:
        raise NoStart(found.lacks)
    if "index.html" in project.names:
        return "dev", [STATIC, str(port)]
    raise NoStart(_why_not(project))


def found_in(project: Project, port: int) -> Found | None:
    """Return how a project without a script of its own is served; ``None``: not known."""
    if project.is_python:
        python = Python(wants_of(project.files), project.sources, project.names)
        if (found := python_server(python, port)) is not None:
            return found
    return other_server(project.files, project.names, port)


def script_command(project: Project, name: str) -> list[str]:
    """Return the argv that runs a script of the manifest."""
    return ["deno", "task", name] if project.manager == "deno" else [project.manager, "run", name]


def _why_not(project: Project) -> str:
    if not project.manager:
        return (
            "The folder has no package.json, deno.json, pyproject.toml, requirements.txt or "
            "index.html, nor another file that says what serves it."
        )
    if project.is_python:
        return "The project depends on no web framework that Mesh knows, and has no manage.py."
    if not project.scripts:
        return "The project's manifest has no scripts."
    names = ", ".join(sorted(project.scripts))
    return f"The project has neither a dev nor a start script, only: {names}."


def _filled(word: str, port: int) -> str:
    return word.replace("{port}", str(port)).replace("{host}", HOST)


def _argv(value: Any) -> tuple[str, ...]:
    """Return a list of strings as a tuple; anything else as an empty one."""
    if isinstance(value, list) and all(isinstance(word, str) for word in value):
        return tuple(value)
    return ()


def _deno(files: Mapping[str, str]) -> str | None:
    if "deno.json" in files:
        return files["deno.json"]
    commented = files.get("deno.jsonc", "")
    lines = [line for line in commented.splitlines() if not line.lstrip().startswith("//")]
    return "\n".join(lines)


def _json(text: str | None) -> dict[str, Any]:
    try:
        value = json.loads(text or "{}")
    except (ValueError, RecursionError):
        return {}  # the package manager will report what is wrong with it
    return value if isinstance(value, dict) else {}


def _toml(text: str | None) -> dict[str, Any]:
    try:
        return tomllib.loads(text or "")
    except (ValueError, RecursionError):
        return {}
