"""One program that runs for a project: its output, its exit, and how it is ended."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import logging
import os
import pty
import struct
import subprocess
import tempfile
import termios
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, Literal, Protocol

from mesh import children, process_tree, processes
from mesh.background import run_in_background
from mesh.plain_files import new_plain, write_plain
from mesh.process_tree import Process, end_all, of_process
from sandboxes.daemon import descendants
from sandboxes.daemon.files.tree import Tree, path_of
from sandboxes.daemon.program import READ_BYTES, read_some, rest_of, when_gone
from sandboxes.daemon.tasks.output import Output

logger = logging.getLogger(__name__)

TERM_GRACE = 3.0  # seconds between SIGTERM and SIGKILL
LOG_LIMIT = 10 * 1024 * 1024  # bytes of a task's log file
TRACE = ".pid"  # suffix of the file that records a task's process
TERMINAL = (40, 120)  # rows and columns

Status = Literal["running", "exited", "failed", "killed", "timeout"]


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskSpec:
    """A program to start, and how its task is treated."""

    argv: Sequence[str]
    command: str  # as shown to people
    name: str  # its purpose: bash, install, a script's name
    env: Mapping[str, str]
    cwd: str = ""
    timeout: float | None = None  # seconds
    input: bytes = b""  # what it reads; not with a terminal
    has_terminal: bool = False
    is_kept: bool = True  # stays listed after its end
    is_logged: bool = False  # its output is published among the events
    is_server: bool = False  # runs until it is ended
    is_of_setup: bool = False  # an installation or the server, not somebody's command


class Audience(Protocol):
    """Receives the output and the end of a task."""

    def on_output(self, task: Task, stream: str, text: str) -> None: ...
    def on_end(self, task: Task) -> None: ...


def status_of(code: int, ended_by: str) -> Status:
    """Return the status of an ended task; the reason for ending it outranks its exit code."""
    if ended_by == "kill":
        return "killed"
    if ended_by == "timeout":
        return "timeout"
    return "exited" if code == 0 else "failed"


@dataclass(slots=True, eq=False)
class Task:
    """A program that leads its own process group, running or ended."""

    id: str
    spec: TaskSpec
    audience: Audience
    log_path: Path
    mark: str = ""  # of all its descendants
    output: Output = field(default_factory=Output)
    status: Status = "running"
    exit_code: int | None = None
    started_at: float = field(default_factory=time.time)
    began: float = field(default_factory=process_tree.now)
    ended_at: float | None = None
    is_intended: bool = False  # ended on purpose, which is no failure
    done: asyncio.Event = field(default_factory=asyncio.Event)
    _process: subprocess.Popen[bytes] | None = None
    _started: str = ""
    _pipes: dict[str, IO[bytes]] = field(default_factory=dict)
    _ended_by: str = ""
    _ending: asyncio.Task[None] | None = None
    _timer: asyncio.TimerHandle | None = None
    _log: IO[bytes] | None = None
    _logged: int = 0

    def watch(
        self, process: subprocess.Popen[bytes], pipes: dict[str, IO[bytes]], *, started: str
    ) -> None:
        """Take over a process that was just started, even if its log can't be written."""
        loop = asyncio.get_running_loop()
        self._process, self._pipes, self._started = process, pipes, started
        for stream, pipe in pipes.items():
            os.set_blocking(pipe.fileno(), False)
            loop.add_reader(pipe.fileno(), self._read, stream)
        if self.spec.timeout is not None:
            self._timer = loop.call_later(self.spec.timeout, self._on_timeout)
        when_gone(process, self._on_gone)
        try:
            self._log = os.fdopen(new_plain(self.log_path), "wb", buffering=0)
            write_plain(self._trace, f"{process.pid} {self._started}")
        except OSError as exc:
            self._drop_log(exc)

    @property
    def _trace(self) -> Path:
        """The file by which a later process of the sandbox finds this program."""
        return self.log_path.with_suffix(TRACE)

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def summary(self) -> dict[str, Any]:
        """Return its entry in lists; times in milliseconds."""
        return {
            "id": self.id,
            "name": self.spec.name,
            "command": self.spec.command,
            "status": self.status,
            "exitCode": self.exit_code,
            "startedAt": int(self.started_at * 1000),
            "endedAt": None if self.ended_at is None else int(self.ended_at * 1000),
            "logName": self.log_path.name,
        }

    async def wait(self, seconds: float) -> None:
        """Wait for the end, at most ``seconds``."""
        try:
            async with asyncio.timeout(seconds):
                await self.done.wait()
        except TimeoutError:
            pass  # still running

    async def kill(self, *, intended: bool = False, grace: float = TERM_GRACE) -> None:
        """End it and its descendants; returns once the task has ended.

        SIGTERM, ``grace`` seconds, SIGKILL. Cancelling the caller does not cancel the ending.
        """
        if self.status == "running":
            self._ended_by = self._ended_by or "kill"
            self.is_intended = self.is_intended or intended
            await asyncio.shield(self._begin_ending(grace))
        await self.done.wait()

    def _on_timeout(self) -> None:
        self._ended_by = self._ended_by or "timeout"
        self._begin_ending(0)

    def _begin_ending(self, grace: float) -> asyncio.Task[None]:
        if self._ending is None:
            self._ending = run_in_background(self._end(grace), what=f"ending {self.id}")
        return self._ending

    async def _end(self, grace: float) -> None:
        itself = Process(self.pid, self._started, parent=0, group=0, session=0, began=0)
        await end_all(lambda table: of_process(table, itself), grace=grace)
        await descendants.end_orphans(self.mark, since=self.began)

    def _read(self, stream: str) -> None:
        pipe = self._pipes[stream]
        if (chunk := read_some(pipe)) is None:
            return
        if not chunk:
            asyncio.get_running_loop().remove_reader(pipe.fileno())
            return
        self._take(stream, chunk)

    def _take(self, stream: str, chunk: bytes, *, last: bool = False) -> None:
        if self._log is not None and self._logged < LOG_LIMIT:
            self._logged += len(chunk)
            try:
                self._log.write(chunk[: READ_BYTES * 16])
            except OSError as exc:
                self._drop_log(exc)
        if text := self.output.feed(stream, chunk, last=last):
            self.audience.on_output(self, stream, text)

    def _drop_log(self, why: OSError) -> None:
        """Continue without the log, as on a full disk: the output is still in memory."""
        logger.warning(
            "task %s: writing its log failed, continuing without a log: %s", self.id, why
        )
        self._close_log()

    def _close_log(self) -> None:
        if self._log is not None:
            with contextlib.suppress(OSError):
                self._log.close()
        self._log = None

    def _on_gone(self) -> None:
        assert self._process is not None
        code = self._process.poll()
        try:
            self._read_rest()
        except Exception:
            logger.exception("task %s: reading its last output failed, it is lost", self.id)
        finally:
            self._conclude(code if code is not None else -1)

    def _read_rest(self) -> None:
        loop = asyncio.get_running_loop()
        for stream, pipe in self._pipes.items():
            for chunk in rest_of(pipe):
                self._take(stream, chunk)
            self._take(stream, b"", last=True)
            loop.remove_reader(pipe.fileno())
            pipe.close()

    def _conclude(self, code: int) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._close_log()
        # The rest of its process group is ended in the background.
        if self._ending is None and processes.group_lives(self.pid):
            rest = processes.end_group(self.pid, grace=TERM_GRACE)
            self._ending = run_in_background(rest, what=f"ending the group of {self.id}")
        with contextlib.suppress(OSError):
            self._trace.unlink(missing_ok=True)
        self.exit_code = code
        self.status = status_of(code, self._ended_by)
        self.ended_at = time.time()
        self.done.set()
        self.audience.on_end(self)


