"""How each of our Python programs is started: with our modules, and with nobody else's.

    python -I mesh/launch.py MODULE [WORD …]

Agents write into the folders in which our programs start, and into the home of the person they
work for. Without ``-I`` Python would import modules from there before ours: from the working
folder, from PYTHONPATH, from ``~/.local``. All code that starts a Python gets the command line
from ``python`` or ``command``; a test looks for exceptions.

Only the standard library, in syntax that Python 3.7 can read: ``mesh.bootstrap`` imports it.
"""

from __future__ import annotations

import os
import sys

_FILE = os.path.abspath(__file__)
_ROOT = os.path.dirname(os.path.dirname(_FILE))
# Where our programs work: nobody but root can put anything there.
FOLDER = "/"


def python(*words: str, executable: str = sys.executable) -> list[str]:
    """Return the command line of a Python that imports nothing from its folder or its user's."""
    return [executable, "-I", *words]


def command(module: str, *words: str, executable: str = sys.executable) -> list[str]:
    """Return the command line that runs our ``module`` with ``words``."""
    return python(_FILE, module, *words, executable=executable)


def make_path_safe(*folders: str) -> None:
    """Remove the folders that an agent can write from this process's PATH: see ``safe_path``."""
    os.environ["PATH"] = safe_path(os.environ.get("PATH", ""), *folders)


def safe_path(path: str, *folders: str) -> str:
    """Return ``path`` without relative entries, and without those in one of ``folders``.

    A relative or empty entry means the folder in which a program happens to run.
    """
    entries = [entry for entry in path.split(os.pathsep) if os.path.isabs(entry)]
    kept = [entry for entry in entries if not any(_is_in(entry, folder) for folder in folders)]
    return os.pathsep.join(kept) or os.defpath


def _is_in(path: str, folder: str) -> bool:
    real, within = os.path.realpath(path), os.path.realpath(folder)
    return os.path.commonpath([real, within]) == within


def main() -> None:
    """Run the module that the command line names, as ``python -m`` would."""
    import runpy

    if os.path.realpath(_ROOT) not in map(os.path.realpath, sys.path):  # not installed: a checkout
        sys.path.insert(0, _ROOT)
    make_path_safe()
    del sys.argv[0]
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
