"""The person's own git, run without a shell and without a prompt. Blocking: for a thread."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import threading
from pathlib import Path

from mesh.lib.errors import AppError
from mesh.processes import signal_group
from sandboxes.daemon.env import tool_env

NO_SUCH_REF = 2  # how ls-remote --exit-code ends when there is none
LIMIT = 600.0  # seconds for one command: a big clone over a thin line
# Nobody would see a question, in a terminal or in a window; and a dead line is given up.
_QUIET = {
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_ASKPASS": "",
    "SSH_ASKPASS_REQUIRE": "never",
    "GIT_OPTIONAL_LOCKS": "0",  # a look must not get into the way of what the person does
    "LC_ALL": "C.UTF-8",
}
_PATIENCE = ("-c", "http.lowSpeedLimit=1", "-c", "http.lowSpeedTime=10")

_CREDENTIALS = re.compile(r"(?<=://)[^/@\s]+(?=@)")


class GitFailed(AppError):
    """git said no; the sentence is git's own last line."""

    code = "checkout_failed"
    text = "The working folder could not be prepared."
    hint = "Look at the folder or repository named in the message, then send the message again."


class Git:
    """Runs one command at a time, and can be stopped from another thread.

    Below ``ceiling`` it looks for repositories, and no further up.
    """

    def __init__(self, ceiling: Path | None = None) -> None:
        self._own = {"GIT_CEILING_DIRECTORIES": str(ceiling)} if ceiling else {}
        self._running: subprocess.Popen[str] | None = None
        self._is_closed = False
        self._stopped = threading.Event()
        self._lock = threading.Lock()  # over _running and _is_closed

    def run(self, cwd: Path, *args: str) -> str:
        """Return what the command printed.

        Raises:
            GitFailed: it failed, took too long, or was stopped.
        """
        code, out, err = self._run(cwd, args)
        if code != 0:
            said = redact(err).strip().splitlines()
            raise GitFailed(f"git {args[0]} failed: {said[-1] if said else f'exit {code}'}")
        return out

    def ask(self, cwd: Path, *args: str) -> str | None:
        """Return what the command printed, or ``None`` when git says no."""
        code, out, _ = self._run(cwd, args)
        return out if code == 0 else None

    def code(self, cwd: Path, *args: str) -> tuple[int, str]:
        """Return the command's exit code, and what it printed."""
        code, out, _ = self._run(cwd, args)
        return code, out

    def pause(self, seconds: float) -> None:
        """Wait between two tries.

        Raises:
            GitFailed: it was stopped meanwhile.
        """
        if self._stopped.wait(seconds):
            raise GitFailed("It was stopped.")

    def begin(self) -> None:
        """Take up work after an earlier piece of it was stopped."""
        self._stopped.clear()

    def stop(self) -> None:
        """End the command that runs, and the waiting between two tries."""
        with self._lock:
            self._stopped.set()
            if self._running is not None:
                signal_group(self._running.pid, signal.SIGTERM)

    def close(self) -> None:
        """End the command that runs, and refuse every later one."""
        with self._lock:
            self._is_closed = True
        self.stop()

    def _run(self, cwd: Path, args: tuple[str, ...]) -> tuple[int, str, str]:
        process = self._start(cwd, args)
        try:
            out, err = process.communicate(timeout=LIMIT)
        except subprocess.TimeoutExpired as exc:
            signal_group(process.pid, signal.SIGKILL)
            raise GitFailed(f"git {args[0]} took longer than {LIMIT:.0f} s.") from exc
        finally:
            with self._lock:
                self._running = None
        return process.returncode, out.strip(), err

    def _start(self, cwd: Path, args: tuple[str, ...]) -> subprocess.Popen[str]:
        with self._lock:
            if self._is_closed:
                raise GitFailed("The sandbox is about to end.")
            try:
                self._running = subprocess.Popen(
                    ["git", *_PATIENCE, *args],
                    cwd=cwd,
                    # The person's own credentials.
                    env=tool_env(os.environ, _QUIET | self._own),
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.PIPE,
                    text=True,
                    errors="replace",
                    start_new_session=True,
                )
            except OSError as exc:
                raise GitFailed(f"git could not be started: {exc.strerror}.") from exc
            return self._running


def redact(text: str) -> str:
    """Return ``text`` without what stands before the @ of an address: it may be a password."""
    return _CREDENTIALS.sub("…", text)