def start(spec: TaskSpec, tree: Tree) -> tuple[subprocess.Popen[bytes], dict[str, IO[bytes]]]:
    """Start the program in a session of its own. Blocking: for a worker thread.

    Raises:
        PathOutside, NotADirectory, …: its folder is not in the tree.
        OSError: the program can't be executed.
    """
    with tree.open_folder(spec.cwd) as (folder, _):
        if spec.has_terminal:
            return _start_with_terminal(spec, path_of(folder))
        with _input_of(spec) as stdin:
            process = children.start(
                lambda: subprocess.Popen(
                    spec.argv,
                    cwd=path_of(folder),
                    env=dict(spec.env),
                    stdin=stdin,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.PIPE,
                    bufsize=0,
                    start_new_session=True,
                )
            )
    assert process.stdout is not None
    assert process.stderr is not None
    return process, {"stdout": process.stdout, "stderr": process.stderr}


@contextlib.contextmanager
def _input_of(spec: TaskSpec) -> Iterator[IO[bytes] | int]:
    if not spec.input:
        yield subprocess.DEVNULL
        return
    with tempfile.TemporaryFile() as file:
        file.write(spec.input)
        file.seek(0)
        yield file


def _start_with_terminal(
    spec: TaskSpec, cwd: Path
) -> tuple[subprocess.Popen[bytes], dict[str, IO[bytes]]]:
    ours, theirs = pty.openpty()
    try:
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", *TERMINAL, 0, 0))
        modes = termios.tcgetattr(theirs)
        modes[1] &= ~termios.OPOST  # don't change line feeds
        termios.tcsetattr(theirs, termios.TCSANOW, modes)
        process = children.start(
            lambda: subprocess.Popen(
                spec.argv,
                cwd=cwd,
                env=dict(spec.env),
                stdin=theirs,
                stdout=theirs,
                stderr=theirs,
                start_new_session=True,
            )
        )
    except BaseException:
        os.close(ours)
        raise
    finally:
        os.close(theirs)
    return process, {"stdout": os.fdopen(ours, "rb", buffering=0)}
