"""There is always a good token, and nothing short of invalid_grant gives it up."""

import asyncio
import contextlib
import json
import os
import stat
import subprocess
import sys
import threading
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from links.daemon import tokens
from links.daemon.errors import NoToken, PairAgain
from links.daemon.oauth import Tokens
from links.daemon.tokens import (
    RenewalFailed,
    TokenFile,
    TokenKeeper,
    TokenStore,
    list_servers,
    parse,
)
from mesh.lib.backoff import Backoff
from tests.links.daemon import scripted
from tests.links.daemon.scripted import ScriptedServer, refusal
from tests.waiting import PATIENCE, auntil

NOON = 1_000_000.0
HELD = Tokens(access="access-0", refresh="refresh-0", renew_at=NOON + 80, expires_at=NOON + 100)


class Clock:
    now = NOON

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def server():
    with ScriptedServer() as server:
        yield server


@pytest.fixture
def store(tmp_path, server):
    store = TokenStore(tmp_path, server.url)
    store.write(HELD)
    return store


@pytest.fixture
def keeper(store, clock):
    return TokenKeeper(store, now=clock)


# The store


def test_what_is_written_is_read_by_its_owner_only(store):
    assert store.read() == HELD
    assert stat.S_IMODE(store.path.stat().st_mode) == 0o600
    assert stat.S_IMODE(store.path.parent.stat().st_mode) == 0o700
    assert [path.suffix for path in store.path.parent.iterdir()] == [".json"]


def test_nothing_kept_is_nothing(tmp_path):
    assert TokenStore(tmp_path, "https://mesh.example").read() is None


def test_each_server_has_a_file_of_its_own(tmp_path):
    servers = ["https://mesh.example", "http://mesh.example", "https://mesh.example:8443"]
    servers += ["https://mesh.example/a", "https://mesh.example/../../etc", "https://[::1]"]

    paths = {TokenStore(tmp_path, server).path for server in servers}

    assert len(paths) == len(servers)
    assert {path.parent for path in paths} == {tmp_path / "link" / "tokens"}


def test_a_file_of_another_server_gives_no_token_away(tmp_path, store):
    other = TokenStore(tmp_path, "https://thief.example")
    store.path.rename(other.path)

    assert other.read() is None


def test_a_crash_while_writing_leaves_the_old_tokens(store, monkeypatch):
    def cut(*_):
        raise OSError("power")

    monkeypatch.setattr(os, "fsync", cut)
    with pytest.raises(OSError, match="power"):
        store.write(replace(HELD, access="new"))

    assert store.read() == HELD


def test_a_file_that_can_not_be_read_is_no_reason_to_pair_again(store, keeper):
    store.path.unlink()
    store.path.mkdir()

    with pytest.raises(RenewalFailed, match="can't be read"):
        store.read()


def test_which_servers_the_machine_is_paired_with(store, tmp_path):
    TokenStore(tmp_path, "https://mesh.example").write(HELD)
    (store.path.parent / "junk.json").write_text("{")
    (store.path.parent / "copy.json").write_text(store.path.read_text())

    assert sorted(list_servers(tmp_path)) == sorted([store.server, "https://mesh.example"])


@given(st.text() | st.binary().map(lambda b: b.decode("latin-1")))
def test_no_text_breaks_the_reader(text):
    parse(text, "https://mesh.example")


@given(
    st.dictionaries(
        st.sampled_from(["server", "access", "refresh", "renew_at", "expires_at"]),
        st.sampled_from(["s", "", 1, 1.5, None, True, [], {}]),
    )
)
def test_a_file_is_taken_whole_or_not_at_all(value):
    got = parse(json.dumps(value), "s")

    if got is not None:
        assert isinstance(got.access, str)
        assert isinstance(got.refresh, str)
        assert got.renew_at + got.expires_at >= 0


# The keeper


async def test_a_fresh_token_is_given_without_asking(keeper, server):
    assert await keeper.token() == "access-0"
    assert server.asked == []


async def test_an_old_one_is_renewed_and_stored_first(keeper, server, clock, store):
    server.script = [scripted.tokens("1")]
    clock.now = NOON + 81

    assert await keeper.token() == "access-1"
    assert store.read().refresh == "refresh-1"
    assert server.asked == [
        (
            "/identity/o/api/token",
            {
                "client_id": "mesh-link",
                "grant_type": "refresh_token",
                "refresh_token": "refresh-0",
            },
        )
    ]


async def test_one_that_was_refused_is_renewed_at_once(keeper, server):
    server.script = [scripted.tokens("1")]
    keeper.mark_refused("access-0")

    assert await keeper.token() == "access-1"
    assert await keeper.token() == "access-1"
    assert len(server.asked) == 1


OUTAGES = [(401, b""), (403, b"no"), (500, b""), (503, b""), (502, b"<html>"), (404, b"")]
OUTAGES += [refusal("invalid_client"), (401, {"error": "invalid_grant"})]


