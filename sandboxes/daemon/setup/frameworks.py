"""Recognizes what serves a project that has no script for it, by what it depends on. Pure."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any, Final

HOST: Final = "127.0.0.1"
# Where a Python app may be, the likeliest first.
SOURCES: Final = tuple(
    f"{folder}{name}.py"
    for folder in ("", "src/", "app/", "api/", "backend/")
    for name in (
        *("app", "main", "server", "wsgi", "asgi", "api", "web", "run", "index"),
        *("streamlit_app", "Home", "dashboard", "notebook", "demo", "__init__"),
    )
)
# Folders whose names are looked at, besides the project's own.
FOLDERS: Final = ("bin", "public", "content")
_NAME = re.compile(r"[A-Za-z0-9]+(?:[._-]+[A-Za-z0-9]+)*")
_EXTRAS = re.compile(r"\s*\[([^\]]*)\]")


@dataclass(frozen=True, slots=True)
class Found:
    """How a project is served.

    ``argv`` is empty if it can't be; then ``lacks`` says why.
    """

    what: str
    argv: tuple[str, ...] = ()
    lacks: str = ""


@dataclass(frozen=True, slots=True)
class Python:
    """A Python project: what it depends on, and the sources in which its app may be."""

    wants: Mapping[str, frozenset[str]]  # normalized name → extras
    sources: Mapping[str, str]  # path → contents, in the order of SOURCES
    names: Collection[str]

    def importing(self, module: str) -> str | None:
        """Return the path of the first source that imports ``module``."""
        pattern = re.compile(rf"^\s*(?:from|import)\s+{re.escape(module)}\b", re.MULTILINE)
        return next((path for path, text in self.sources.items() if pattern.search(text)), None)

    def app_in(self, path: str, maker: str) -> str | None:
        """Return the variable that holds what ``maker`` (a pattern) makes in a source."""
        pattern = rf"^([A-Za-z_]\w*)\s*(?::[^=\n]+)?=\s*(?:[\w.]+\.)?(?:{maker})\("
        found = re.search(pattern, self.sources[path], re.MULTILINE)
        return found[1] if found else None


def wants_of(files: Mapping[str, str]) -> dict[str, frozenset[str]]:
    """Return the packages on which a Python project depends, with the extras that it wants."""
    lines = [line.split("#")[0].strip() for line in files.get("requirements.txt", "").splitlines()]
    python = _toml(files.get("pyproject.toml", ""))
    project = _table(python, "project")
    lines += _texts(project.get("dependencies"))
    for group in _table(python, "dependency-groups").values():
        lines += _texts(group)
    lines += list(_table(_table(_table(python, "tool"), "poetry"), "dependencies"))
    wants: dict[str, frozenset[str]] = {}
    for line in lines:
        if name := _NAME.match(line):
            extras = _EXTRAS.match(line, name.end())
            told = extras[1].split(",") if extras else []
            key = normalized(name[0])
            wants[key] = wants.get(key, frozenset()) | {normalized(one.strip()) for one in told}
    return wants


def normalized(name: str) -> str:
    """Return a package's name as indexes compare it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def python_server(project: Python, port: int) -> Found | None:
    """Return how the framework on which a Python project depends is served; ``None``: none."""
    lacking: Found | None = None
    for framework, (package, serve) in _FRAMEWORKS.items():
        if package not in project.wants:
            continue
        found = serve(project, port)
        if isinstance(found, list):
            return Found(framework, tuple(found))
        lacks = f"The project depends on {framework}, but {found}"
        lacking = lacking or Found(framework, lacks=lacks)
    return lacking


_NO_APP: Final = "no file that makes its app was found."
# What serves a framework: returns the argv, or what is missing.
Serve = Callable[[Python, int], "list[str] | str"]


def _program(module: str, *words: str) -> Serve:
    """Serve with a program that takes the file which imports ``module``."""

    def serve(project: Python, port: int) -> list[str] | str:
        path = project.importing(module)
        if path is None:
            return _NO_APP
        return [word.replace("{file}", path).replace("{port}", str(port)) for word in words]

    return serve


