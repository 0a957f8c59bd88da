"""The person's own git, run without a shell or a prompt. Blocking: for a worker thread."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from collections.abc import Container, Mapping
from pathlib import Path
from typing import IO, Protocol

from mesh import children
from mesh.git.calls import Call, GitMissing, command_of
from mesh.git.errors import GitFailed as GitFailed
from mesh.git.failures import read_failure
from mesh.git.failures import redact as redact
from mesh.git.own import Own
from mesh.git.view import View
from mesh.processes import signal_group
from sandboxes.daemon.descendants import OURS, marked
from sandboxes.daemon.env import tool_env
from sandboxes.daemon.process_pipes import Take, exchange

LIMIT = 600.0  # seconds for one command
# For a transfer: git itself ends one that stalls (``mesh/git/calls.py``); this limit is for one
# that keeps trickling.
TRANSFER_LIMIT = 3600.0
CUT_WITHIN = 5.0  # seconds that a command whose output is no longer wanted has to end
TRANSFERS = frozenset({"clone", "fetch", "lfs", "push"})

# A diff that starts no program, ignores repositories inside the working folder, and has the same
# form for everybody; ``mesh.git.calls`` has the settings that belong to it.
PLAIN = (
    *("--no-ext-diff", "--no-textconv", "--ignore-submodules=dirty", "--submodule=short"),
    *("--no-color", "--no-renames", "--full-index", "--src-prefix=a/", "--dst-prefix=b/"),
)


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
    """Runs one command at a time, and can be stopped from another OS thread.

    Output is bytes, exactly as git wrote it. Names that are not UTF-8 are text with surrogates
    (as ``os.fsdecode`` makes it), which every argument accepts.
    """

    def __init__(self) -> None:
        self._running: subprocess.Popen[bytes] | None = None
        self._is_closed = False
        self._stopped = threading.Event()
        self._lock = threading.Lock()  # guards _running and _is_closed

    def run(self, where: Where, *args: str, given: bytes = b"") -> None:
        """Run a command for its effect; it reads ``given``.

        Raises:
            GitFailed: it failed, took too long, or was stopped.
        """
        self.stream(where, *args, take=_ignore, given=given)

    def output(self, where: Where, *args: str, given: bytes = b"") -> bytes:
        """Return the command's output.

        Raises:
            GitFailed: as for ``run``.
        """
        pieces = _Pieces()
        self.stream(where, *args, take=pieces.take, given=given)
        return pieces.whole

    def words(self, where: Where, *args: str, within: float = 0) -> str:
        """Return an answer of one line, such as a branch, without the end of the line.

        ``within`` is another limit than usual, in seconds.

        Raises:
            GitFailed: as for ``run``.
        """
        pieces = _Pieces()
        self.stream(where, *args, take=pieces.take, within=within)
        return _words(pieces.whole)

    def names(self, where: Where, *args: str, given: bytes = b"") -> list[str]:
        """Return the names in the output of a command that separates them by NUL (``-z``).

        Raises:
            GitFailed: as for ``run``.
        """
        return [os.fsdecode(name) for name in self.output(where, *args, given=given).split(b"\0")][
            :-1
        ]

    def ask(self, where: Where, *args: str) -> str | None:
        """Return the same as ``words``, or ``None`` if the command fails."""
        code, said = self.code(where, *args)
        return said if code == 0 else None

    def code(self, where: Where, *args: str, within: float = 0) -> tuple[int, str]:
        """Return the command's exit code, and its answer of one line.

        ``within`` is another limit than usual, in seconds.
        """
        pieces = _Pieces()
        code, _ = self._run(where, args, pieces.take, within=within)
        assert code is not None  # everything is taken
        return code, _words(pieces.whole)

    def stream(
        self,
        where: Where,
        *args: str,
        take: Take,
        given: bytes = b"",
        succeeds: Container[int] = (0,),
        within: float = 0,
    ) -> None:
        """Pass the command's output to ``take``, piece by piece; end it when it wants no more.

        Raises:
            GitFailed: as for ``run``; exit codes in ``succeeds`` are no failure.
        """
        code, errors = self._run(where, args, take, given, within=within)
        if code is not None and code not in succeeds:
            raise _failed(where, args, code, errors)

    def save(self, where: Where, *args: str, file: IO[bytes]) -> None:
        """Write the command's output to the end of ``file``: git itself does, whatever its size.

        Raises:
            GitFailed: as for ``run``.
        """
        file.flush()
        code, errors = self._run(where, args, _ignore, out=file.fileno())
        if code != 0:
            raise _failed(where, args, code or 0, errors)

    def pause(self, seconds: float) -> None:
        """Wait between two attempts.

        Raises:
            GitFailed: it was stopped while it waited.
        """
        if self._stopped.wait(seconds):
            raise GitFailed("The git command was stopped.")

    @property
    def is_stopped(self) -> bool:
        """Whether somebody stopped it: a failure may be the result of that."""
        return self._stopped.is_set()

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
        self,
        where: Where,
        args: tuple[str, ...],
        take: Take,
        given: bytes = b"",
        *,
        out: int = subprocess.PIPE,
        within: float = 0,
    ) -> tuple[int | None, bytes]:
        """Return the exit code and the last errors; ``None`` when ``take`` wanted no more."""
        is_cut = False

        def take_noting(piece: bytes) -> bool:
            nonlocal is_cut
            is_cut = not take(piece)
            return not is_cut

        limit = within or (TRANSFER_LIMIT if command_of(args) in TRANSFERS else LIMIT)
        deadline = time.monotonic() + limit
        process = self._start(where, args, out)
        try:
            errors = exchange(process, given, take_noting, timeout=limit)
            if is_cut:
                signal_group(process.pid, signal.SIGTERM)
                deadline = time.monotonic() + CUT_WITHIN
            process.wait(max(0.1, deadline - time.monotonic()))
        except (TimeoutError, subprocess.TimeoutExpired) as exc:
            if is_cut:
                return None, b""
            raise GitFailed(f"git {command_of(args)} took longer than {limit:.0f} s.") from exc
        finally:
            self._end(process)
        return None if is_cut else process.returncode, errors

    def _end(self, process: subprocess.Popen[bytes]) -> None:
        """Close the pipes of a process, and end it if it is still running."""
        if process.poll() is None:
            signal_group(process.pid, signal.SIGKILL)
        for pipe in (process.stdin, process.stdout, process.stderr):
            if pipe is not None:
                pipe.close()
        with self._lock:
            self._running = None
        process.wait()

    def _start(self, where: Where, args: tuple[str, ...], out: int) -> subprocess.Popen[bytes]:
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
                        stdout=out,
                        stderr=subprocess.PIPE,
                        bufsize=0,
                        start_new_session=True,
                    )
                )
            except (GitMissing, OSError) as exc:
                raise GitFailed(_why_not(exc)) from exc
            return self._running


class _Pieces:
    """Collects an output that is known to be short."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []

    def take(self, piece: bytes) -> bool:
        self._pieces.append(piece)
        return True

    @property
    def whole(self) -> bytes:
        return b"".join(self._pieces)


def _ignore(_: bytes) -> bool:
    return True


def _words(output: bytes) -> str:
    return os.fsdecode(output.removesuffix(b"\n"))


def _why_not(exc: GitMissing | OSError) -> str:
    why = exc.strerror if isinstance(exc, OSError) else "it is not on the PATH"
    return f"git could not be started: {why}."


def _failed(where: Where, args: tuple[str, ...], code: int, errors: bytes) -> GitFailed:
    failure = read_failure(command_of(args), errors, code)
    age = _age_of(failure.lock) if failure.lock else ""
    return failure.error(where.explain(f"{failure.sentence}{age}"))


def _age_of(lock: str) -> str:
    """Return how old a lock file is, in words; empty when it is gone."""
    try:
        minutes = max(0, time.time() - os.lstat(lock).st_mtime) / 60
    except (OSError, ValueError):
        return ""
    for size, unit in ((24 * 60, "days"), (60, "hours"), (1, "minutes")):
        if minutes >= 2 * size:
            return f" (the lock is {minutes // size:.0f} {unit} old)"
    return " (the lock is new)"
