"""What is refused about tasks."""

from __future__ import annotations

from mesh.lib.errors import AppError


class UnknownTask(AppError):
    code = "unknown_task"
    text = "There is no such task."
    hint = "It is forgotten 15 minutes after its end; list the tasks that there are."
    status = 404


class NotRunning(AppError):
    code = "not_running"
    text = "The task is over."
    hint = "Nothing is to be done."


class StillRunning(AppError):
    code = "still_running"
    text = "The task runs."
    hint = "Kill it first."


class TooManyTasks(AppError):
    code = "too_many_tasks"
    text = "Too many tasks run at once."
    hint = "Kill one of them, or wait for its end."
    status = 429


class CantStart(AppError):
    code = "cant_start"
    text = "The program could not be started."
    hint = "Make sure that it is installed on that machine and on the PATH."
    status = 500