def _gradio(project: Python, port: int) -> list[str] | str:
    path = project.importing("gradio")
    if path is None:
        return _NO_APP
    blocks = re.search(r"\bwith\s+gr(?:adio)?\.Blocks\(.*\)\s+as\s+(\w+)", project.sources[path])
    makers = "Interface|Blocks|ChatInterface|TabbedInterface"
    name = blocks[1] if blocks else project.app_in(path, makers)
    if name is None:  # its reload needs to know the name
        return ["python", path]
    return ["gradio", path, *([] if name == "demo" else ["--demo-name", name])]


def _flask(project: Python, port: int) -> list[str] | str:
    path = project.importing("flask")
    if path is None:
        return _NO_APP
    own = project.app_in(path, "Flask")
    named = "" if own in (None, "app", "application") else f":{own}"
    app = f"{path.removesuffix('/__init__.py')}{named}"
    return ["flask", "--app", app, "run", "--debug", "--host", HOST, "--port", str(port)]


def _fastapi(project: Python, port: int) -> list[str] | str:
    path = project.importing("fastapi")
    if path is None or project.app_in(path, "FastAPI") is None:
        return _NO_APP
    if "fastapi-cli" in project.wants or project.wants["fastapi"] & {"standard", "all"}:
        return ["fastapi", "dev", path, "--host", HOST, "--port", str(port)]
    return _asgi(project, path, "FastAPI", port)


def _starlette(project: Python, port: int) -> list[str] | str:
    path = project.importing("starlette")
    return _NO_APP if path is None else _asgi(project, path, "Starlette", port)


def _asgi(project: Python, path: str, maker: str, port: int) -> list[str] | str:
    app = project.app_in(path, maker)
    if app is None:
        return _NO_APP
    place = PurePosixPath(path)
    # "src" is where packages lie, and no package.
    root, module = ("src", place.relative_to("src")) if place.parts[0] == "src" else ("", place)
    name = ".".join(module.with_suffix("").parts).removesuffix(".__init__")
    target, address = f"{name}:{app}", [HOST, str(port)]
    folder = ["--app-dir", root] if root else []
    if "uvicorn" in project.wants:
        return ["uvicorn", target, *folder, "--reload", "--host", HOST, "--port", address[1]]
    if "hypercorn" in project.wants and not root:
        return ["hypercorn", target, "--reload", "--bind", ":".join(address)]
    server = "fastapi[standard]" if maker == "FastAPI" else "uvicorn"
    return f"not on a server for it, such as {server}."


def _mkdocs(project: Python, port: int) -> list[str] | str:
    if not {"mkdocs.yml", "mkdocs.yaml"} & set(project.names):
        return "there is no mkdocs.yml."
    return ["mkdocs", "serve", "--dev-addr", f"{HOST}:{port}"]


def _jupyter(program: str) -> Serve:
    def serve(project: Python, port: int) -> list[str] | str:
        return ["jupyter", program, "--no-browser", "--ip", HOST, "--port", str(port)]

    return serve


# Framework → the package that tells it, and how it is served. What makes pages goes before what
# other frameworks are made of, and both before tools that a project may only need besides.
_FRAMEWORKS: Final[dict[str, tuple[str, Serve]]] = {
    "Streamlit": (
        "streamlit",
        _program(
            "streamlit",
            *("streamlit", "run", "{file}", "--server.headless", "true"),
            *("--server.address", HOST, "--server.port", "{port}"),
        ),
    ),
    "Gradio": ("gradio", _gradio),
    "NiceGUI": ("nicegui", _program("nicegui", "python", "{file}")),
    "Dash": ("dash", _program("dash", "python", "{file}")),
    "Panel": (
        "panel",
        _program(
            "panel", "panel", "serve", "{file}", "--dev", "--address", HOST, "--port", "{port}"
        ),
    ),
    "Flask": ("flask", _flask),
    "FastAPI": ("fastapi", _fastapi),
    "Starlette": ("starlette", _starlette),
    "marimo": (
        "marimo",
        _program(
            "marimo",
            *("marimo", "edit", "{file}", "--headless", "--host", HOST, "--port", "{port}"),
        ),
    ),
    "MkDocs": ("mkdocs", _mkdocs),
    "JupyterLab": ("jupyterlab", _jupyter("lab")),
    "Jupyter": ("jupyter", _jupyter("lab")),
    "Jupyter Notebook": ("notebook", _jupyter("notebook")),
}


