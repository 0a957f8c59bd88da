"""Terminals over the real socket of a real sandbox, with real shells."""

from __future__ import annotations

import asyncio
import json
import os
from contextlib import asynccontextmanager, suppress
from uuid import uuid4

import pytest
from websockets.asyncio.client import unix_connect
from websockets.exceptions import ConnectionClosed

from sandboxes.daemon.terminals.terminal import KEPT, WINDOW
from sandboxes.daemon.terminals.terminals import AT_ONCE, shell_of
from sandboxes.providers.signature import handshake
from tests.sandboxes.daemon.sandbox import is_alive
from tests.waiting import PATIENCE, auntil

pytestmark = pytest.mark.programs


class Page:
    """One reader, which draws what it is sent at once, unless it is told not to."""

    def __init__(self, socket, *, draws=True):
        self.socket, self.draws = socket, draws
        self.seen, self.at, self.told = b"", None, []
        self.reading = asyncio.create_task(self.read())

    async def read(self):
        try:
            async for message in self.socket:
                if isinstance(message, str):
                    self.tell(json.loads(message))
                    continue
                assert int.from_bytes(message[:8], "big") == self.at
                self.at += len(message) - 8
                self.seen += message[8:]
                if self.draws:
                    with suppress(ConnectionClosed):  # after the end, what came is still read
                        await self.say(type="ack", at=self.at)
        except ConnectionClosed:
            pass

    def tell(self, said):
        self.told.append(said)
        if said["type"] == "ready":
            self.at = said["at"]
        elif said["type"] == "gap":
            self.at, self.seen = said["to"], b""

    async def say(self, **said):
        await self.socket.send(json.dumps(said))

    async def type(self, text):
        await self.socket.send(text.encode())

    async def shows(self, text):
        await auntil(lambda: text.encode() in self.seen, what=f"{text!r} in {self.seen[-500:]!r}")

    async def hears(self, kind):
        return await auntil(
            lambda: next((one for one in self.told if one["type"] == kind), None),
            what=kind,
        )


@asynccontextmanager
async def looking(sandbox, terminal, *, after=0, draws=True):
    path = f"/_sandbox/terminals/{terminal}/socket?after={after}"
    async with unix_connect(
        sandbox.facts["socket"],
        uri=f"ws://sandbox{path}",
        additional_headers=[handshake(path, handle=sandbox.handle)],
        compression=None,
        open_timeout=PATIENCE,
        ping_interval=None,
    ) as socket:
        page = Page(socket, draws=draws)
        yield page
        page.reading.cancel()


async def open_one(sandbox, **fields):
    body = {"id": str(uuid4()), **fields}
    reply = await sandbox.post("/terminals", body)
    assert reply.status_code == 200, reply.text
    return body["id"]


@pytest.fixture
async def terminal(sandbox):
    name = await open_one(sandbox)
    yield name
    await sandbox.client.delete(f"/terminals/{name}?force=1")


async def entry(sandbox, terminal):
    listed = (await sandbox.get("/terminals")).json()["terminals"]
    return next(one for one in listed if one["id"] == terminal)


async def test_a_shell_in_the_working_folder(sandbox, terminal):
    async with looking(sandbox, terminal) as page:
        await page.type('echo "in:$(pwd -P):$TERM"\n')
        await page.shows(f"in:{(sandbox.root / 'repo').resolve()}:xterm-256color\r\n")


async def test_its_environment_has_no_secret_of_ours(make_sandbox):
    env = {"MESH_SECRET_KEY": "a-secret-of-ours", "ANTHROPIC_API_KEY": "a-key-of-an-agent"}
    sandbox = make_sandbox(env=env)
    async with looking(sandbox, await open_one(sandbox)) as page:
        await page.type("env; echo do''ne\n")
        await page.shows("done\r\n")
    assert b"a-secret-of-ours" not in page.seen
    assert b"a-key-of-an-agent" not in page.seen


