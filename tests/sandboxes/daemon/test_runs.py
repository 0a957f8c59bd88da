"""Runs of a real sandbox with real programs: started once, stopped for good, never silent."""

from __future__ import annotations

import contextlib
import json
import os
import signal

import pytest

from tests.sandboxes.daemon.sandbox import (
    Refused,
    chunks_of,
    is_alive,
    kinds_of,
    numbers_of,
    read_until,
    read_words,
    text_of,
)
from tests.waiting import auntil

pytestmark = pytest.mark.programs


async def test_a_run_is_numbered_from_one_and_ends_with_done(sandbox):  # D-DS1
    events = await sandbox.run("r1", ["say", "hello "], ["say", "you"])

    assert numbers_of(events) == list(range(1, len(events) + 1))
    assert text_of(events) == "hello you"
    assert events[-1][1] == {"type": "done"}
    assert kinds_of(events).count("done") == 1


async def test_the_same_fence_twice_is_one_program(sandbox):
    async with sandbox.dispatch("r1", ["pid"], ["until_told"]) as first:
        pid = [await anext(first) for _ in range(3)]
        async with sandbox.dispatch("r1", ["pid"], ["until_told"]) as second:
            assert [await anext(second) for _ in range(3)] == pid
            await sandbox.cancel("r1")
            assert [e async for e in first] == [e async for e in second]


async def test_a_finished_run_is_replayed_not_repeated(sandbox):
    first = await sandbox.run("r1", ["pid"])

    assert await sandbox.run("r1", ["pid"]) == first


async def test_an_older_fence_is_refused(sandbox):
    await sandbox.run("r1", ["say", "hi"], fence=2)

    with pytest.raises(Refused) as dispatched:
        await sandbox.run("r1", ["say", "hi"], fence=1)
    with pytest.raises(Refused) as attached:
        await sandbox.replay("r1", fence=1)

    assert (dispatched.value.status, dispatched.value.code) == (409, "stale_fence")
    assert attached.value.code == "stale_fence"


async def test_a_newer_fence_ends_the_older_attempt_first(sandbox):
    async with sandbox.dispatch("r1", ["pid"], ["forever"], harness="deaf") as older:
        pid = int(text_of([await anext(older) for _ in range(3)]))
        newer = await sandbox.run("r1", ["say", "second"], fence=2)

        assert not is_alive(pid)
        assert text_of(newer) == "second"
        assert numbers_of(newer)[0] == 1
        assert [body async for _, body in older][-1] == {"type": "done"}


async def test_a_newer_run_of_the_thread_stops_the_older_ones(sandbox):
    """As when the server gave a run up that it could not reach, and its question stays open."""
    async with sandbox.dispatch("r1", ["pid"], ["ask", "q"]) as older:
        pid = int(text_of(await read_words(older, 1)))
        newer = await sandbox.run("r2", ["pid"])
        last = [body async for _, body in older]

    assert last[-1] == {"type": "done"}
    assert "superseded" in [body.get("code") for body in last]
    assert text_of(newer) != f"{pid} "
    assert not is_alive(pid)


async def test_no_run_begins_beside_one_that_still_lives(sandbox):
    """Also if a run between them waited and was stopped."""
    async with sandbox.dispatch("r1", ["pid"], ["forever"], harness="deaf") as first:
        pid = int(text_of(await read_words(first, 1)))
        async with sandbox.dispatch("r2", ["say", "x"], harness="deaf") as second:
            await sandbox.cancel("r2")
            assert [event async for event in second]
        async with sandbox.dispatch("r3", ["say", "third"]) as third:
            begun = await read_until(third, "text-start")
            assert not is_alive(pid)
            begun += [event async for event in third]

    assert text_of(begun) == "third"


async def test_an_older_attempt_that_comes_late_leaves_the_newer_run_alone(sandbox):
    await sandbox.run("r1", ["say", "x"], fence=2)
    await sandbox.cancel("r0")
    async with sandbox.dispatch("r2", ["pid"], ["until_told"]) as newer:
        pid = int(text_of(await read_words(newer, 1)))
        for run_id, fence in (("r1", 1), ("r1", 2), ("r0", 1)):
            with contextlib.suppress(Refused):
                await sandbox.run(run_id, ["say", "late"], fence=fence)
        health = (await sandbox.get("/health")).json()
        await sandbox.cancel("r2")
        rest = kinds_of([event async for event in newer])

    assert health["activeRuns"] == 1
    assert "error" not in rest
    assert is_alive(pid)


