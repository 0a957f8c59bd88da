"""What the routes of tasks refuse."""

from __future__ import annotations

from mesh.lib.errors import AppError


class UnknownTask(AppError):
    code = "unknown_task"
    text = "There is no such task."
    hint = "Tasks are removed 15 minutes after they end; list the tasks to see which exist."
    status = 404


class NotRunning(AppError):
    code = "not_running"
    text = "The task has ended."
    hint = "Nothing to do."


class StillRunning(AppError):
    code = "still_running"
    text = "The task is still running."
    hint = "Kill it first."


class TooManyTasks(AppError):
    code = "too_many_tasks"
    text = "Too many tasks are running."
    hint = "Kill one of them, or wait until one ends."
    status = 429


class CantStart(AppError):
    code = "cant_start"
    text = "The program could not be started."
    hint = "Make sure that it is installed on that machine and on the PATH."
    status = 500
