"""One agent program: its process group, its lines, its end.

The pipes are read on the event loop by file descriptor, without streams or tasks in between: the
adapter gets a line in the same turn of the loop in which it became readable.
"""

from __future__ import annotations

import asyncio
import logging
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Protocol

from mesh import children, processes
from mesh.background import run_in_background
from mesh.process_tree import Process, end_all, now, of_process
from sandboxes.daemon.lines import LineSplitter, LineTooLong

if sys.platform == "linux":
    from fcntl import F_SETPIPE_SZ, fcntl

logger = logging.getLogger(__name__)

READ_BYTES = 64 * 1024
PIPE_BYTES = 1024 * 1024  # so that a CLI that writes much text rarely waits for us
STDERR_TAIL = 32 * 1024
TERM_GRACE = 1.5  # seconds between SIGTERM and SIGKILL

_endings: set[asyncio.Task[None]] = set()


async def all_ended() -> None:
    """Wait for the process groups that are being ended."""
    if _endings:
        await asyncio.wait(_endings)


class Listener(Protocol):
    """Receives a program's output and exit."""

    def on_line(self, line: bytes) -> None: ...

    def on_exit(self, code: int | None, stderr: str) -> None:
        """All lines were delivered and the process is gone. Called once."""

    def on_flood(self) -> None:
        """A line exceeded the limit; nothing more is read."""


class Program:
    """A running program that leads its own process group."""

    def __init__(self, process: subprocess.Popen[bytes], listener: Listener) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        self.pid = process.pid
        self.started = processes.started_at(process.pid)
        self.listener = listener
        self.gone: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._process = process
        self._loop = asyncio.get_running_loop()
        self._splitter = LineSplitter()
        self._is_flooded = False
        self._stdin = Outbox(process.stdin)
        self._stdout, self._stderr = process.stdout, process.stderr
        self._stderr_tail = bytearray()
        self._ending: asyncio.Task[None] | None = None
        # What it writes now was written after this, by ``process_tree.now()``.
        self.read_until = now()
        self.ended: dict[Process, str] = {}  # what was ended with it, itself too → its command
        for pipe, read in ((self._stdout, self._read_stdout), (self._stderr, self._read_stderr)):
            os.set_blocking(pipe.fileno(), False)
            self._loop.add_reader(pipe.fileno(), read)
        when_gone(process, self._on_gone)

    @classmethod
    def start(
        cls, argv: Sequence[str], *, env: Mapping[str, str], cwd: Path, listener: Listener
    ) -> Program:
        """Start ``argv`` in a session of its own.

        Raises:
            OSError: the file can't be executed, or ``cwd`` is gone.
        """
        process = children.start(
            lambda: subprocess.Popen(
                argv,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                bufsize=0,
                cwd=cwd,
                env=dict(env),
                start_new_session=True,
            )
        )
        assert process.stdout is not None
        if sys.platform == "linux":
            try:
                fcntl(process.stdout.fileno(), F_SETPIPE_SZ, PIPE_BYTES)
            except OSError:
                pass  # the user's pipe memory is used up: keep the default 64 KiB
        return cls(process, listener)

    @property
    def is_alive(self) -> bool:
        return not self.gone.done() and self._ending is None

    @property
    def is_ending(self) -> bool:
        return self._ending is not None

    def write(self, line: bytes) -> None:
        """Write one line to stdin; ignored if the program no longer reads."""
        self._stdin.write(line + b"\n")

    def end(self, *, grace: float = TERM_GRACE) -> asyncio.Task[None]:
        """End it and its descendants, by force if needed; a second call waits for the first.

        Once it has exited on its own, only its process group, with what is below, is known to be
        left over.
        """
        if self._ending is None:
            self._stdin.close()
            self._ending = run_in_background(self._end(grace), what=f"ending process {self.pid}")
            _endings.add(self._ending)
            self._ending.add_done_callback(_endings.discard)
        return self._ending

    async def _end(self, grace: float) -> None:
        itself = Process(self.pid, self.started, parent=0, group=0, session=0, began=0)
        self.ended = await end_all(lambda table: of_process(table, itself), grace=grace)
        await self.gone

    def _read_stdout(self) -> None:
        begun = now()
        if (chunk := read_some(self._stdout)) is None:
            return
        if not chunk:
            self._loop.remove_reader(self._stdout.fileno())
            return
        self._give(chunk)
        if len(chunk) < READ_BYTES:  # there was no more
            self.read_until = begun

    def _give(self, chunk: bytes) -> None:
        if self._is_flooded:
            return
        try:
            lines = self._splitter.feed(chunk)
        except LineTooLong:
            self._is_flooded = True
            self._loop.remove_reader(self._stdout.fileno())
            self.listener.on_flood()
            return
        for line in lines:
            self.listener.on_line(line)

    def _read_stderr(self) -> None:
        if (chunk := read_some(self._stderr)) is None:
            return
        if not chunk:
            self._loop.remove_reader(self._stderr.fileno())
            return
        self._stderr_tail += chunk
        del self._stderr_tail[:-STDERR_TAIL]

    def _on_gone(self) -> None:
        code = self._process.poll()
        for chunk in rest_of(self._stdout):
            self._give(chunk)
        for chunk in rest_of(self._stderr):
            self._stderr_tail += chunk
        if (rest := self._splitter.rest()) and not self._is_flooded:
            self.listener.on_line(rest)
        for pipe in (self._stdout, self._stderr):
            self._loop.remove_reader(pipe.fileno())
            pipe.close()
        self._stdin.close()
        tail = self._stderr_tail[-STDERR_TAIL:].decode(errors="replace")
        self.gone.set_result(None)
        self.listener.on_exit(code, tail)
        self.end()  # shims and tools leave children behind: end the group with its leader