async def test_a_run_continues_while_nobody_reads(sandbox):  # D-DS4
    async with sandbox.dispatch("r1", ["slowly", 50]) as events:
        await anext(events)

    rest = await sandbox.replay("r1")

    assert text_of(rest) == "".join(f"{number} " for number in range(1, 51))
    assert "ERROR" not in sandbox.log


async def test_a_reader_that_drops_and_comes_back_has_every_byte_once(sandbox):
    got = []
    async with sandbox.dispatch("r1", ["notes", 20_000]) as events:
        got.append(await anext(events))
    while got[-1][1] != {"type": "done"}:
        async with sandbox.attach("r1", after=got[-1][0]) as events:
            async for event in events:
                got.append(event)
                if event[0] % 997 == 0:
                    break

    assert numbers_of(got) == list(range(1, len(got) + 1))
    assert got == await sandbox.replay("r1")
    assert [c["data"] for c in chunks_of(got) if c["type"] == "data-note"] == list(range(20_000))


async def test_an_unknown_run_can_not_be_read(sandbox):
    with pytest.raises(Refused) as refused:
        await sandbox.replay("never")

    assert (refused.value.status, refused.value.code) == (404, "unknown_run")


async def test_cancelled_then_dispatched_is_gone(sandbox):  # S38, D-DS3
    reply = await sandbox.cancel("r1")

    with pytest.raises(Refused) as refused:
        await sandbox.run("r1", ["say", "hi"])
    assert reply.status_code == 204
    assert (refused.value.status, refused.value.code) == (410, "tombstoned")


async def test_a_tombstone_survives_a_restart(make_sandbox):
    sandbox = make_sandbox()
    await sandbox.cancel("r1")
    sandbox.kill()
    sandbox.start()

    with pytest.raises(Refused) as refused:
        await sandbox.run("r1", ["say", "hi"])
    assert refused.value.code == "tombstoned"


async def test_a_polite_program_is_stopped_and_kept(sandbox):  # S39
    async with sandbox.dispatch("r1", ["pid"], ["until_told"]) as events:
        first = [await anext(events) for _ in range(3)]
        await sandbox.cancel("r1")
        rest = [event async for event in events]

    assert kinds_of(rest)[-3:] == ["abort", "finish", "done"]
    assert "error" not in kinds_of(rest)
    assert is_alive(int(text_of(first)))


async def test_a_deaf_program_goes_with_all_its_children(sandbox):
    async with sandbox.dispatch(
        "r1", ["pid"], ["grandchild"], ["forever"], harness="deaf"
    ) as events:
        pids = [int(word) for word in text_of(await read_words(events, 2)).split()]
        await sandbox.cancel("r1")
        rest = [event async for event in events]

    assert len(pids) == 2
    await auntil(lambda: not any(map(is_alive, pids)))
    assert kinds_of(rest)[-2:] == ["finish", "done"]
    assert "error" not in kinds_of(rest)


async def test_a_run_is_cancelled_before_its_program_starts(sandbox):
    async with sandbox.dispatch("r1", ["forever"], harness="deaf") as first:
        await anext(first)
        async with sandbox.dispatch("r2", ["say", "hi"]) as waiting:  # the same thread
            await sandbox.cancel("r2")
            events = [event async for event in waiting]

    assert kinds_of(events) == ["start", "abort", "finish", "done"]


async def test_a_program_that_dies_is_a_clear_failure(sandbox):
    events = await sandbox.run("r1", ["say", "half"], ["crash", 3, "out of luck"])

    error = next(body for _, body in events if body["type"] == "error")
    assert error["code"] == "harness_crashed"
    assert "out of luck" in error["message"]
    assert text_of(events) == "half"


def failures_of(events):
    return [body["code"] for _, body in events if body["type"] == "error"]


