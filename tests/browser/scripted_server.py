"""A server that speaks the page's contract from a script: the real templates and scripts,
no database, no agents. Tests say what it knows and when it speaks."""

from __future__ import annotations

import asyncio
import contextlib
import json
import mimetypes
import threading
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import parse_qsl

import uvicorn
from django.conf import settings
from django.template.loader import render_to_string
from playwright.sync_api import expect
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from mesh.middleware import POLICY
from tests.browser import made_up
from tests.waiting import PATIENCE, until
from threads.core.attachments import read_file

STATIC = Path(settings.BASE_DIR) / "mesh/static"


class WithPolicy:
    """Answers carry the product's own policy, or a test would prove nothing about it."""

    def __init__(self, app):
        self.app = app

    async def __call__(self, scope, receive, send):
        async def sent(message):
            if message["type"] == "http.response.start":
                message["headers"].append((b"content-security-policy", POLICY.encode()))
            await send(message)

        await self.app(scope, receive, sent if scope["type"] == "http" else send)


@dataclass
class ScriptedServer:
    """``say`` puts chunks into a thread's journal and down the sockets, as the server would."""

    threads: list[dict[str, Any]] = field(default_factory=list)
    links: list[Any] = field(default_factory=lambda: [made_up.machine()])
    messages: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    journal: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    posts: list[dict[str, Any]] = field(default_factory=list)
    answers: list[dict[str, Any]] = field(default_factory=list)
    cancelled: list[str] = field(default_factory=list)
    takes_pieces: bool = False
    in_pieces: int = 0  # characters of a piece of a message; 0: all are whole
    commands: list[dict[str, str]] = field(default_factory=list)
    asked: list[tuple[str, str, Any]] = field(default_factory=list)  # method, path, body
    rules: list[dict[str, str]] = field(default_factory=list)
    queue: list[dict[str, str]] = field(default_factory=list)
    refusal: tuple[int, dict[str, str]] | None = None
    per_page: int = 1000  # threads of a page of the list,
    turns: int = 1000  # and turns of a page of messages
    whole: str = ""  # output of which the page has the head
    page_refusal: tuple[int, dict[str, str]] | None = None  # of older threads and messages
    version: str = "1"
    is_away: bool = False
    is_silent: bool = False  # takes a socket and says nothing
    chat: Any = None
    level: str = "auto"
    agents: list[Any] = field(default_factory=list)
    agent: Any = field(default_factory=made_up.agent)
    branches: list[str] = field(default_factory=list)
    vm_starts: list[dict[str, Any]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    files: dict[str, tuple[str, bytes]] = field(default_factory=dict)  # id → media type, bytes

    def __post_init__(self):
        self.chat = self.chat or made_up.chat()
        self._follows: dict[WebSocket, tuple[str, int]] = {}
        self._place, self._places = count(1), {}
        self._loop: asyncio.AbstractEventLoop | None = None

    # Scripting, from the test's thread

    def add_thread(self, thread_id=made_up.THREAD, messages=(), **fields):
        summary = made_up.summary(id=thread_id, **fields)
        self.threads.insert(0, summary)
        self.touch(thread_id)
        self.messages[thread_id] = list(messages)
        self.journal.setdefault(thread_id, [])
        return summary

    def touch(self, thread_id):
        """Put a thread at the list's beginning, as everything that happens in it does."""
        self.threads.sort(key=lambda each: each["id"] != thread_id)
        self._places[thread_id] = next(self._place)

    def change(self, thread_id=made_up.THREAD, **fields):
        summary = self._summary(thread_id)
        summary.update(fields)
        self._run(self._send_all({"type": "thread", "thread": summary}))

    def change_link(self, **fields):
        vars(self.links[0]).update(fields)
        self._run(self._send_all({"type": "links", "links": [made_up.as_json(self.links[0])]}))

    def say(self, *chunks, thread=made_up.THREAD, run=made_up.RUN):
        log = self.journal[thread]
        for chunk in chunks:
            log.append({"seq": len(log) + 1, "runId": run, "chunk": chunk})
        self._run(self._push(thread))

    def tell(self, message):
        """Send any message to every page."""
        self._run(self._send_all(message))

    def wait_until_followed(self, thread=made_up.THREAD):
        until(lambda: any(followed == thread for followed, _ in self._follows.values()))

    def open(self, page, path="/home/"):
        """Show a page, and wait until its scripts react to everything."""
        page.goto(self.url + path)
        expect(page.locator("body")).to_have_attribute("data-ready", "")

    def cut(self, *, away=False):
        """Drop every socket; with ``away`` refuse new ones until ``come_back``."""
        self.is_away = away
        self._run(self._close_all())

    def come_back(self):
        self.is_away = False

    # The server

    def start(self):
        config = uvicorn.Config(self._app(), host="127.0.0.1", port=0, log_level="warning")
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, daemon=True)
        self._thread.start()
        until(lambda: self._server.started)
        port = self._server.servers[0].sockets[0].getsockname()[1]
        self.url = f"http://127.0.0.1:{port}"
        return self

    def stop(self):
        self._server.should_exit = True
        self._thread.join(timeout=PATIENCE)

    def _app(self):
        api = "/api/home/decopilot"
        return Starlette(
            middleware=[Middleware(WithPolicy)],
            routes=[
                Route("/home/", self._home),
                Route("/home/threads/{thread}", self._chat),
                Route("/home/live", self._live),
                Route("/home/older", self._older),
                Route("/accounts/machines/", self._machines),
                Route("/accounts/machines/list", self._machine_list),
                Route("/accounts/machines/{link}/{action}", self._put_out, methods=["POST"]),
                Route("/style.{digest}.css", self._style),
                Route("/panel.{digest}.css", self._panel_style),
                Route("/static/{path:path}", self._static),
                Route(f"{api}/threads", self._create, methods=["POST"]),
                Route(f"{api}/threads/{{thread}}/messages", self._messages, methods=["GET"]),
                Route(f"{api}/threads/{{thread}}/messages", self._post, methods=["POST"]),
                Route(f"{api}/threads/{{thread}}/messages/{{message}}/part", self._part),
                Route(
                    f"{api}/threads/{{thread}}/approvals/{{approval}}",
                    self._answer,
                    methods=["POST"],
                ),
                Route(f"{api}/threads/{{thread}}", self._thread, methods=["PATCH", "DELETE"]),
                Route("/api/home/tools/VM_START", self._start_vm, methods=["POST"]),
                Route(f"{api}/threads/{{thread}}/approvals", self._note, methods=["POST"]),
                Route(
                    f"{api}/threads/{{thread}}/{{path:path}}",
                    self._note,
                    methods=["POST", "PUT", "PATCH", "DELETE"],
                ),
                Route(f"{api}/threads/{{thread}}/agent-options", self._options, methods=["GET"]),
                Route(f"{api}/agent-options", self._options, methods=["GET"]),
                Route(f"{api}/files", self._keep_file, methods=["POST"]),
                Route(f"{api}/files/{{file}}", self._file, methods=["GET", "DELETE"]),
                Route(f"{api}/cancel/{{thread}}", self._cancel, methods=["POST"]),
                WebSocketRoute("/ws", self._socket),
            ],
        )

    def _run(self, coroutine):
        until(lambda: self._loop, what="a page connects")
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(timeout=PATIENCE)

    def _summary(self, thread_id):
        return next(thread for thread in self.threads if thread["id"] == thread_id)

    def _context(self, request: Request, thread=None, page=None):
        cookies = request.cookies
        return {
            "request": SimpleNamespace(COOKIES=cookies, scheme="http", get_host=request.url.netloc),
            "csrf_token": "scripted",
            "organization": SimpleNamespace(slug="home", name="Home"),
            "user": SimpleNamespace(
                username="ada", get_full_name="Ada", is_staff=True, is_authenticated=True
            ),
            "messages": self.notes,
            **self._listed(request),
            "thread": thread,
            "links": self.links,
            "offer": made_up.OFFER,
            "agents": self.agents,
            "agent": self.agent,
            "branches": self.branches,
            "suggested": "deco/quiet-otter",
            "chat": self.chat,
            "level": cookies.get("mesh_level", self.level),
            "data": {
                "org": "home",
                "version": self.version,
                "agent": "default",
                "thread": thread,
                **(page or {}),
            },
        }

    def _listed(self, request: Request):
        """A page of the list, as the server cuts it; cursors are the threads' places."""
        given = request.query_params
        search = given.get("search", "").strip()
        words = search.lower().split()
        found = [t for t in self.threads if all(word in t["title"].lower() for word in words)]
        behind, upto, place = given.get("chats"), given.get("upto"), self._places
        if behind:
            found = [t for t in found if place[t["id"]] < int(behind)]
        if upto:
            shown = [t for t in found if place[t["id"]] >= int(upto)]
            older = upto
        else:
            shown = found[: self.per_page]
            older = str(place[shown[-1]["id"]]) if len(found) > len(shown) else None
        needs = [t for t in self.threads if t["status"] == "requires_action"]
        return {
            "threads": shown,
            "older": older,
            "search": search,
            "is_later": bool(behind),
            "needs": len(needs),
        }

    async def _part(self, request):
        if self.page_refusal:
            status, error = self.page_refusal
            return JSONResponse({"error": error}, status_code=status)
        return JSONResponse({"part": {"output": self.whole}})

    def _page(self, thread_id, *, page="", at="", short=""):
        """A page of messages: each question with its answer is a turn; cursors are indexes."""
        turns = []
        for message in self.messages[thread_id]:
            if message["role"] == "user" or not turns:
                turns.append([])
            turns[-1].append(message)
        first, last = max(0, len(turns) - self.turns), len(turns)
        if at:
            held = [n for n, turn in enumerate(turns) if any(m["id"] == at for m in turn)]
            if not held:
                return None
            first, last = held[0], min(held[0] + self.turns, len(turns))
        elif page.startswith("older-"):
            last = int(page.removeprefix("older-"))
            first = max(0, last - self.turns)
        elif page.startswith("newer-"):
            first = int(page.removeprefix("newer-"))
            last = min(first + self.turns, len(turns))
        return {
            "messages": [message for turn in turns[first:last] for message in turn],
            "cursor": 0,
            "queue": self.queue,
            "older": f"older-{first}" if first else None,
            "newer": f"newer-{last}" if last < len(turns) else None,
        }

    async def _older(self, request):
        if self.page_refusal:
            return Response(status_code=self.page_refusal[0])
        html = render_to_string("_partials/older_threads.html", self._context(request))
        return HTMLResponse(html)

    async def _messages(self, request):
        self.asked.append(("GET", "messages", dict(request.query_params)))
        if self.page_refusal:
            status, error = self.page_refusal
            return JSONResponse({"error": error}, status_code=status)
        page = self._page(request.path_params["thread"], **request.query_params)
        if page is None:
            error = {"code": "not_found", "message": "The thread has no such message.", "hint": ""}
            return JSONResponse({"error": error}, status_code=404)
        return JSONResponse(page)

    async def _home(self, request):
        return HTMLResponse(render_to_string("threads/home.html", self._context(request)))

    async def _chat(self, request):
        thread_id = request.path_params["thread"]
        page = {**self._page(thread_id), "rules": self.rules}
        context = self._context(request, self._summary(thread_id), page)
        return HTMLResponse(render_to_string("threads/chat.html", context))

    async def _live(self, request):
        found = request.query_params.get("thread")
        thread = self._summary(found) if found else None
        html = render_to_string("_partials/live.html", self._context(request, thread))
        return HTMLResponse(html)

    async def _machines(self, request):
        return HTMLResponse(render_to_string("links/machines.html", self._context(request)))

    async def _machine_list(self, request):
        return HTMLResponse(render_to_string("_partials/machine_list.html", self._context(request)))

    async def _put_out(self, request):
        self.posts.append(
            {**request.path_params, **dict(parse_qsl((await request.body()).decode()))}
        )
        return RedirectResponse("/accounts/machines/", status_code=302)

    async def _style(self, request):
        from mesh.pages import stylesheet

        return self._sheet(stylesheet.current())

    async def _panel_style(self, request):
        from mesh.pages import stylesheet

        return self._sheet(stylesheet.of_panel())

    def _sheet(self, sheet):
        return Response(sheet.packed, media_type="text/css", headers={"Content-Encoding": "gzip"})

    async def _static(self, request):
        path = (STATIC / request.path_params["path"]).resolve()
        if not path.is_file() or STATIC not in path.parents:
            return Response(status_code=404)
        kind = "text/javascript" if path.suffix == ".js" else mimetypes.guess_type(path)[0]
        return FileResponse(path, media_type=kind)

    async def _create(self, request):
        return JSONResponse(self.add_thread(made_up.NEW_THREAD, locked=False), status_code=201)

    async def _options(self, request):
        self.asked.append(("GET", str(request.url).partition("/decopilot")[2], None))
        return JSONResponse({"models": [], "efforts": [], "commands": self.commands})

    async def _post(self, request):
        body = await request.json()
        if self.refusal:
            status, error = self.refusal
            return JSONResponse({"error": error}, status_code=status)
        thread_id = request.path_params["thread"]
        self.posts.append(body)
        said = body["messages"][0]
        log = self.journal[thread_id]
        for chunk in (
            made_up.heard(said["id"], said["parts"]),
            made_up.status("queued", prompt=said["id"]),
        ):
            log.append({"seq": len(log) + 1, "runId": made_up.RUN, "chunk": chunk})
        await self._push(thread_id)
        accepted = {"taskId": thread_id, "runId": made_up.RUN, "messageId": said["id"]}
        return JSONResponse(accepted, status_code=202)

    async def _answer(self, request):
        if self.refusal:
            status, error = self.refusal
            return JSONResponse({"error": error}, status_code=status)
        self.answers.append({**request.path_params, **await request.json()})
        return JSONResponse({"approvalId": request.path_params["approval"]})

    async def _thread(self, request):
        thread_id = request.path_params["thread"]
        if request.method == "DELETE":
            self.threads = [each for each in self.threads if each["id"] != thread_id]
            return Response(status_code=204)
        self._summary(thread_id).update(await request.json())
        return JSONResponse(self._summary(thread_id))

    async def _start_vm(self, request):
        self.vm_starts.append(await request.json())
        error = {"code": "link_offline", "message": "It is away.", "hint": "Wake it up."}
        return JSONResponse({"error": error}, status_code=409)

    async def _note(self, request):
        """Whatever else the page asks for: tests look at it in ``asked``."""
        if self.refusal:
            status, error = self.refusal
            return JSONResponse({"error": error}, status_code=status)
        body = json.loads(await request.body() or b"null")
        path = request.url.path.rpartition(f"/{request.path_params['thread']}/")[2]
        self.asked.append((request.method, path, body))
        if request.method == "DELETE":
            return Response(status_code=204)
        told = {"parts": (body or {}).get("parts"), "applies": "now", "allowed": []}
        return JSONResponse({**told, "taskId": made_up.NEW_THREAD})

    async def _keep_file(self, request):
        data, name = await request.body(), request.query_params["name"]
        if self.refusal:
            status, error = self.refusal
            return JSONResponse({"error": error}, status_code=status)
        file, file_id = read_file(name, data), f"{len(self.files):032x}"
        self.files[file_id] = (file.media_type, file.data)
        url = f"/api/home/decopilot/files/{file_id}"
        part = {"type": "file", "mediaType": file.media_type, "filename": file.name, "url": url}
        if file.note:
            part["providerMetadata"] = {"mesh": {"note": file.note}}
        facts = {"id": file_id, "size": len(file.data), "note": file.note}
        return JSONResponse({**facts, "part": part}, status_code=201)

    async def _file(self, request):
        if request.method == "DELETE":
            self.files.pop(request.path_params["file"], None)
            return Response(status_code=204)
        kind, data = self.files[request.path_params["file"]]
        return Response(data, media_type=kind)

    async def _cancel(self, request):
        self.cancelled.append(request.path_params["thread"])
        return JSONResponse({"cancelled": True, "async": True}, status_code=202)

    async def _socket(self, socket: WebSocket):
        self._loop = asyncio.get_running_loop()
        if self.is_away:
            await socket.close()
            return
        await socket.accept()
        if self.is_silent:
            await socket.receive()
            return
        self._follows[socket] = ("", 0)
        try:
            await socket.send_json({"type": "hello", "version": self.version})
            while True:
                message = await socket.receive_json()
                if message["type"] == "follow":
                    self._follows[socket] = (message["thread"], message["after"])
                    self.takes_pieces = message["pieces"]
                    await self._push(message["thread"])
                elif message["type"] == "ping":
                    await socket.send_json({"type": "pong"})
        except (WebSocketDisconnect, RuntimeError):
            pass
        finally:
            self._follows.pop(socket, None)

    async def _push(self, thread_id):
        for socket, (thread, after) in list(self._follows.items()):
            events = [event for event in self.journal.get(thread, ()) if event["seq"] > after]
            if thread == thread_id and events:
                self._follows[socket] = (thread, events[-1]["seq"])
                text = json.dumps({"type": "events", "thread": thread, "events": events})
                with contextlib.suppress(WebSocketDisconnect):  # its tab was closed just now
                    for part in self._pieces(text) if self.in_pieces else [text]:
                        await socket.send_text(part)

    def _pieces(self, text):
        """Cut a message as the server does a long one, with another message in between."""
        ends = range(0, len(text), self.in_pieces)
        for at in ends:
            piece = {"type": "piece", "of": 7, "last": at == ends[-1]}
            yield json.dumps({**piece, "text": text[at : at + self.in_pieces]})
            yield json.dumps({"type": "pong"})

    async def _send_all(self, message):
        for socket in list(self._follows):
            await socket.send_json(message)

    async def _close_all(self):
        for socket in list(self._follows):
            await socket.close()


if __name__ == "__main__":  # to look at the page by hand
    import django

    django.setup()
    server = ScriptedServer().start()
    server.add_thread(messages=made_up.conversation())
    print(f"{server.url}/home/  {server.url}/home/threads/{made_up.THREAD}", flush=True)
    threading.Event().wait()
