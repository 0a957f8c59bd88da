"""One shell with its terminal: output into a ring, input, size, readers, and its end."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import pty
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from mesh import children, process_tree
from mesh.background import run_in_background
from mesh.process_tree import Process, Table, end_all
from sandboxes.daemon import descendants
from sandboxes.daemon.program import when_gone
from sandboxes.daemon.terminals.errors import TooManyReaders
from sandboxes.daemon.terminals.ring import Ring
from sandboxes.daemon.terminals.wire import Size

KEPT: Final = 1024 * 1024  # bytes of output for a reader that comes back
WINDOW: Final = 256 * 1024  # bytes that a reader may have undrawn before the program has to wait
READ_BYTES: Final = 64 * 1024
STALLED_AFTER: Final = 10.0  # seconds without progress: such a reader holds nobody up
MOST_UNREAD: Final = 1024 * 1024  # bytes of input that the programs have not taken
READERS: Final = 20
REST: Final = 256 * 1024  # bytes that are still read after the end
GRACE: Final = 1.0  # seconds between SIGHUP or SIGTERM and SIGKILL
LAUNCHER: Final = Path(__file__).with_name("launch.py")
# A terminal's key for a signal → which; it must reach a program that reads no input.
SIGNALS: Final = {termios.VINTR: signal.SIGINT, termios.VQUIT: signal.SIGQUIT}


class Reader:
    """One page that looks on: the number of bytes sent to it, and drawn by it."""

    def __init__(self, after: int, on_change: Callable[[], None]) -> None:
        self.sent = self.drawn = after
        self.is_stalled = False
        self._on_change = on_change
        self._news = asyncio.Event()
        self._timer: asyncio.TimerHandle | None = None

    def wake(self) -> None:
        """Say that there may be more to send."""
        self._news.set()

    async def wait(self) -> None:
        """Return once there may be more to send."""
        await self._news.wait()
        self._news.clear()

    def ack(self, at: int) -> None:
        """Take that the page has drawn ``at`` bytes; less than before, or more than it was sent,
        counts as what it can be."""
        self.drawn = min(max(at, self.drawn), self.sent)
        self.is_stalled = False
        self.rest()
        self.wake()
        self._on_change()

    def watch(self) -> None:
        """Begin to count the time in which the page draws nothing."""
        if self._timer is None and not self.is_stalled:
            self._timer = asyncio.get_running_loop().call_later(STALLED_AFTER, self._stall)

    def rest(self) -> None:
        """Count no more."""
        if self._timer is not None:
            self._timer.cancel()
        self._timer = None

    def _stall(self) -> None:
        self._timer, self.is_stalled = None, True
        self._on_change()


@dataclass(slots=True, eq=False)
class Terminal:
    """A running or ended shell; times in seconds since 1970."""

    id: str
    shell: str
    mark: str
    on_end: Callable[[Terminal], None]
    ring: Ring = field(default_factory=lambda: Ring(KEPT))
    started_at: float = field(default_factory=time.time)
    began: float = field(default_factory=process_tree.now)
    ended_at: float | None = None
    exit_code: int | None = None
    is_closed: bool = False  # by a person, not by the shell itself
    done: asyncio.Event = field(default_factory=asyncio.Event)
    _process: subprocess.Popen[bytes] | None = None
    _fd: int = -1
    _readers: set[Reader] = field(default_factory=set)
    _is_reading: bool = False
    _unread: bytearray = field(default_factory=bytearray)
    _ending: asyncio.Task[None] | None = None

    def watch(self, process: subprocess.Popen[bytes], fd: int) -> None:
        """Take over a shell that was just started, and the near end of its terminal."""
        self._process, self._fd = process, fd
        os.set_blocking(fd, False)
        self._balance()
        when_gone(process, self._on_gone)

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    @property
    def is_running(self) -> bool:
        return self.ended_at is None

    @property
    def job(self) -> str:
        """The name of the program in front of the shell; empty if the shell waits for input."""
        group = self._front()
        if not self.is_running or group in (0, self.pid):
            return ""
        with contextlib.suppress(OSError):
            return Path(f"/proc/{group}/comm").read_text(errors="replace").strip() or "a program"
        return "a program"

    @property
    def has_reader(self) -> bool:
        return bool(self._readers)

    def summary(self) -> dict[str, Any]:
        """Return its entry in lists; times in milliseconds."""
        return {
            "id": self.id,
            "shell": Path(self.shell).name,
            "job": self.job,
            "startedAt": int(self.started_at * 1000),
            "endedAt": None if self.ended_at is None else int(self.ended_at * 1000),
            "exitCode": self.exit_code,
            "isClosed": self.is_closed,
        }

    # What pages do

    def attach(self, after: int) -> Reader:
        """Return a reader that has the first ``after`` bytes; more than there are means none.

        Raises:
            TooManyReaders: as its text says.
        """
        if len(self._readers) >= READERS:
            raise TooManyReaders
        reader = Reader(after if after <= self.ring.end else 0, self._balance)
        self._readers.add(reader)
        self._balance()
        return reader

    def detach(self, reader: Reader) -> None:
        """Forget a reader; nobody waits for it any more."""
        reader.rest()
        self._readers.discard(reader)
        self._balance()

    def write(self, data: bytes) -> None:
        """Pass input on. What the programs don't take is kept up to a limit, and then dropped;
        a signal's key goes past it."""
        if not self.is_running:
            return
        if self._unread and (which := self._signal_of(data)) is not None:
            self._unread.clear()
            with contextlib.suppress(OSError):
                os.killpg(self._front() or self.pid, which)
            return
        self._unread += data[: max(0, MOST_UNREAD - len(self._unread))]
        self._send()

    def resize(self, size: Size) -> None:
        """Give the terminal another size; its programs get SIGWINCH."""
        if self.is_running:
            with contextlib.suppress(OSError):
                fcntl.ioctl(self._fd, termios.TIOCSWINSZ, struct.pack("HHHH", *_pair(size), 0, 0))

    async def close(self, *, grace: float = GRACE) -> None:
        """End the shell and all that it has started; return when they are gone."""
        if self.is_running:
            self.is_closed = True
            with contextlib.suppress(OSError):
                os.killpg(self.pid, signal.SIGHUP)  # an interactive shell ignores SIGTERM
            await asyncio.shield(self._end(grace))
        await self.done.wait()

    # Its own life

    def _front(self) -> int:
        """Return the process group that has the terminal; 0 if none has."""
        try:
            return os.tcgetpgrp(self._fd)
        except OSError:
            return 0

    def _signal_of(self, data: bytes) -> signal.Signals | None:
        """Return the signal that the last byte of the input is the key of, if it is one."""
        try:
            modes = termios.tcgetattr(self._fd)
        except (OSError, termios.error):
            return None
        if not modes[3] & termios.ISIG:
            return None
        keys = {modes[6][index]: which for index, which in SIGNALS.items()}
        return keys.get(data[-1:])

    def _balance(self) -> None:
        """Read the terminal, unless a reader has too much that it has not drawn."""
        late = [one for one in self._readers if self.ring.end - one.drawn >= WINDOW]
        for reader in self._readers:
            reader.watch() if reader in late else reader.rest()
        should_read = self._fd >= 0 and not any(not one.is_stalled for one in late)
        if should_read == self._is_reading:
            return
        self._is_reading = should_read
        loop = asyncio.get_running_loop()
        if should_read:
            loop.add_reader(self._fd, self._read)
        else:
            loop.remove_reader(self._fd)

    def _read(self) -> None:
        try:
            chunk = os.read(self._fd, READ_BYTES)
        except BlockingIOError:
            return
        except OSError:
            chunk = b""  # on Linux, the last program has closed the far end
        if not chunk:
            self._is_reading = False
            asyncio.get_running_loop().remove_reader(self._fd)
            return
        self._add(chunk)
        self._balance()

    def _add(self, chunk: bytes) -> None:
        self.ring.add(chunk)
        for reader in self._readers:
            reader.wake()

    def _send(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            while self._unread:
                del self._unread[: os.write(self._fd, self._unread)]
        except BlockingIOError:
            loop.add_writer(self._fd, self._send)
            return
        except OSError:
            self._unread.clear()  # nobody reads it any more
        loop.remove_writer(self._fd)

    def _on_gone(self) -> None:
        assert self._process is not None
        code = self._process.poll()
        self.exit_code = code if code is not None else -1
        loop = asyncio.get_running_loop()
        loop.remove_reader(self._fd)
        loop.remove_writer(self._fd)
        left = REST
        with contextlib.suppress(OSError):
            while left > 0 and (chunk := os.read(self._fd, READ_BYTES)):
                left -= len(chunk)
                self._add(chunk)
        os.close(self._fd)  # what still runs in the terminal gets SIGHUP
        self._fd, self._is_reading = -1, False
        self.ended_at = time.time()
        if self._ending is None:
            self._end(GRACE)
        self.done.set()
        for reader in self._readers:
            reader.rest()
            reader.wake()
        self.on_end(self)

    def _end(self, grace: float) -> asyncio.Task[None]:
        if self._ending is None:
            self._ending = run_in_background(self._end_all(grace), what=f"ending {self.id}")
        return self._ending

    async def _end_all(self, grace: float) -> None:
        session, mark = self.pid, self.mark

        def find(table: Table) -> set[Process]:
            members = {one for one in table.values() if one.session == session}
            return members | process_tree.below(table, [one.pid for one in members])

        await end_all(find, grace=grace)
        await descendants.end_orphans(mark, since=self.began)


def start(
    argv: list[str], *, cwd: Path, env: Mapping[str, str], size: Size
) -> tuple[subprocess.Popen[bytes], int]:
    """Start a shell in a terminal; return it and the near end. Blocking: for a worker thread.

    Raises:
        OSError: there is no terminal left, or the program can't be executed.
    """
    near, far = pty.openpty()
    try:
        fcntl.ioctl(far, termios.TIOCSWINSZ, struct.pack("HHHH", *_pair(size), 0, 0))
        process = children.start(
            lambda: subprocess.Popen(
                [sys.executable, "-I", "-S", str(LAUNCHER), *argv],
                cwd=cwd,
                env=dict(env),
                stdin=far,
                stdout=far,
                stderr=far,
                start_new_session=True,
            )
        )
    except BaseException:
        os.close(near)
        raise
    finally:
        os.close(far)
    return process, near


def _pair(size: Size) -> tuple[int, int]:
    return size.rows, size.columns
