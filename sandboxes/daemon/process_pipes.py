"""Exchanges bytes with a child process, in bounded memory and within a time limit. Blocking.

``Popen.communicate`` keeps the whole output, and waits for every program that has inherited the
pipes: an ssh that stays connected in the background, or a server that a hook has started.
"""

from __future__ import annotations

import os
import selectors
import subprocess
import time
from collections.abc import Callable
from typing import IO, Final

PIECE: Final = 64 * 1024  # bytes of one read
ERRORS_KEPT: Final = 64 * 1024  # bytes: the last of the error output
_STEP: Final = 0.2  # seconds without output after which the end of the process counts

# Gets the next piece of the output; returns whether it wants more.
Take = Callable[[bytes], bool]


def exchange(
    process: subprocess.Popen[bytes], given: bytes, take: Take, *, timeout: float
) -> bytes:
    """Give ``given`` to the process and pass its output to ``take``; return its last errors.

    Returns when the process has ended, or when ``take`` wants no more: its output is then closed,
    and the caller ends it. Pipes that are ``None`` are left alone.

    Raises:
        TimeoutError: it has not ended after ``timeout`` seconds.
    """
    deadline = time.monotonic() + timeout
    with selectors.DefaultSelector() as selector:
        pipes = _Pipes(process, given, take, selector)
        while selector.get_map() and not pipes.is_enough:
            if time.monotonic() > deadline:
                raise TimeoutError
            ready = selector.select(min(_STEP, max(0.0, deadline - time.monotonic())))
            if not ready and process.poll() is not None:
                break  # whoever still holds the pipes is another program
            for key, _ in ready:
                key.data()
    return bytes(pipes.errors)


class _Pipes:
    """The open pipes of one process; each is closed at its end."""

    def __init__(
        self,
        process: subprocess.Popen[bytes],
        given: bytes,
        take: Take,
        selector: selectors.BaseSelector,
    ) -> None:
        self.errors = bytearray()
        self.is_enough = False
        self._given, self._take, self._selector = memoryview(given), take, selector
        self._stdin, self._stdout, self._stderr = process.stdin, process.stdout, process.stderr
        for pipe, event, action in (
            (self._stdin, selectors.EVENT_WRITE, self._write),
            (self._stdout, selectors.EVENT_READ, self._read),
            (self._stderr, selectors.EVENT_READ, self._read_errors),
        ):
            if pipe is not None:
                os.set_blocking(pipe.fileno(), False)
                selector.register(pipe, event, action)

    def _write(self) -> None:
        assert self._stdin is not None
        try:
            self._given = self._given[os.write(self._stdin.fileno(), self._given[:PIECE]) :]
        except BrokenPipeError:
            self._given = self._given[:0]  # it ended without reading everything
        if not self._given:
            self._close(self._stdin)

    def _read(self) -> None:
        assert self._stdout is not None
        piece = os.read(self._stdout.fileno(), PIECE)
        if not piece:
            self._close(self._stdout)
        elif not self._take(piece):
            self.is_enough = True
            self._close(self._stdout)

    def _read_errors(self) -> None:
        assert self._stderr is not None
        piece = os.read(self._stderr.fileno(), PIECE)
        if not piece:
            self._close(self._stderr)
        self.errors += piece
        del self.errors[:-ERRORS_KEPT]

    def _close(self, pipe: IO[bytes]) -> None:
        self._selector.unregister(pipe)
        pipe.close()