class Outbox:
    """Buffers bytes for a program's stdin, which may be slow to read them."""

    def __init__(self, pipe: IO[bytes]) -> None:
        self._pipe = pipe
        self._waiting = bytearray()
        self._loop = asyncio.get_running_loop()
        os.set_blocking(pipe.fileno(), False)

    def write(self, data: bytes) -> None:
        if self._pipe.closed:
            return
        if self._waiting:
            self._waiting += data
            return
        self._waiting += data
        self._send()
        if self._waiting and not self._pipe.closed:
            self._loop.add_writer(self._pipe.fileno(), self._send)

    def close(self) -> None:
        if not self._pipe.closed:
            self._loop.remove_writer(self._pipe.fileno())
            self._pipe.close()
            self._waiting.clear()

    def _send(self) -> None:
        try:
            del self._waiting[: os.write(self._pipe.fileno(), self._waiting)]
        except BlockingIOError:
            return
        except OSError:  # the program closed its stdin: its exit says why
            self.close()
            return
        if not self._waiting:
            self._loop.remove_writer(self._pipe.fileno())


def read_some(pipe: IO[bytes]) -> bytes | None:
    """Return the bytes available now: b"" at the end, ``None`` if there are none yet."""
    try:
        return os.read(pipe.fileno(), READ_BYTES)
    except BlockingIOError:
        return None
    except OSError:
        return b""


def rest_of(pipe: IO[bytes]) -> Iterator[bytes]:
    """Yield the bytes still in the pipe without waiting for its end: a grandchild may hold it open.

    At most one pipe's capacity, because a grandchild may keep writing.
    """
    left = PIPE_BYTES
    while left > 0 and (chunk := read_some(pipe)):
        left -= len(chunk)
        yield chunk


def when_gone(process: subprocess.Popen[bytes], then: Callable[[], None]) -> None:
    """Call ``then`` on the loop once the process has exited and can be reaped."""
    loop = asyncio.get_running_loop()
    fd = _pidfd_of(process.pid)
    if fd is not None:

        def exited() -> None:
            loop.remove_reader(fd)
            os.close(fd)
            then()

        loop.add_reader(fd, exited)
        return

    def wait() -> None:
        process.wait()
        loop.call_soon_threadsafe(then)

    threading.Thread(target=wait, daemon=True).start()


def _pidfd_of(pid: int) -> int | None:
    """Return a descriptor that becomes readable when the process exits, if the system has one."""
    try:
        return os.pidfd_open(pid) if hasattr(os, "pidfd_open") else None
    except OSError:
        return None  # no file descriptors left: the process is watched in another way
