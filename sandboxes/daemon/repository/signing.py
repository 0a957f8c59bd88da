"""Signs commits as the person's own configuration says, but never waits for a prompt. Blocking.

Only the global configuration counts: a repository's could name any program. The person's signing
program is started by a small script beside the working folder, which ends it after a while.
"""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Final

from mesh import launch
from mesh.git.view import View
from mesh.plain_files import write_plain
from sandboxes.daemon.git import Git

WITHIN: Final = 20  # seconds
# By format: the settings that name its program, the first one that is set; and the usual program.
_PROGRAMS: Final = {
    "openpgp": (("gpg.openpgp.program", "gpg.program"), "gpg"),
    "x509": (("gpg.x509.program",), "gpgsm"),
    "ssh": (("gpg.ssh.program",), "ssh-keygen"),
}
_NO_PROMPT: Final = ("--batch", "--no-tty", "--pinentry-mode", "error")
# A started program keeps its parent's alarm.
_LIMITED: Final = (
    "import os,signal,sys;signal.alarm(int(sys.argv[1]));os.execvp(sys.argv[2],sys.argv[2:])"
)


def is_wanted(git: Git, view: View) -> bool:
    """Return whether the person signs their commits."""
    return git.ask(view, "config", "--type=bool", "--get", "commit.gpgSign") == "true"


def settings(git: Git, view: View) -> tuple[str, ...]:
    """Return git's options that start the person's signing program within limits.

    Raises:
        OSError: the script can't be written.
    """
    kind = git.ask(view, "config", "--get", "gpg.format") or "openpgp"
    if kind not in _PROGRAMS:
        return ()
    keys, usual = _PROGRAMS[kind]
    named = (git.ask(view, "config", "--type=path", "--get", key) for key in keys)
    program = next((name for name in named if name), usual)
    script = view.place / f"sign-{kind}"
    _write(script, program, quiet=kind == "openpgp" and Path(program).name.startswith("gpg"))
    return ("-c", f"gpg.{kind}.program={script}")


def _write(script: Path, program: str, *, quiet: bool) -> None:
    argv = launch.python("-S", "-c", _LIMITED, str(WITHIN), program)
    words = shlex.join((*argv, *(_NO_PROMPT if quiet else ())))
    draft = script.with_suffix(".new")
    write_plain(draft, f'#!/bin/sh\nexec {words} "$@"\n', 0o700)
    draft.replace(script)
