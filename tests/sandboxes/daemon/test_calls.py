"""Calls with an id: each is carried out at most once, and what is not known is said."""

from __future__ import annotations

import asyncio
import sqlite3

import pytest

from mesh.lib.errors import AppError
from sandboxes.daemon import calls as module
from sandboxes.daemon.calls import CallNotKept, Calls, DifferentCall, LostCall, UnknownCall
from tests.waiting import auntil

ASKED = {"route": "write", "path": "a", "content": "x"}


@pytest.fixture
def make(tmp_path):
    """Return ``make(boot_id)``: the calls as a process of the sandbox sees them."""
    made = []

    def start(boot_id="first"):
        made.append(Calls(tmp_path, boot_id))
        return made[-1]

    yield start
    for each in made:
        each.close()


@pytest.fixture
def calls(make):
    return make()


class Work:
    """Counts how often it is done; ``end`` lets it end."""

    def __init__(self, reply=None, error=None):
        self.times, self.reply, self.error = 0, reply or {"ok": True}, error
        self.end = asyncio.Event()
        self.end.set()

    async def __call__(self):
        self.times += 1
        await self.end.wait()
        if self.error is not None:
            raise self.error
        return self.reply


async def test_a_repeated_call_gets_the_first_reply(calls):
    work = Work({"n": 1})
    first = await calls.once("a", ASKED, work)
    again = await calls.once("a", ASKED, Work({"n": 2}))

    assert (first.reply, again.reply, work.times) == ({"n": 1}, {"n": 1}, 1)


async def test_two_at_once_are_one(calls):
    work = Work()
    work.end.clear()
    both = [asyncio.create_task(calls.once("a", ASKED, work)) for _ in range(2)]
    await auntil(lambda: work.times == 1)
    assert (await calls.find("a")).reply is None
    work.end.set()

    assert [call.reply for call in await asyncio.gather(*both)] == [{"ok": True}] * 2
    assert work.times == 1


async def test_a_caller_that_goes_away_stops_nothing(calls):
    work = Work()
    work.end.clear()
    caller = asyncio.create_task(calls.once("a", ASKED, work))
    await auntil(lambda: work.times == 1)
    caller.cancel()
    await asyncio.gather(caller, return_exceptions=True)
    work.end.set()

    assert (await calls.once("a", ASKED, work)).reply == {"ok": True}
    assert work.times == 1


async def test_another_process_knows_the_reply(make):
    await make("first").once("a", ASKED, Work({"n": 1}))
    later = make("second")

    assert (await later.once("a", ASKED, Work())).reply == {"n": 1}
    assert (await later.find("a")).boot_id == "first"


async def test_a_call_that_a_process_did_not_end_is_lost(make):
    work = Work()
    work.end.clear()
    caller = asyncio.create_task(make("killed").once("a", ASKED, work))
    await auntil(lambda: work.times == 1)
    later, second = make("second"), Work()
    with pytest.raises(LostCall):
        await later.once("a", ASKED, second)
    with pytest.raises(LostCall):
        await later.find("a")
    caller.cancel()

    assert second.times == 0


async def test_what_broke_is_lost_and_what_was_refused_may_be_made_again(calls):
    for error, after in ((OSError("x"), LostCall), (AppError("no"), UnknownCall)):
        with pytest.raises(type(error)):
            await calls.once(str(after), ASKED, Work(error=error))
        with pytest.raises(after):
            await calls.find(str(after))


async def test_an_id_is_of_one_call(calls):
    await calls.once("a", ASKED, Work())
    with pytest.raises(DifferentCall):
        await calls.once("a", ASKED | {"content": "y"}, Work())


async def test_a_call_that_never_came_is_unknown(calls):
    with pytest.raises(UnknownCall):
        await calls.find("a")


async def test_what_the_disk_does_not_take_is_not_done(calls, monkeypatch):
    def full(*_):
        raise sqlite3.OperationalError("database or disk is full")

    work = Work()
    monkeypatch.setattr(Calls, "_write", full)
    with pytest.raises(CallNotKept):
        await calls.once("a", ASKED, work)

    assert work.times == 0


async def test_old_ones_are_forgotten(make, monkeypatch):
    await make().once("a", ASKED, Work())
    monkeypatch.setattr(module, "KEPT_FOR", -1)
    later = make()
    await later.once("b", ASKED, Work())
    with pytest.raises(UnknownCall):
        await later.find("a")


# Over the socket


async def bash(sandbox, command, call_id, **fields):
    body = {"command": command, "background": True, "callId": call_id, **fields}
    return await sandbox.post("/bash", body)


async def ended(sandbox, call_id):
    found = {}

    async def has_ended():
        found.update((await sandbox.get(f"/calls/{call_id}")).json())
        return found["status"] != "running"

    await auntil(has_ended)
    return found


async def test_a_command_runs_once(sandbox):
    command = "echo x >> once; until [ -e go ]; do sleep 0.05; done; cat once"
    first = await bash(sandbox, command, "c1")
    again = await bash(sandbox, command, "c1")
    (sandbox.root / "repo/go").touch()
    found = await ended(sandbox, "c1")

    assert first.json() == again.json() == {
        "taskId": found["taskId"], "status": "running", "callId": "c1"
    }  # fmt: skip
    assert (found["status"], found["stdout"], found["exitCode"]) == ("exited", "x\n", 0)


async def test_a_change_of_a_file_is_made_once(sandbox):
    await sandbox.post("/write", {"path": "a.txt", "content": "one two"})
    change = {"path": "a.txt", "old_string": "one", "new_string": "one one", "callId": "e1"}
    first, again = [await sandbox.post("/edit", change) for _ in range(2)]

    assert (first.status_code, first.json()) == (200, again.json())
    assert (sandbox.root / "repo/a.txt").read_text() == "one one two"
    assert (await sandbox.get("/calls/e1")).json()["reply"] == first.json()


async def test_after_a_restart_a_command_is_lost_and_not_run_again(make_sandbox):
    sandbox = make_sandbox()
    await bash(sandbox, "echo x >> once; sleep 600", "c1")
    await auntil(lambda: (sandbox.root / "repo/once").exists())
    sandbox.kill()
    sandbox.start()
    again = await bash(sandbox, "echo x >> once; sleep 600", "c1")
    asked = await sandbox.get("/calls/c1")

    for reply in (again, asked):
        assert (reply.status_code, reply.json()["error"]["code"]) == (409, "lost_call")
    assert (sandbox.root / "repo/once").read_text() == "x\n"


@pytest.mark.parametrize(
    "fields",
    [
        pytest.param({"call_id": "../x"}, id="no id"),
        pytest.param({"call_id": "c", "background": False}, id="waited for"),
    ],
)
async def test_it_is_refused(sandbox, fields):
    reply = await bash(sandbox, "true", **fields)

    assert (reply.status_code, reply.json()["error"]["code"]) == (400, "bad_input")


async def test_it_was_never_asked(sandbox):
    reply = await sandbox.get("/calls/never")

    assert (reply.status_code, reply.json()["error"]["code"]) == (404, "unknown_call")