def other_server(files: Mapping[str, str], names: Collection[str], port: int) -> Found | None:
    """Return how a project of another language is served; ``None`` if it is none of them.

    ``names`` are those of the files in the project's folder, and below FOLDERS.
    """
    has = set(names).__contains__
    at = f"{HOST}:{port}"
    gems = files.get("Gemfile", "")
    if has("bin/rails"):
        return Found("Rails", ("ruby", "bin/rails", "server", "-b", HOST, "-p", str(port)))
    if has("_config.yml") and (not gems or "jekyll" in gems or "github-pages" in gems):
        jekyll = ("jekyll", "serve", "--livereload", "--host", HOST, "--port", str(port))
        return Found("Jekyll", ("bundle", "exec", *jekyll) if gems else jekyll)
    if has("config.ru"):
        rack = ("rackup", "--host", HOST, "--port", str(port))
        return Found("Rack", ("bundle", "exec", *rack) if gems else rack)
    if any(map(has, ("hugo.toml", "hugo.yaml", "hugo.json"))) or (
        has("config.toml") and any(name.startswith("content/") for name in names)
    ):
        return Found("Hugo", ("hugo", "server", "--bind", HOST, "--port", str(port)))
    if has("artisan"):
        return Found("Laravel", ("php", "artisan", "serve", f"--host={HOST}", f"--port={port}"))
    if has("mix.exs"):
        is_phoenix = re.search(r":phoenix\b", files.get("mix.exs", "")) is not None
        return Found("Elixir", ("mix", "phx.server") if is_phoenix else ("mix", "run", "--no-halt"))
    if has("Trunk.toml"):
        return Found("Trunk", ("trunk", "serve", "--address", HOST, "--port", str(port)))
    if has("Cargo.toml"):
        return Found("Rust", ("cargo", "run"))
    if has("go.mod"):
        return Found("Go", ("go", "run", "."))
    if any(name.endswith((".csproj", ".fsproj")) for name in names if "/" not in name):
        return Found(".NET", ("dotnet", "watch", "run", "--urls", f"http://{at}"))
    if java := _java(files, has, port):
        return java
    for root, argv in (("public/index.php", ("-t", "public")), ("index.php", ())):
        if has(root):
            return Found("PHP", ("php", "-S", at, *argv))
    return None


def _java(files: Mapping[str, str], has: Callable[[str], bool], port: int) -> Found | None:
    maven = ("sh", "mvnw") if has("mvnw") else ("mvn",)
    gradle = ("sh", "gradlew") if has("gradlew") else ("gradle",)
    built = files.get("build.gradle", "") + files.get("build.gradle.kts", "")
    if has("pom.xml"):
        told = files.get("pom.xml", "")
        if "quarkus" in told:
            return Found("Quarkus", (*maven, "quarkus:dev", f"-Dquarkus.http.port={port}"))
        if "spring-boot" in told:
            port_word = f"-Dspring-boot.run.arguments=--server.port={port}"
            return Found("Spring Boot", (*maven, "spring-boot:run", port_word))
    if "io.quarkus" in built:
        return Found("Quarkus", (*gradle, "quarkusDev", f"-Dquarkus.http.port={port}"))
    if "org.springframework.boot" in built:
        return Found("Spring Boot", (*gradle, "bootRun", f"--args=--server.port={port}"))
    if has("pom.xml") or built:
        return Found("Java", lacks="The project's build file names no server that Mesh knows.")
    return None


def _toml(text: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except (ValueError, RecursionError):
        return {}


def _table(value: Mapping[str, Any], name: str) -> dict[str, Any]:
    found = value.get(name)
    return found if isinstance(found, dict) else {}


def _texts(value: Any) -> list[str]:
    """Return the strings of a list; of anything else none."""
    return [one for one in value if isinstance(one, str)] if isinstance(value, list) else []
