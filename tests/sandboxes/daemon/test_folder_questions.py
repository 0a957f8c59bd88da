"""The question about a working folder, in runs of a real sandbox: asked once, before the agent."""

from __future__ import annotations

import pytest

from tests.sandboxes.daemon.events_reader import looking_on
from tests.sandboxes.daemon.projects import python_project
from tests.sandboxes.daemon.sandbox import chunks_of, kinds_of, read_until, text_of

pytestmark = pytest.mark.programs

ASKED = "tool-approval-request"


@pytest.fixture
def notes(tmp_path):
    """A person's folder that is in no repository."""
    folder = tmp_path / "notes"
    folder.mkdir()
    (folder / "plan.txt").write_text("mine")
    return folder


@pytest.fixture
def chooser(make_sandbox, notes):
    return make_sandbox(spec={"folder": str(notes)})


async def answer(sandbox, events, label, *, run="r1", decision="allow", fence=1):
    """Read until the question, answer it by ``label``, and return the rest of the events."""
    (*_, (_, event)) = seen = await read_until(events, ASKED)
    asked = event["approval"]
    question = asked["input"]["questions"][0]["question"]
    said = {"approvalId": asked["approvalId"], "decision": decision}
    if decision == "allow":
        said["answers"] = {question: label}
    reply = await sandbox.answer(run, fence=fence, **said)
    assert reply.status_code == 204, reply.text
    return [*seen, *[each async for each in events]]


async def test_the_agent_gets_the_message_only_after_the_answer(chooser, notes):
    async with chooser.dispatch("r1", ["where"]) as events:
        seen = await answer(chooser, events, "Work here without history")

    kinds = kinds_of(seen)
    assert kinds.count("start") == 1
    order = ["start", ASKED, "approval-applied", "tool-output-available", "text-start", "done"]
    assert [kind for kind in kinds if kind in order] == order
    assert text_of(seen) == str(notes)


async def test_the_answer_is_kept_over_a_restart_of_the_sandbox(chooser, notes):
    async with chooser.dispatch("r1", ["say", "x"]) as events:
        await answer(chooser, events, "Work here without history")
    chooser.kill()
    chooser.start()

    again = await chooser.run("r2", ["where"], thread="another")

    assert ASKED not in kinds_of(again)
    assert text_of(again) == str(notes)


async def test_starting_a_repository_is_told_and_the_agent_works_in_a_copy(chooser, notes):
    async with chooser.dispatch("r1", ["where"]) as events:
        seen = await answer(chooser, events, "Start a repository")

    told = [chunk["data"]["code"] for chunk in chunks_of(seen) if chunk["type"] == "data-notice"]
    assert told == ["repository_started"]
    assert text_of(seen) == str(chooser.root / "repo")
    assert (notes / "plan.txt").read_text() == "mine"


@pytest.mark.parametrize(
    ("label", "decision"),
    [pytest.param("Cancel", "allow", id="cancelled"), pytest.param("", "deny", id="skipped")],
)
async def test_a_person_who_cancels_starts_no_agent_and_is_asked_again(
    chooser, notes, label, decision
):
    async with chooser.dispatch("r1", ["say", "x"]) as events:
        seen = await answer(chooser, events, label, decision=decision)
    async with chooser.dispatch("r2", ["say", "x"]) as events:
        again = await read_until(events, ASKED)

    assert "abort" in kinds_of(seen)
    assert text_of(seen) == ""
    assert ASKED in kinds_of(again)
    assert [path.name for path in notes.iterdir()] == ["plan.txt"]


async def test_an_answer_that_is_no_option_ends_the_run_and_is_not_kept(chooser):
    async with chooser.dispatch("r1", ["say", "x"]) as events:
        seen = await answer(chooser, events, "Perhaps")

    assert [body["code"] for _, body in seen if body["type"] == "error"] == ["no_such_option"]
    assert not (chooser.root / "choices.json").exists()


async def test_an_answer_that_can_t_be_kept_ends_the_run_and_says_why(chooser):
    """A folder in the file's place stands for a disk that takes nothing."""
    async with chooser.dispatch("r1", ["say", "x"]) as events:
        (chooser.root / ".choices.json.new").mkdir()
        seen = await answer(chooser, events, "Work here without history")

    assert [body["code"] for _, body in seen if body["type"] == "error"] == ["answer_not_kept"]


async def test_a_stopped_run_asks_nothing_any_more(chooser):
    async with chooser.dispatch("r1", ["say", "x"]) as events:
        await read_until(events, ASKED)
        await chooser.cancel("r1")
        rest = [event async for event in events]
    late = await chooser.answer("r1", approvalId="working-folder-1-1", decision="allow")

    assert kinds_of(rest)[-3:] == ["abort", "finish", "done"]
    assert "tool-output-error" in kinds_of(rest)
    assert (late.status_code, late.json()["error"]["code"]) == (404, "unknown_approval")


async def test_a_request_that_names_its_choice_is_not_asked(chooser, notes):
    seen = await chooser.run("r1", ["where"], folderChoices=["new_branch", "work_here"])

    assert ASKED not in kinds_of(seen)
    assert text_of(seen) == str(notes)


async def test_two_chats_are_not_asked_the_same(chooser, notes):
    async with (
        chooser.dispatch("r1", ["where"]) as first,
        chooser.dispatch("r2", ["where"], thread="another") as second,
    ):
        answered = await answer(chooser, first, "Work here without history")
        other = [event async for event in second]

    assert ASKED not in kinds_of(other)
    assert text_of(answered) == text_of(other) == str(notes)


async def test_the_tools_say_that_a_choice_is_needed_and_change_nothing(chooser, notes):
    written = await chooser.post("/write", {"path": "plan.txt", "content": "theirs"})

    assert (written.status_code, written.json()["error"]["code"]) == (409, "choice_needed")
    assert (notes / "plan.txt").read_text() == "mine"


async def test_the_same_question_is_asked_in_the_same_words_after_the_sandbox_died(chooser):
    """So that an answer that was given meanwhile counts."""
    async with chooser.dispatch("r1", ["say", "x"]) as events:
        *_, (_, before) = await read_until(events, ASKED)
    chooser.kill()
    chooser.start()
    lost = await chooser.replay("r1")
    async with chooser.dispatch("r1", ["say", "x"], fence=2) as events:
        *_, (_, after) = await read_until(events, ASKED)

    assert "sandbox_died" in [body.get("code") for _, body in lost]
    before, after = before["approval"], after["approval"]
    assert (before["tool"], before["input"]) == (after["tool"], after["input"])
    assert before["toolCallId"] != after["toolCallId"]


async def test_git_s_routes_say_that_there_is_no_history(chooser, notes):
    await chooser.run("r1", ["say", "x"], folderChoices=["work_here"])

    for path in ("/git/status", "/git/diff"):
        reply = await chooser.get(path)
        assert (reply.status_code, reply.json()["error"]["code"]) == (409, "no_history")
    discarded = await chooser.post("/git/discard", {"paths": ["plan.txt"]})
    assert (discarded.status_code, discarded.json()["error"]["code"]) == (409, "no_history")
    assert (notes / "plan.txt").read_text() == "mine"


async def test_the_project_is_started_once_the_person_has_chosen(chooser, notes):
    for name, text in python_project().items():
        (notes / name).write_text(text)

    async with looking_on(chooser) as told:
        await chooser.post("/config", {"application": {}})
        await told.phase("clone-failed")
        async with chooser.dispatch("r1", ["say", "x"]) as events:
            await answer(chooser, events, "Work here without history")
        running = await told.phase("running")

    assert running["htmlSupport"] is True
