"""The person's own git, run without a shell or a prompt. Blocking: for a worker thread."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from mesh import children
from mesh.git.calls import Call, GitMissing, command_of
from mesh.git.own import Own
from mesh.git.view import View
from mesh.lib.errors import AppError
from mesh.processes import signal_group
from sandboxes.daemon.descendants import OURS, marked
from sandboxes.daemon.env import tool_env

NO_SUCH_REF = 2  # exit code of ls-remote --exit-code when no ref matches
LIMIT = 600.0  # seconds for one command
# For a transfer: git itself ends one that stalls (``mesh/git/calls.py``); this limit is for one
# that keeps trickling.
TRANSFER_LIMIT = 3600.0
TRANSFERS = frozenset({"clone", "fetch", "push"})

# A diff that starts no program and ignores repositories inside the working folder.
PLAIN = ("--no-ext-diff", "--no-textconv", "--ignore-submodules=dirty", "--submodule=short")

_CREDENTIALS = re.compile(r"(?<=://)[^/@\s]+(?=@)")


class GitFailed(AppError):
    """git failed; the sentence is the last line of its own message."""

    code = "checkout_failed"
    text = "The working folder could not be prepared."
    hint = "Check the folder or repository named above, then send the message again."


class Where(Protocol):
    """Where a command runs: in a repository as Mesh sees it (``View``), or in none."""

    def call(self, args: tuple[str, ...], parent: Mapping[str, str]) -> Call: ...
    def explain(self, said: str) -> str: ...


def view_of(own: Own, root: Path) -> View:
    """Return the repository as our git calls see it; ``root`` is the sandbox's own folder.

    Raises:
        ForeignGit: the git directory was replaced.
        GitFailed: git is not installed.
    """
    try:
        return View.open(own, root, tool_env(os.environ, {}))
    except (GitMissing, OSError) as exc:
        raise GitFailed(_why_not(exc)) from exc


class Git:
    """Runs one command at a time, and can be stopped from another OS thread."""

    def __init__(self) -> None:
        self._running: subprocess.Popen[str] | None = None
        self._is_closed = False
        self._stopped = threading.Event()
        self._lock = threading.Lock()  # guards _running and _is_closed

    def run(self, where: Where, *args: str) -> str:
        """Return the command's output.

        Raises:
            GitFailed: it failed, took too long, or was stopped.
        """
        code, out, err = self._run(where, args)
        if code != 0:
            raise _failed(where, args, code, err)
        return out

    def give(self, where: Where, *args: str, text: str) -> None:
        """Run a command that reads ``text``.

        Raises:
            GitFailed: as for ``run``.
        """
        code, _, err = self._run(where, args, text, errors="surrogateescape")
        if code != 0:
            raise _failed(where, args, code, err)

    def exact(self, where: Where, *args: str) -> str:
        """Return the command's output; names that are not UTF-8 can be passed back to git.

        Raises:
            GitFailed: as for ``run``.
        """
        code, out, err = self._run(where, args, errors="surrogateescape")
        if code != 0:
            raise _failed(where, args, code, err)
        return out

    def ask(self, where: Where, *args: str, text: str = "") -> str | None:
        """Return the output of a command that reads ``text``, or ``None`` if it fails."""
        code, out, _ = self._run(where, args, text)
        return out if code == 0 else None

    def code(self, where: Where, *args: str) -> tuple[int, str]:
        """Return the command's exit code and output."""
        code, out, _ = self._run(where, args)
        return code, out

    def pause(self, seconds: float) -> None:
        """Wait between two attempts.

        Raises:
            GitFailed: it was stopped while it waited.
        """
        if self._stopped.wait(seconds):
            raise GitFailed("The git command was stopped.")

    def begin(self) -> None:
        """Accept commands again after ``stop``."""
        self._stopped.clear()

    def stop(self) -> None:
        """End the running command, and the wait between two attempts."""
        with self._lock:
            self._stopped.set()
            if self._running is not None:
                signal_group(self._running.pid, signal.SIGTERM)

    def close(self) -> None:
        """End the running command, and refuse every later one."""
        with self._lock:
            self._is_closed = True
        self.stop()

    def _run(
        self, where: Where, args: tuple[str, ...], text: str = "", *, errors: str = "replace"
    ) -> tuple[int, str, str]:
        process = self._start(where, args, errors)
        limit = TRANSFER_LIMIT if command_of(args) in TRANSFERS else LIMIT
        try:
            out, err = process.communicate(text, timeout=limit)
        except subprocess.TimeoutExpired as exc:
            signal_group(process.pid, signal.SIGKILL)
            raise GitFailed(f"git {command_of(args)} took longer than {limit:.0f} s.") from exc
        finally:
            with self._lock:
                self._running = None
        return process.returncode, out.strip(), err

    def _start(self, where: Where, args: tuple[str, ...], errors: str) -> subprocess.Popen[str]:
        with self._lock:
            if self._is_closed:
                raise GitFailed("The sandbox is stopping.")
            try:
                call = where.call(args, tool_env(os.environ, {}))  # the person's own credentials
                self._running = children.start(
                    lambda: subprocess.Popen(
                        call.argv,
                        cwd=call.cwd,
                        env=marked(call.env, OURS),
                        stdin=subprocess.PIPE,
                        stdout=subprocess.PIPE,
                        stderr=subprocess.PIPE,
                        text=True,
                        encoding="utf-8",
                        errors=errors,
                        start_new_session=True,
                    )
                )
            except (GitMissing, OSError) as exc:
                raise GitFailed(_why_not(exc)) from exc
            return self._running


def _why_not(exc: GitMissing | OSError) -> str:
    why = exc.strerror if isinstance(exc, OSError) else "it is not on the PATH"
    return f"git could not be started: {why}."


def _failed(where: Where, args: tuple[str, ...], code: int, err: str) -> GitFailed:
    said = redact(err).strip().splitlines()
    return GitFailed(
        where.explain(f"git {command_of(args)} failed: {said[-1] if said else f'exit {code}'}")
    )


def redact(text: str) -> str:
    """Return ``text`` without the user and password before the @ of an address."""
    return _CREDENTIALS.sub("…", text)