async def test_a_kept_program_that_dies_before_it_says_a_word_is_replaced_once(sandbox, tmp_path):
    first = await sandbox.run("r1", ["pid"], harness="quiet")

    again = ["crash_once", str(tmp_path / "crashed")]
    second = await sandbox.run("r2", again, ["pid"], harness="quiet")
    third = await sandbox.run("r3", ["crash", 1, ""], ["pid"], harness="quiet")

    assert failures_of(second) == []
    assert kinds_of(second).count("start") == kinds_of(second).count("finish") == 1
    assert text_of(second) not in ("", text_of(first))
    assert failures_of(third) == ["harness_crashed"]
    assert kinds_of(third)[-2:] == ["finish", "done"]


async def test_a_program_that_is_killed_right_after_its_answer_does_not_fail_the_next(sandbox):
    for number in range(5):
        events = await sandbox.run(f"r{number}", ["pid"], harness="quiet")
        assert failures_of(events) == []
        os.kill(int(text_of(events)), signal.SIGKILL)


@pytest.mark.parametrize("harness", ["plain", "quiet"])
async def test_one_that_is_killed_as_its_answer_ends_has_answered(sandbox, harness):
    for number in range(5):
        steps = (["say", "all of it"], ["end_and_die"])
        # A program of its own: none may be given the message of the next turn as it dies.
        events = await sandbox.run(f"r{number}", *steps, harness=harness, thread=f"t{number}")

        assert failures_of(events) == []
        assert text_of(events) == "all of it"
        assert "abort" not in kinds_of(events)
        assert kinds_of(events)[-2:] == ["finish", "done"]


@pytest.mark.parametrize(
    "steps",
    [
        pytest.param([["say", "half"]], id="after a word"),
        pytest.param([["call"]], id="after a call"),
    ],
)
async def test_one_that_has_begun_to_answer_is_not_replaced(sandbox, tmp_path, steps):
    await sandbox.run("r1", ["pid"], harness="quiet")

    crash = ["crash_once", str(tmp_path / "crashed")]
    events = await sandbox.run("r2", *steps, crash, ["say", "again"], harness="quiet")

    assert failures_of(events) == ["harness_crashed"]
    assert "again" not in text_of(events)


async def test_a_stop_is_no_reason_for_another_program(sandbox):
    await sandbox.run("r1", ["pid"], harness="quiet")

    async with sandbox.dispatch("r2", ["silence"], harness="quiet") as events:
        await read_until(events, "start")
        await sandbox.cancel("r2")
        rest = [event async for event in events]

    assert failures_of(rest) == []
    assert kinds_of(rest)[-2:] == ["finish", "done"]


@pytest.mark.parametrize(
    ("harness", "steps", "code"),
    [
        pytest.param("crashing", [["say", "x"]], "harness_crashed", id="adapter raises"),
        pytest.param("forgetful", [["crash", 1, ""]], "harness_crashed", id="adapter says nothing"),
        pytest.param("missing", [], "cli_missing", id="program not installed"),
    ],
)
async def test_whatever_fails_the_message_is_whole(sandbox, harness, steps, code):
    events = await sandbox.run("r1", *steps, harness=harness)

    kinds = kinds_of(events)
    error = next(body for _, body in events if body["type"] == "error")
    assert (error["code"], bool(error["message"])) == (code, True)
    assert kinds[-2:] == ["finish", "done"]
    assert kinds.count("start") == kinds.count("finish") == 1
    assert kinds.count("text-start") == kinds.count("text-end")


async def test_no_program_starts_where_it_would_run_what_the_project_brings(make_sandbox):
    sandbox = make_sandbox()
    await sandbox.run("r1", ["say", "x"], harness="tempted")
    (sandbox.root / "repo/plugins").mkdir()
    (sandbox.root / "repo/plugins/own.js").touch()

    events = await sandbox.run("r2", ["say", "x"], harness="tempted", threadId="another")

    error = next(body for _, body in events if body["type"] == "error")
    assert error["code"] == "project_runs_programs"
    assert "plugins/own.js" in error["message"]
    assert text_of(events) == ""


async def test_an_adapter_may_ask_for_another_program(sandbox):
    events = await sandbox.run("r1", ["say", "hi"], harness="again")

    assert text_of(events) == "hi"