async def test_output_is_taken_up_where_a_page_left(sandbox, terminal):
    async with looking(sandbox, terminal) as first:
        await first.type("echo o''ne\n")
        await first.shows("one\r\n")
    async with looking(sandbox, terminal, after=first.at) as second:
        await second.type("echo t''wo\n")
        await second.shows("two\r\n")
        assert b"one" not in second.seen
        whole = first.seen + second.seen
    async with looking(sandbox, terminal) as third:
        await auntil(lambda: third.seen.startswith(whole))


async def test_a_cursor_of_another_terminal_starts_anew(sandbox, terminal):
    async with looking(sandbox, terminal, after=10**15) as page:
        await page.type("echo o''ne\n")
        await page.shows("one\r\n")


async def test_what_was_dropped_is_said(sandbox, terminal):
    async with looking(sandbox, terminal) as first:
        await first.type("echo rea''dy\n")
        await first.shows("ready\r\n")
    async with looking(sandbox, terminal, after=first.at) as writer:
        await writer.type(f"head -c {2 * KEPT} /dev/zero | tr '\\0' x; echo do''ne\n")
        await writer.shows("done\r\n")
    async with looking(sandbox, terminal, after=first.at) as second:
        gap = await second.hears("gap")
        assert (gap["from"], gap["to"] > first.at) == (first.at, True)
        await second.shows("done\r\n")


async def test_a_page_that_draws_nothing_is_sent_no_more_than_a_window(sandbox, terminal):
    async with looking(sandbox, terminal, draws=False) as page:
        await page.type("yes\n")
        await auntil(lambda: len(page.seen) >= WINDOW)
        held = (await entry(sandbox, terminal))["job"]
        assert held == "yes"
        assert len(page.seen) < WINDOW + 256 * 1024


async def test_ctrl_c_ends_yes(sandbox, terminal):
    async with looking(sandbox, terminal) as page:
        await page.type("yes\n")
        await page.shows("y\r\ny\r\ny\r\n")
        await page.type("\x03")
        await page.type("echo sto''pped\n")
        await page.shows("stopped\r\n")


async def test_ctrl_c_passes_what_nobody_reads(sandbox, terminal):
    async with looking(sandbox, terminal) as page:
        await page.type("sleep 1000\n")
        await auntil(lambda: job_is(sandbox, terminal, "sleep"))
        for _ in range(8):
            await page.type("x" * 100_000)
        await page.type("\x03")
        await auntil(lambda: job_is(sandbox, terminal, ""))


async def job_is(sandbox, terminal, name):
    return (await entry(sandbox, terminal))["job"] == name


async def test_two_pages_see_the_same(sandbox, terminal):
    async with looking(sandbox, terminal) as one, looking(sandbox, terminal) as other:
        await one.type("echo he''llo\n")
        await one.shows("hello\r\n")
        await other.shows("hello\r\n")


async def test_its_size_follows_the_page(sandbox, terminal):
    async with looking(sandbox, terminal) as page:
        await page.say(type="size", rows=33, columns=101)
        await page.type("stty size\n")
        await page.shows("33 101\r\n")


async def test_an_exit_is_told_with_its_code(sandbox):
    terminal = await open_one(sandbox)
    async with looking(sandbox, terminal) as page:
        await page.type("exit 7\n")
        end = await page.hears("end")
    assert (end["exitCode"], end["isClosed"]) == (7, False)
    assert (await entry(sandbox, terminal))["exitCode"] == 7
    async with looking(sandbox, terminal) as late:
        await late.hears("end")
        assert b"exit 7" in late.seen


async def test_closing_asks_while_a_program_runs(sandbox):
    terminal = await open_one(sandbox)
    async with looking(sandbox, terminal) as page:
        await page.type("sleep 1000\n")
        await auntil(lambda: job_is(sandbox, terminal, "sleep"))
        refused = await sandbox.client.delete(f"/terminals/{terminal}")
        assert (refused.status_code, refused.json()["error"]["code"]) == (409, "job_running")
        assert (await entry(sandbox, terminal))["endedAt"] is None

        assert (await sandbox.client.delete(f"/terminals/{terminal}?force=1")).status_code == 200
        assert (await page.hears("end"))["isClosed"]


