"""Set up what Mesh needs on a fresh machine, then start one of its commands.

    python3 -m mesh.bootstrap run|test|check|bench|chaos|fmt [more words]

Run it as a module and not by its path, which would put ``mesh/`` before Python's own modules.

It uses only the standard library, and only syntax that Python 3.7 can read, so that a machine
whose Python is too old shows a sentence instead of a traceback. Everything goes into ``.venv``; a
stamp file there says which requirements it holds, so that a second start installs nothing.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import time

from mesh import launch

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
VENV = os.path.join(ROOT, ".venv")
PYTHON = os.path.join(VENV, "bin", "python")
OLDEST = (3, 11)


def main() -> int:
    """Set up, then replace this process with the command; return an exit code if that fails."""
    command, words = (sys.argv[1:2] or ["run"])[0], sys.argv[2:]
    if sys.version_info < OLDEST:
        return become_newer_python()
    try:
        set_up(development=command != "run")
    except SetUpFailed as exc:
        say(str(exc))
        return 1
    os.chdir(ROOT)
    os.environ["PATH"] = os.path.dirname(PYTHON) + os.pathsep + os.environ.get("PATH", "")
    module = ["manage", "mesh_run"] if command == "run" else ["mesh.develop", command]
    return os.execv(PYTHON, launch.command(*module, *words, executable=PYTHON))


def say(text: str) -> None:
    """Print ``text`` for the person."""
    print(text, file=sys.stderr, flush=True)


class SetUpFailed(Exception):
    """Set-up failed; the text tells the person what failed and what to do."""


def become_newer_python() -> int:
    """Start again with a newer Python of this machine, or say that there is none."""
    for minor in (14, 13, 12, 11):
        found = shutil.which(f"python3.{minor}")
        if found:
            return os.execv(found, [found, "-m", "mesh.bootstrap", *sys.argv[1:]])
    this = ".".join(map(str, sys.version_info[:2]))
    say(f"Mesh needs Python 3.11 or newer; this is {this}.")
    say("Install one (Debian: apt install python3.11 python3.11-venv; macOS: brew install python)")
    say("and run: make run PYTHON=python3.11")
    return 1


def set_up(*, development: bool) -> None:
    """Make ``.venv`` hold the pinned requirements; do nothing if it already does.

    Raises:
        SetUpFailed: with a sentence for the person.
    """
    names = ["requirements.txt"] + (["requirements-dev.txt"] if development else [])
    wanted = "\n".join([sys.version] + [digest(os.path.join(ROOT, name)) for name in names])
    if stamp_of(names) == wanted and os.path.exists(PYTHON):
        return
    begun = time.monotonic()
    say("Setting up Mesh in .venv (once, and after an upgrade) …")
    if not os.path.exists(PYTHON) or broken(PYTHON):
        make_venv()
    install(names)
    with open(stamp_path(names), "w") as file:
        file.write(wanted)
    say(f"Set up in {time.monotonic() - begun:.0f} s.")


def digest(path: str) -> str:
    """Return the SHA-256 of the file, in hex."""
    with open(path, "rb") as file:
        return hashlib.sha256(file.read()).hexdigest()


def stamp_path(names: list[str]) -> str:
    return os.path.join(VENV, "mesh-" + names[-1] + ".stamp")


def stamp_of(names: list[str]) -> str | None:
    """Return the stamp of the last set-up with these files, or None."""
    try:
        with open(stamp_path(names)) as file:
            return file.read()
    except OSError:
        return None


def broken(python: str) -> bool:
    """Return whether the environment's Python no longer starts, as after a system upgrade."""
    return quietly(*launch.python("-c", "import pip", executable=python)).returncode != 0


def make_venv() -> None:
    answer = quietly(*launch.python("-m", "venv", "--clear", VENV))
    if answer.returncode != 0:
        output = (answer.stdout + answer.stderr)[-500:]
        raise SetUpFailed(
            f"A virtual environment could not be made:\n{output}\n"
            "On Debian and Ubuntu: apt install python3-venv"
        )


def install(names: list[str]) -> None:
    """Install the files with uv, which is ten times as fast, or with pip if uv is unavailable."""
    files = [word for name in names for word in ("-r", os.path.join(ROOT, name))]
    run = launch.python("-m", executable=PYTHON)
    pip = [*run, "pip", "--disable-pip-version-check", "install", "--quiet"]
    uv = [*run, "uv", "pip", "install", "--quiet", "--python", PYTHON]
    if quietly(*pip, "uv").returncode == 0 and quietly(*uv, *files).returncode == 0:
        return
    answer = quietly(*pip, *files)
    if answer.returncode != 0:
        raise SetUpFailed(
            f"The packages could not be installed:\n{answer.stderr[-1500:]}\n"
            "Check the network (and HTTPS_PROXY, if you need one), then try again."
        )


def quietly(*argv: str) -> subprocess.CompletedProcess[str]:
    """Run a program, capture its output, and return the result."""
    return subprocess.run(argv, capture_output=True, text=True, check=False)


if __name__ == "__main__":
    sys.exit(main())