async def test_the_next_turn_finds_its_program_warm(sandbox):
    first = await sandbox.run("r1", ["pid"])
    second = await sandbox.run("r2", ["pid"])
    another_thread = await sandbox.run("r3", ["pid"], thread="thread-2")

    assert text_of(first) == text_of(second) != text_of(another_thread)


async def test_a_changed_key_needs_a_new_program(sandbox):
    first = await sandbox.run("r1", ["pid"])
    second = await sandbox.run("r2", ["pid"], model="plain:two")

    assert text_of(first) != text_of(second)
    assert not is_alive(int(text_of(first)))


async def test_two_threads_run_side_by_side(make_sandbox):
    sandbox = make_sandbox()
    async with (
        sandbox.dispatch("r1", ["until_told"], thread="one") as one,
        sandbox.dispatch("r2", ["until_told"], thread="two") as two,
    ):
        await anext(one), await anext(two)
        health = (await sandbox.get("/health")).json()
        await sandbox.cancel("r1")
        await sandbox.cancel("r2")

    assert health["activeRuns"] == 2


@pytest.mark.parametrize("text", ["grüße 🌍", "日本語\u2028und\u2029Zeilen", 'zwei\n\nZeilen\r\n"'])
async def test_text_arrives_as_it_was_written(sandbox, text):
    events = await sandbox.run("r1", ["say", text])

    assert text_of(events) == text


async def test_a_character_in_two_pieces_is_whole_again(sandbox):
    events = await sandbox.run("r1", ["split", "aé🌍"])

    assert text_of(events) == "aé🌍"


async def test_half_a_surrogate_pair_passes(sandbox):
    events = await sandbox.run("r1", ["say", "\ud83c"])

    assert text_of(events) == "\ud83c"


async def test_a_line_of_five_megabytes_passes(sandbox):
    events = await sandbox.run("r1", ["big", 5_000_000])

    assert len(text_of(events)) == 5_000_000


async def test_the_program_sees_no_secret_of_ours(make_sandbox):
    secrets = {"MESH_SECRET_KEY": "s3cret", "AWS_SECRET_ACCESS_KEY": "s3cret", "LC_TIME": "C"}
    sandbox = make_sandbox(env=secrets)

    seen = json.loads(text_of(await sandbox.run("r1", ["env"])))

    assert "s3cret" not in seen.values()
    assert not [name for name in seen if name.startswith(("MESH_", "PYTEST", "DJANGO"))]
    assert seen["TEST_ADDITION"] == "yes"
    assert {"PATH", "LC_TIME"} <= seen.keys()


async def test_the_program_works_in_the_sandbox_s_folder(sandbox):
    events = await sandbox.run("r1", ["where"])

    assert text_of(events) == str(sandbox.root / "repo")


async def test_a_program_that_hangs_is_ended_and_said_to(make_sandbox):
    sandbox = make_sandbox(env={"TEST_CHECK_EVERY": "0.05"})

    seen = await sandbox.run("r1", ["say", "so far"], ["silence"], silentMinutes=0.005)

    error = next(body for _, body in seen if body["type"] == "error")
    assert (error["code"], text_of(seen)) == ("stuck", "so far")
    assert kinds_of(seen)[-1] == "done"
    again = await sandbox.run("r2", ["say", "again"])
    assert text_of(again) == "again"


async def test_an_agent_that_waits_for_a_person_does_not_count_as_hanging(make_sandbox):
    sandbox = make_sandbox(env={"TEST_CHECK_EVERY": "0.05"})
    steps = (["ask", "q1"], ["say", "done"])
    async with sandbox.dispatch("r1", *steps, silentMinutes=0.005) as events:
        seen = []
        while "tool-approval-request" not in kinds_of(seen):
            seen.append(await anext(events))
        hanging = sandbox.dispatch("r2", ["silence"], silentMinutes=0.005, thread="other")
        async with hanging as others:
            ended = kinds_of([event async for event in others])
        await sandbox.answer("r1", approvalId="q1", decision="allow")
        rest = [event async for event in events]

    assert "error" in ended  # so as much time has gone by
    assert "error" not in kinds_of(rest)
    assert text_of(rest).endswith("done")