@pytest.mark.parametrize("how", ["{} &", "(setsid {} &)", "nohup {} >/dev/null 2>&1 &"])
async def test_all_that_was_started_in_it_ends_with_it(sandbox, tmp_path, how):
    terminal = await open_one(sandbox)
    script = tmp_path / "job"
    script.write_text(f"#!/bin/sh\necho $$ > {tmp_path}/pid\nexec sleep 1000\n")
    script.chmod(0o755)
    async with looking(sandbox, terminal) as page:
        await page.type(how.format(script) + "\n")
        pid = await auntil(lambda: pid_in(tmp_path / "pid"))
        await sandbox.client.delete(f"/terminals/{terminal}?force=1")
        await auntil(lambda: not is_alive(pid))


def pid_in(file):
    text = file.read_text().strip() if file.exists() else ""
    return int(text) if text else None


async def test_all_end_with_the_sandbox(make_sandbox, tmp_path):
    sandbox = make_sandbox()
    async with looking(sandbox, await open_one(sandbox)) as page:
        await page.type(f"sleep 1000 & echo $! $$ > {tmp_path}/pids\n")
        pids = await auntil(
            lambda: (tmp_path / "pids").exists() and (tmp_path / "pids").read_text().split()
        )
        await asyncio.to_thread(sandbox.stop)
    assert not [pid for pid in pids if is_alive(int(pid))]


async def test_a_sandbox_with_a_program_in_a_terminal_is_not_idle(make_sandbox):
    sandbox = make_sandbox()
    terminal = await open_one(sandbox)
    async with looking(sandbox, terminal) as page:
        await page.type("sleep 1000\n")
        await auntil(lambda: job_is(sandbox, terminal, "sleep"))
    assert (await sandbox.get("/idle")).json()["idle"] is False
    await sandbox.client.delete(f"/terminals/{terminal}?force=1")
    await auntil(lambda: is_idle(sandbox))


async def is_idle(sandbox):
    return (await sandbox.get("/idle")).json()["idle"]


async def test_opening_twice_with_one_id_opens_one(sandbox):
    terminal = str(uuid4())
    first, second = await asyncio.gather(*[open_one(sandbox, id=terminal) for _ in range(2)])
    listed = (await sandbox.get("/terminals")).json()["terminals"]
    assert first == second
    assert [one["id"] for one in listed].count(terminal) == 1
    await sandbox.client.delete(f"/terminals/{terminal}?force=1")


async def test_there_may_be_only_so_many(make_sandbox):
    sandbox = make_sandbox()
    for _ in range(AT_ONCE):
        await open_one(sandbox)
    refused = await sandbox.post("/terminals", {"id": str(uuid4())})
    assert (refused.status_code, refused.json()["error"]["code"]) == (429, "too_many_terminals")


@pytest.mark.parametrize(
    "body",
    [{}, {"id": "../x"}, {"id": 7}, {"id": "0" * 36, "rows": 0}, {"id": "0" * 36, "columns": "80"}],
)
async def test_what_can_not_be_opened(sandbox, body):
    assert (await sandbox.post("/terminals", body)).status_code == 400


async def test_an_unknown_terminal(sandbox):
    assert (await sandbox.client.delete("/terminals/unknown")).status_code == 404
    async with looking(sandbox, "unknown") as page:
        refused = await page.hears("refused")
    assert refused["error"]["code"] == "unknown_terminal"


async def test_a_message_that_nobody_knows_ends_the_connection_only(sandbox, terminal):
    async with looking(sandbox, terminal) as page:
        await page.say(type="clipboard")
        assert (await page.hears("refused"))["error"]["code"] == "bad_frame"
    assert (await entry(sandbox, terminal))["endedAt"] is None


def test_the_persons_own_shell_is_used_if_it_can_be(tmp_path):
    own = tmp_path / "fish"
    own.write_text("#!/bin/sh\n")
    assert shell_of({"SHELL": str(own), "PATH": os.environ["PATH"]}) != str(own)
    own.chmod(0o755)
    assert shell_of({"SHELL": str(own)}) == str(own)
    assert shell_of({"SHELL": "fish"}) != "fish"
    assert shell_of({"SHELL": "/usr/sbin/nologin", "PATH": ""}) == "/bin/sh"
