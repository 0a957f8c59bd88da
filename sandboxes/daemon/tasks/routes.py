"""The routes of tasks and of the shell tool."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from agents.harness.base import BadInput
from sandboxes.daemon.calls import Call, Calls, LostCall, call_id_of
from sandboxes.daemon.feeds import Feed, FeedResponse, unless_disconnected
from sandboxes.daemon.fields import fields_of
from sandboxes.daemon.tasks import shell
from sandboxes.daemon.tasks.errors import UnknownTask
from sandboxes.daemon.tasks.task import Task, TaskSpec
from sandboxes.daemon.tasks.tasks import Tasks


def routes(prefix: str, tasks: Tasks, calls: Calls) -> list[Route]:
    """Return the routes over ``tasks``, and the one that tells of a call."""
    edge = TaskRoutes(tasks, calls)
    one = f"{prefix}/tasks/{{task_id}}"
    return [
        Route(f"{prefix}/bash", edge.bash, methods=["POST"]),
        Route(f"{prefix}/calls/{{call_id}}", edge.show_call, methods=["GET"]),
        Route(f"{prefix}/tasks", edge.list, methods=["GET"]),
        Route(f"{prefix}/tasks/kill-all", edge.kill_all, methods=["POST"]),
        Route(one, edge.show, methods=["GET"]),
        Route(one, edge.delete, methods=["DELETE"]),
        Route(f"{one}/stream", edge.stream, methods=["GET"]),
        Route(f"{one}/kill", edge.kill, methods=["POST"]),
    ]


class TaskRoutes:
    """Each handler parses its request, calls ``Tasks`` once, and responds."""

    def __init__(self, tasks: Tasks, calls: Calls) -> None:
        self._tasks, self._calls = tasks, calls

    async def bash(self, request: Request) -> Response:
        body = await fields_of(request)
        background, call_id = body.flag("background"), call_id_of(body)
        if call_id and not background:
            raise BadInput("callId needs background.", detail="callId")
        most = shell.BACKGROUND_MS if background else shell.MOST_MS
        default = shell.BACKGROUND_MS if background else shell.DEFAULT_MS
        spec = shell.shell_task(
            body.path("command"),
            cwd=body.text("cwd", ""),
            env=body.texts("env"),
            milliseconds=body.number("timeout", default, least=1, most=most),
            background=background,
        )
        if call_id:
            asked = {"route": "bash", **body.values}
            call = await self._calls.once(call_id, asked, lambda: self._start(spec, call_id))
            self._task_of(call)
            return JSONResponse(call.reply)
        if background:
            return JSONResponse(await self._start(spec))
        # If the client disconnects, such as a stopped agent, the command ends too.
        work = shell.run_to_its_end(self._tasks, spec)
        return JSONResponse(await unless_disconnected(request.receive, work))

    async def _start(self, spec: TaskSpec, call_id: str = "") -> dict[str, Any]:
        task = await self._tasks.start(spec)
        reply = {"taskId": task.id, "status": task.status}
        return reply | {"callId": call_id} if call_id else reply

    async def show_call(self, request: Request) -> Response:
        call_id = request.path_params["call_id"]
        call = await self._calls.find(call_id)
        found = {"callId": call_id, "status": "done"}
        if call.reply is None:
            return JSONResponse(found | {"status": "running"})
        if "taskId" not in call.reply:
            return JSONResponse(found | {"reply": call.reply})
        task = self._task_of(call)
        return JSONResponse(found | {"taskId": task.id} | _whole(task))

    def _task_of(self, call: Call) -> Task:
        """Return the task that a call started.

        Raises:
            LostCall: it was a task of an earlier process, or it ended long ago.
        """
        if call.boot_id != self._calls.boot_id:  # ids of tasks begin anew with each process
            raise LostCall
        try:
            return self._tasks.get((call.reply or {})["taskId"])
        except UnknownTask as exc:
            raise LostCall from exc

    async def list(self, request: Request) -> Response:
        return JSONResponse({"tasks": [task.summary() for task in self._tasks.list()]})

    async def show(self, request: Request) -> Response:
        return JSONResponse(_whole(self._of(request)))

    async def kill(self, request: Request) -> Response:
        await self._tasks.kill(request.path_params["task_id"])
        return JSONResponse({"ok": True})

    async def kill_all(self, request: Request) -> Response:
        return JSONResponse({"killed": await self._tasks.kill_all()})

    async def delete(self, request: Request) -> Response:
        self._tasks.delete(request.path_params["task_id"])
        return JSONResponse({"ok": True})

    async def stream(self, request: Request) -> Response:
        task = self._of(request)
        follower = _Follower(task)
        if task.status == "running":
            self._tasks.listeners.append(follower)
        else:
            follower.on_task(task)
        return FeedResponse(follower.feed, lambda _: self._left(follower))

    def _left(self, follower: _Follower) -> None:
        if follower in self._tasks.listeners:
            self._tasks.listeners.remove(follower)

    def _of(self, request: Request) -> Task:
        return self._tasks.get(request.path_params["task_id"])


def _whole(task: Task) -> dict[str, Any]:
    """Return a task's entry in lists, with its output."""
    return task.summary() | {name: ring.text for name, ring in task.output.rings.items()}


class _Follower:
    """Puts the kept output of one task, and then its live output, into a feed."""

    def __init__(self, task: Task) -> None:
        self.feed = Feed()
        self._task = task
        for stream, text in task.output.replay():
            self.feed.put("output", {"stream": stream, "data": text})

    def on_task_output(self, task: Task, stream: str, text: str) -> None:
        if task is self._task:
            self.feed.put("output", {"stream": stream, "data": text})

    def on_task(self, task: Task) -> None:
        if task is self._task and task.status != "running":
            self.feed.put("end", {"status": task.status, "exitCode": task.exit_code})
            self.feed.close()
