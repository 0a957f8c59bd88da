"""Asks the person's login shell which environment a terminal of theirs would have.

A service starts with a bare one. The shell runs the person's start files, and these may be slow,
print anything, wait for input, start programs that stay, or replace the shell. So it gets no
terminal, no input, a clean environment, and limits of time and output; it is killed once it has
answered.
"""

from __future__ import annotations

import contextlib
import json
import os
import pwd
import secrets
import select
import signal
import subprocess
import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from mesh import launch, process_tree

LIMIT: Final = 10.0  # seconds for one shell
MOST: Final = 1_000_000  # bytes of output
# Start files can look for it, to leave out what is meant for a person.
ASKING: Final = "DECO_LINK_ASKS"
_CLEAN_PATH: Final = "/usr/local/bin:/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin"
# What the start files of a shell may rely on, and is no result of them.
_GIVEN: Final = frozenset(
    {
        *("HOME", "USER", "LOGNAME", "LANG", "LANGUAGE", "TMPDIR", "TZ"),
        *("XDG_RUNTIME_DIR", "DBUS_SESSION_BUS_ADDRESS", "DISPLAY", "WAYLAND_DISPLAY"),
        *("SSH_AUTH_SOCK", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "ZDOTDIR"),
    }
)


@dataclass(frozen=True, slots=True)
class Answer:
    """The ``variables`` that agents and tools need; ``trouble`` says why there are none."""

    shell: str
    variables: Mapping[str, str] = field(default_factory=dict)
    trouble: str = ""


def own_shell() -> str:
    """Return the person's login shell, as the system knows it."""
    try:
        shell = pwd.getpwuid(os.getuid()).pw_shell
    except KeyError:  # a user without an entry
        shell = os.environ.get("SHELL", "")
    return shell if os.path.isabs(shell) else "/bin/sh"


def ask(
    *,
    shell: str = "",
    named: Collection[str] = (),
    environ: Mapping[str, str] | None = None,
    limit: float = LIMIT,
) -> Answer:
    """Return what the login shell says, ``named`` variables included. Blocking; never raises.

    First as for a terminal, then without the start files of interactive shells: one of them may
    start something else in the shell's place.
    """
    shell = shell or own_shell()
    given = os.environ if environ is None else environ
    answer = Answer(shell, trouble="there is no such program")
    if not os.access(shell, os.X_OK):
        return answer
    for is_interactive in (True, False):
        argv = _argv(shell, is_interactive=is_interactive)
        if argv is None:
            continue
        answer = _answer_of(shell, argv, named=named, given=given, limit=limit)
        if not answer.trouble:
            break
    return answer


def _argv(shell: str, *, is_interactive: bool) -> list[str] | None:
    """Return the start of a command line, up to the command; ``None`` if there is no such way."""
    name = Path(shell).name
    if name in ("csh", "tcsh"):  # these take -l only alone
        return [shell, "-ic" if is_interactive else "-c"]
    if name in ("pwsh", "powershell"):
        return [shell, "-Login", "-Command"] if is_interactive else None
    return [shell, "-l", *(["-i"] if is_interactive else []), "-c"]


def _command(shell: str, words: list[str]) -> str | None:
    """Return ``words`` as a command for any shell; ``None`` if one of them can't be quoted."""
    if any(set(word) & set("'\\!\n") for word in words):
        return None
    quoted = " ".join(f"'{word}'" for word in words)
    before = {"nu": "^", "pwsh": "& ", "powershell": "& "}
    return before.get(Path(shell).name, "") + quoted


def _answer_of(
    shell: str,
    argv: list[str],
    *,
    named: Collection[str],
    given: Mapping[str, str],
    limit: float,
) -> Answer:
    mark = f"={secrets.token_hex(16)}="
    command = _command(shell, launch.command("links.daemon.shell_answer", mark, *sorted(named)))
    if command is None:
        return Answer(shell, trouble="the path of this program can't be quoted")
    try:
        child = subprocess.Popen(
            [*argv, command],
            cwd=given.get("HOME") or launch.FOLDER,
            env=_clean(shell, given),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,  # no terminal that it could wait for
        )
    except OSError as exc:
        return Answer(shell, trouble=f"it can't be started: {exc.strerror}")
    try:
        out, trouble = _read(child, mark.encode(), limit)
    finally:
        _end(child)
    variables = None if trouble else _parsed(out, mark)
    if variables is None:
        return Answer(shell, trouble=trouble or "its start files kept it from answering")
    return Answer(shell, variables)


def _clean(shell: str, given: Mapping[str, str]) -> dict[str, str]:
    kept = {n: v for n, v in given.items() if n in _GIVEN or n.startswith("LC_")}
    own = {"SHELL": shell, "PATH": _CLEAN_PATH, "TERM": "dumb", ASKING: "1"}
    return {"HOME": str(Path.home()), **kept, **own}


def _read(child: subprocess.Popen[bytes], mark: bytes, limit: float) -> tuple[bytes, str]:
    """Return the output up to the second mark, and what went wrong.

    Not up to its end: what a start file has left running may hold it open.
    """
    assert child.stdout is not None
    end, out = time.monotonic() + limit, b""
    while out.count(mark) < 2:
        left = end - time.monotonic()
        if left <= 0 or not select.select([child.stdout], [], [], left)[0]:
            return out, f"it did not answer within {limit:g} s"
        piece = os.read(child.stdout.fileno(), 65536)
        out += piece
        if not piece:
            return out, "its start files kept it from answering"
        if len(out) > MOST:
            return out, "its start files print too much"
    return out, ""


def _parsed(out: bytes, mark: str) -> dict[str, str] | None:
    try:
        value = json.loads(out.decode(errors="replace").split(mark)[1])
    except (ValueError, RecursionError):
        return None
    is_valid = isinstance(value, dict) and all(isinstance(each, str) for each in value.values())
    return value if is_valid else None


def _end(child: subprocess.Popen[bytes]) -> None:
    """Kill the shell and all below it, also in process groups of their own."""
    with contextlib.suppress(OSError):
        below = process_tree.below(process_tree.table(), [child.pid])
        for process in below:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(process.pid, signal.SIGKILL)
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(child.pid, signal.SIGKILL)
    if child.stdout is not None:
        child.stdout.close()
    child.wait()
