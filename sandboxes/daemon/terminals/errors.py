"""What the routes of terminals refuse."""

from __future__ import annotations

from mesh.lib.errors import AppError


class UnknownTerminal(AppError):
    code = "unknown_terminal"
    text = "There is no such terminal any more."
    hint = "It ended, or the sandbox was started again since. Open another one."
    status = 404


class TooManyTerminals(AppError):
    code = "too_many_terminals"
    text = "Too many terminals are open in this sandbox."
    hint = "Close one of them first."
    status = 429


class JobRunning(AppError):
    code = "job_running"
    text = "A program is still running in this terminal."
    hint = "Closing the terminal ends it."
    status = 409


class TerminalNotStarted(AppError):
    code = "terminal_not_started"
    text = "The shell could not be started."
    hint = "Make sure that the machine has a shell, and room for another process."
    status = 500


class TooManyReaders(AppError):
    code = "too_many_clients"
    text = "Too many pages look at this terminal."
    hint = "Close some of them."
    status = 429