@pytest.mark.parametrize("answer", OUTAGES, ids=lambda a: f"{a[0]} {a[1]}")
async def test_half_an_hour_of_refusals_gives_nothing_up(keeper, server, clock, store, answer):
    server.script = [answer]
    clock.now = NOON + 90
    assert await keeper.token() == "access-0"  # good for ten seconds more
    for minute in range(30):
        clock.now = NOON + 100 + 60 * minute
        with pytest.raises(RenewalFailed):
            await keeper.token()

    assert store.read() == HELD
    server.script = [scripted.tokens("1")]
    assert await keeper.token() == "access-1"


async def test_a_refused_token_is_not_given_again_while_the_server_is_away(keeper, server):
    server.script = [(503, b"")]
    keeper.mark_refused("access-0")

    with pytest.raises(RenewalFailed):
        await keeper.token()


async def test_only_invalid_grant_means_pair_again(keeper, server, clock, store, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["manage.py"])
    server.script = [refusal("invalid_grant")]
    clock.now = NOON + 81

    with pytest.raises(PairAgain) as ended:
        await keeper.token()

    assert ended.value.hint.endswith(f"manage.py deco_link {server.url}")
    assert ended.value.exit_code == 3
    assert store.read() is None
    with pytest.raises(PairAgain):
        await keeper.token()


async def test_two_that_renew_at_once_ask_once(store, server, clock):
    server.script = [scripted.tokens("1"), scripted.tokens("2")]
    clock.now = NOON + 81

    got = await asyncio.gather(*(TokenKeeper(store, now=clock).token() for _ in range(5)))

    assert got == ["access-1"] * 5
    assert len(server.asked) == 1


@pytest.mark.programs
def test_two_processes_that_renew_at_once_ask_once(tmp_path, store, server):
    server.script = [scripted.tokens("1"), scripted.tokens("2")]
    code = (
        "import asyncio, sys; from pathlib import Path;"
        "from links.daemon.tokens import TokenKeeper, TokenStore;"
        "print(asyncio.run(TokenKeeper(TokenStore(Path(sys.argv[1]), sys.argv[2])).token()))"
    )
    argv = [sys.executable, "-c", code, str(tmp_path), server.url]

    both = [subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) for _ in range(2)]

    assert [one.communicate(timeout=PATIENCE)[0] for one in both] == ["access-1\n"] * 2
    assert len(server.asked) == 1


async def test_a_lock_that_is_held_too_long_is_not_waited_for(keeper, store, monkeypatch):
    monkeypatch.setattr(tokens, "LOCK_WITHIN", 0.0)
    keeper.mark_refused("access-0")

    with store.locked(), pytest.raises(RenewalFailed, match="hangs"):
        await keeper.token()


async def test_an_answer_is_stored_though_nobody_waits_for_it_any_more(
    keeper, server, store, clock
):
    asked, go = threading.Event(), threading.Event()

    def slow():
        asked.set()
        go.wait(PATIENCE)
        return scripted.tokens("1")

    server.script = [slow]
    clock.now = NOON + 81
    waiting = asyncio.create_task(keeper.token())
    await auntil(asked.is_set)
    waiting.cancel()
    go.set()

    await auntil(lambda: store.read().access == "access-1")


async def test_a_full_disk_does_not_keep_a_token_back(keeper, server, store, clock, monkeypatch):
    def full(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(store, "write", full)
    server.script = [scripted.tokens("1")]
    clock.now = NOON + 81

    assert await keeper.token() == "access-1"
    assert store.read() == HELD  # which the server takes until its successor is used


@contextlib.asynccontextmanager
async def kept_fresh(keeper):
    task = asyncio.create_task(keeper.keep_fresh())
    yield task
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


@pytest.fixture
def quick(monkeypatch):
    monkeypatch.setattr(tokens, "MAX_SLEEP", 0.01)
    monkeypatch.setattr(tokens, "Backoff", lambda **_: Backoff(first=0.01, ceiling=0.01))


async def test_it_is_renewed_before_anyone_needs_it(keeper, server, store, clock, quick):
    server.script = [(503, b""), (401, b""), scripted.tokens("1", life=10_000)]
    async with kept_fresh(keeper):
        clock.now = NOON + 81

        await auntil(lambda: store.read().access == "access-1")

    assert len(server.asked) == 3


async def test_a_machine_that_is_signed_out_renews_no_more(keeper, server, clock, quick):
    server.script = [refusal("invalid_grant")]
    clock.now = NOON + 81

    await asyncio.wait_for(keeper.keep_fresh(), 60)

    assert len(server.asked) == 1


# A token file


async def test_a_token_file_is_read_each_time(tmp_path):
    file = TokenFile(tmp_path / "token")
    with pytest.raises(NoToken, match="can't be read"):
        await file.token()
    (tmp_path / "token").write_text(" a\n")
    assert await file.token() == "a"
    (tmp_path / "token").write_text("\n")
    with pytest.raises(NoToken, match="is empty"):
        await file.token()


async def test_a_token_file_renews_nothing(tmp_path):
    file = TokenFile(tmp_path / "token")
    file.mark_refused("a")

    assert file.renews is False
    await file.keep_fresh()
