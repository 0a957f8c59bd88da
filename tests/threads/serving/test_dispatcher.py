"""Runs on their way to machines and back, with sandboxes that fail in every way."""

from __future__ import annotations

from datetime import timedelta
from functools import partial
from uuid import uuid4

import pytest
from asgiref.sync import sync_to_async
from django.utils import timezone

from tests.threads import doubles
from tests.threads.doubles import DONE, a_turn, chunk
from tests.waiting import PATIENCE, auntil
from threads import selectors, services
from threads.models import Approval, Message, Run, Steer
from threads.reading import notifications

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def post(say):
    return sync_to_async(say)


A_QUESTION = (
    chunk("tool-input-available", toolCallId="c", toolName="Bash", input={}, dynamic=True),
    chunk("tool-approval-request", approvalId="a1", toolCallId="c"),
)


@pytest.fixture
def asked(serve, post):
    """Return ``asked(sandbox)``: a run of it that waits for an answer, and its dispatcher."""

    async def ask(sandbox):
        run = await post()
        dispatcher = await serve(sandbox)
        await in_state(run, "waiting")
        return run, dispatcher

    return ask


@pytest.fixture
def allow(thread, ada):
    """Return ``allow()``: Ada's answer to the question."""
    answer = services.Answer(decision="allow")
    give = partial(services.answer_approval, thread=thread, approval_id="a1", by=ada)
    return sync_to_async(partial(give, answer=answer))


async def state_of(run):
    return (await Run.objects.aget(pk=run.pk)).state


async def ended(run):
    async def is_over():
        found = await Run.objects.select_related("answer").aget(pk=run.pk)
        return found if found.finished_at else None

    return await auntil(is_over)


async def in_state(run, state):
    async def is_there():
        return await state_of(run) == state

    await auntil(is_there, what=state)


def text_of(run):
    return "".join(p["text"] for p in run.answer.parts if p["type"] == "text")


async def test_a_message_is_answered(serve, post, thread, chunks):
    run = await post("hi")
    sandbox = doubles.ScriptedSandbox(*a_turn("Hel", "lo"))
    await serve(sandbox)

    done = await ended(run)

    assert (done.state, text_of(done), done.fence) == ("completed", "Hello", 1)
    told = sandbox.runs[str(run.pk)]
    await auntil(lambda: told.acked == len(told.events), what="all is acknowledged")
    journal = await sync_to_async(chunks)(thread)
    assert [c["data"]["state"] for c in journal if c["type"] == "data-run-status"] == [
        "queued",
        "dispatched",
        "running",
        "completed",
    ]
    assert journal[-1]["type"] == "finish"


async def test_what_a_harness_is_told(serve, post, thread, ada):
    run = await post("do it", tier="fast", mode="plan", approval_level="readonly")
    sandbox = doubles.ScriptedSandbox(*a_turn("ok"))
    await serve(sandbox)
    await ended(run)

    told = sandbox.runs[str(run.pk)].input
    assert told["threadId"] == told["taskId"] == str(thread.pk)
    assert told["messages"][-1]["parts"] == [{"type": "text", "text": "do it"}]
    assert (told["tier"], told["mode"], told["toolApprovalLevel"]) == ("fast", "plan", "readonly")
    assert told["user"] == {"id": str(ada.pk), "email": ada.email}


async def test_messages_are_answered_one_after_the_other(serve, post):
    first, second = await post("one"), await post("two")
    sandbox = doubles.ScriptedSandbox()
    await serve(sandbox)
    await auntil(lambda: sandbox.starts == [str(first.pk)])
    assert await state_of(second) == "queued"

    sandbox.runs[str(first.pk)].say(*a_turn("a"))
    await auntil(lambda: sandbox.starts == [str(first.pk), str(second.pk)])
    sandbox.runs[str(second.pk)].say(*a_turn("b"))

    assert text_of(await ended(second)) == "b"


async def test_the_next_turn_resumes_the_conversation(serve, post):
    sandbox = doubles.ScriptedSandbox(
        *a_turn("a", messageMetadata={"codingAgentSessionId": "s1", "usage": {"totalTokens": 3}})
    )
    await serve(sandbox)
    first = await ended(await post("one"))
    second = await ended(await post("two"))

    assert sandbox.runs[str(first.pk)].input["resumeSessionRef"] is None
    assert sandbox.runs[str(second.pk)].input["resumeSessionRef"] == "s1"
    assert first.usage == {"usage": {"totalTokens": 3}}


@pytest.mark.parametrize(
    "kind", [doubles.CuttingSandbox, doubles.RepeatingSandbox, doubles.DyingSandbox]
)
async def test_a_fault_on_the_way_loses_nothing_and_doubles_nothing(serve, post, kind):
    words = [f"{n} " for n in range(20)]
    run = await post("count")
    sandbox = kind(*a_turn(*words))
    await serve(sandbox)

    done = await ended(run)

    assert (done.state, text_of(done)) == ("completed", "".join(words))
    assert sandbox.starts == [str(run.pk)]


async def test_a_restarted_sandbox_tells_that_it_died(serve, post):
    run = await post()
    await serve(
        doubles.ScriptedSandbox(
            chunk("start"),
            {"type": "error", "code": "sandbox_died", "message": "It died."},
            chunk("error", errorText="It died."),
            chunk("finish", finishReason="error"),
            DONE,
        )
    )

    done = await ended(run)

    assert (done.state, done.error_code) == ("failed", "sandbox_died")
    assert done.answer.metadata["error"]["message"] == "It died."
    assert done.answer.metadata["error"]["hint"]


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        pytest.param(doubles.ForgetfulSandbox, "stream_truncated", id="forgot the run"),
        pytest.param(doubles.RefusingSandbox, "not_signed_in", id="refused"),
    ],
)
async def test_what_cannot_be_healed_ends_with_a_code(serve, post, thread, chunks, kind, code):
    run = await post()
    await serve(kind(*a_turn("a", "b")))

    done = await ended(run)

    assert (done.state, done.error_code) == ("failed", code)
    journal = await sync_to_async(chunks)(thread)
    assert [c["type"] for c in journal[-3:]] == ["error", "data-run-status", "finish"]
    assert journal[-2]["data"]["code"] == code
    assert journal[-2]["data"]["hint"]


async def test_a_stream_that_ends_without_a_finish_is_no_success(serve, post):
    run = await post()
    await serve(doubles.ScriptedSandbox(chunk("start"), DONE))

    done = await ended(run)

    assert (done.state, done.error_code) == ("failed", "stream_truncated")


async def test_a_newer_attempt_of_which_no_row_knows_ends_the_run(serve, post):
    """The database was restored from an older copy; without an end the thread would be stuck."""
    run = await post()
    await serve(doubles.StaleSandbox())

    done = await ended(run)

    assert (done.state, done.error_code) == ("failed", "stale_fence")
    assert done.answer.metadata["error"]["hint"]


async def test_a_refusal_that_passes_fails_no_run(serve, post):
    run = await post()
    sandbox = doubles.BusySandbox(*a_turn("a", "b"))
    await serve(sandbox)

    done = await ended(run)

    assert (done.state, text_of(done), sandbox.refusals) == ("completed", "ab", 0)


async def rests(run, code=None):
    """Wait until the run rests, and its person is told of ``code``."""

    async def is_resting():
        found = await Run.objects.aget(pk=run.pk)
        is_told = code is None or found.resting_code == code
        return found if found.resting_since and is_told else None

    return await auntil(is_resting, what=f"resting {code}")


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        pytest.param(doubles.DownSandbox, "sandbox_down", id="down for good"),
        pytest.param(doubles.SkippingSandbox, "stream_truncated", id="an event is missing"),
        pytest.param(doubles.DriftedSandbox, "timestamp_drift", id="its clock stays wrong"),
    ],
)
async def test_what_can_not_be_reached_rests_until_it_is_stuck(
    serve, post, kind, code, monkeypatch
):
    monkeypatch.setattr("threads.run.transitions.SHOWN_AFTER", timedelta(0))
    # On a busy machine a stream may take a while to break, and has held by then.
    monkeypatch.setattr("threads.serving.run_follower.HOLDS_AFTER", 60)
    run = await post()
    await serve(kind(*a_turn("a", "b")))
    await rests(run, code)
    assert (await state_of(run)) in ("dispatched", "running")

    async def is_ended():
        # A retry that was under way may write the row behind us: make it old again.
        await resting.filter(resting_since__isnull=False).aupdate(resting_since=long_ago)
        return await sync_to_async(services.end_stuck_runs)(now=timezone.now())

    long_ago = timezone.now() - timedelta(minutes=11)  # the demo agent's time is ten
    resting = Run.objects.filter(pk=run.pk)
    await auntil(is_ended)

    done = await ended(run)
    assert (done.state, done.error_code) == ("failed", code)
    assert done.stop_due_at is not None


async def test_a_laptop_that_wakes_up_with_a_wrong_clock_loses_nothing(serve, post, thread):
    """Its agents work on meanwhile; nobody reads them, and nobody gives them up."""
    run = await post()
    sandbox = doubles.WakingSandbox(*a_turn("a", "b")[:3])
    await serve(sandbox)
    await in_state(run, "running")
    sandbox.fall_asleep()
    await rests(run)
    sandbox.runs[str(run.pk)].say(*a_turn("a", "b")[3:])
    after = await post("and then?")

    sandbox.is_drifting = False

    assert text_of(await ended(run)) == "ab"
    await auntil(lambda: str(after.pk) in sandbox.starts, what="the next message")
    assert sandbox.cancelled == []


async def test_a_run_that_was_given_up_is_stopped_once_its_machine_listens_again(serve, post):
    """It could not be reached for too long, while its agent worked on."""
    run = await post()
    sandbox = doubles.WakingSandbox(*a_turn("a", "b")[:3])
    await serve(sandbox)
    await in_state(run, "running")
    sandbox.fall_asleep()
    await sync_to_async(services.finish_run)(run_id=run.pk, state="failed", code="stuck")
    after = await post("and then?")

    sandbox.is_drifting = False

    await auntil(lambda: str(after.pk) in sandbox.starts, what="the next message")
    assert sandbox.cancelled == [str(run.pk)]


async def test_a_run_rests_no_longer_once_its_stream_holds(serve, post, monkeypatch):
    monkeypatch.setattr("threads.serving.run_follower.HOLDS_AFTER", 0)
    run = await post()
    sandbox = doubles.WakingSandbox(*a_turn("a", "b")[:3])
    await serve(sandbox)
    await in_state(run, "running")
    sandbox.fall_asleep()
    await rests(run)

    sandbox.is_drifting = False

    async def is_awake():
        return (await Run.objects.aget(pk=run.pk)).resting_since is None

    await auntil(is_awake, what="awake")
    assert await state_of(run) == "running"


async def test_the_page_says_why_a_run_is_not_followed(serve, post, thread, ada, monkeypatch):
    monkeypatch.setattr("threads.run.transitions.SHOWN_AFTER", timedelta(0))
    run = await post()
    await serve(doubles.DriftedSandbox())
    with notifications.subscribe(notifications.of_person(ada.pk)) as subscriber:
        await rests(run, "timestamp_drift")
        assert ("thread", str(thread.pk)) in await subscriber.wait(PATIENCE)

    found = await sync_to_async(selectors.find_thread)(viewer=ada, thread_id=thread.pk)
    shown = await sync_to_async(selectors.thread_summary)(found)
    assert shown["status"] == "running"
    assert shown["resting"]["message"].startswith("Your machine's clock is wrong")


async def test_an_offline_machine_gets_the_run_when_it_is_back(serve, post):
    run = await post()
    sandbox = doubles.OfflineSandbox(*a_turn("a"))
    dispatcher = await serve(sandbox)
    await in_state(run, "queued")

    sandbox.is_away = False
    await dispatcher.link_up(run.thread.link_id)

    assert (await ended(run)).state == "completed"
    assert sandbox.starts == [str(run.pk)]


async def test_a_machine_that_comes_back_wakes_its_own_runs_only(serve, post, monkeypatch):
    """After a restart of the server, hundreds of machines come back within seconds."""
    monkeypatch.setattr("threads.run.transitions.FIRST_WAIT", timedelta(hours=1))
    monkeypatch.setattr("threads.run.transitions.LONGEST_WAIT", timedelta(hours=1))
    run = await post()
    sandbox = doubles.WakingSandbox(*a_turn("a", "b"))
    sandbox.is_drifting = True
    dispatcher = await serve(sandbox)
    resting = await rests(run)
    sandbox.is_drifting = False

    await dispatcher.link_up(uuid4())
    await dispatcher.looked()
    assert (await rests(run)).retry_at == resting.retry_at

    await dispatcher.link_up(run.thread.link_id)
    assert (await ended(run)).state == "completed"


async def test_machines_of_other_processes_are_left_alone(serve, post):
    run = await post()
    sandbox = doubles.ScriptedSandbox(*a_turn("a"))
    held = set()
    dispatcher = await serve(sandbox, links=lambda: held)
    await dispatcher.looked()
    assert (sandbox.starts, await state_of(run)) == ([], "queued")

    held.add(run.thread.link_id)
    await dispatcher.link_up(run.thread.link_id)

    assert (await ended(run)).state == "completed"


async def test_a_restarted_server_joins_its_active_runs(serve, post):
    run = await post()
    sandbox = doubles.ScriptedSandbox(*a_turn("a", "b")[:3])
    first = await serve(sandbox)
    await in_state(run, "running")
    await first.stop()

    sandbox.runs[str(run.pk)].say(*a_turn("a", "b")[3:])
    await serve(sandbox)

    done = await ended(run)
    assert (text_of(done), sandbox.starts) == ("ab", [str(run.pk)])


async def test_stop(serve, post, thread):
    run = await post()
    sandbox = doubles.ScriptedSandbox(*a_turn("a", "b")[:3])
    await serve(sandbox)
    await in_state(run, "running")

    await sync_to_async(services.cancel)(thread=thread)

    done = await ended(run)
    assert (done.state, text_of(done)) == ("cancelled", "a")
    assert sandbox.cancelled == [str(run.pk)]


async def test_an_ignored_stop_ends_the_run_anyway(serve, post, thread, chunks):
    run = await post()
    sandbox = doubles.DeafSandbox(*a_turn("a", "b")[:3])
    await serve(sandbox)
    await in_state(run, "running")

    await sync_to_async(services.cancel)(thread=thread)
    done = await ended(run)
    sandbox.runs[str(run.pk)].say(chunk("text-delta", id="t", delta="late"), DONE)
    told = sandbox.runs[str(run.pk)]
    await auntil(lambda: told.acked == len(told.events), what="late events are acknowledged")

    assert (done.state, text_of(done)) == ("cancelled", "a")
    assert (await sync_to_async(chunks)(thread))[-1]["type"] == "finish"


async def test_a_stop_reaches_a_machine_that_comes_back(serve, post, thread, link):
    run = await post()
    sandbox = doubles.ScriptedSandbox(*a_turn("a", "b")[:3])
    held = {link.pk}
    dispatcher = await serve(sandbox, links=lambda: held)
    await in_state(run, "running")
    held.clear()
    await dispatcher.stop()
    link.offline_after = None
    await link.asave()

    await sync_to_async(services.cancel)(thread=thread)
    assert await state_of(run) == "cancelled"
    after = await post("and then?", may_wait=True)

    held.add(link.pk)
    await serve(sandbox, links=lambda: held)
    await auntil(lambda: sandbox.cancelled == [str(run.pk)])
    await auntil(lambda: str(after.pk) in sandbox.runs, what="the next message goes after it")


async def test_a_run_stopped_before_it_was_sent_is_never_sent(serve, post, thread):
    run = await post()
    await sync_to_async(services.cancel)(thread=thread)
    sandbox = doubles.ScriptedSandbox(*a_turn("a"))
    dispatcher = await serve(sandbox)
    await dispatcher.looked()

    assert (await state_of(run), sandbox.starts) == ("cancelled", [])


@pytest.mark.parametrize("decision", ["allow", "deny"])
async def test_an_approval_goes_there_and_back(serve, post, thread, ada, chunks, decision):
    run = await post()
    sandbox = doubles.ScriptedSandbox(
        chunk("start"),
        chunk("tool-input-available", toolCallId="c", toolName="Bash", input={}, dynamic=True),
        {
            **chunk("tool-approval-request", approvalId="a1", toolCallId="c"),
            "approval": {"approvalId": "a1", "toolCallId": "c", "tool": "Bash", "input": {"x": 1}},
        },
    )
    await serve(sandbox)
    await in_state(run, "waiting")
    asked = await Approval.objects.aget()
    assert (asked.tool, asked.input, asked.level) == ("Bash", {"x": 1}, "auto")

    await sync_to_async(services.answer_approval)(
        thread=thread,
        approval_id="a1",
        answer=services.Answer(decision=decision, reason="because", answers={"Which?": "this"}),
        by=ada,
    )
    told = sandbox.runs[str(run.pk)]
    await auntil(lambda: told.answers == [("a1", decision, "because")])
    assert told.said == ({"Which?": "this"} if decision == "allow" else {})
    told.say({"type": "approval-applied", "approvalId": "a1", "decision": decision})
    await in_state(run, "running")
    told.say(chunk("tool-output-available", toolCallId="c", output="ok", dynamic=True))
    told.say(chunk("finish"), DONE)

    done = await ended(run)
    approval = await Approval.objects.aget()
    journal = await sync_to_async(chunks)(thread)
    stations = [c["data"]["state"] for c in journal if c["type"] == "data-approval"]
    assert approval.answered_at <= approval.delivered_at <= approval.applied_at
    assert (done.state, stations[0], stations[-1]) == ("completed", "asked", "applied")


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(
            {"type": "approval-applied", "approvalId": "a1", "decision": "allow"}, id="answered"
        ),
        pytest.param(chunk("tool-output-available", toolCallId="c", output="ok"), id="just done"),
    ],
)
async def test_an_agent_that_continues_without_our_answer_is_stopped(asked, body):
    sandbox = doubles.ScriptedSandbox(chunk("start"), *A_QUESTION)
    run, _ = await asked(sandbox)

    sandbox.runs[str(run.pk)].say(body)
    done = await ended(run)
    await auntil(lambda: sandbox.cancelled == [str(run.pk)])

    assert (done.state, done.error_code) == ("failed", "answered_elsewhere")
    answer = await Message.objects.aget(pk=run.pk)
    assert answer.metadata["error"]["message"].startswith("The agent continued without your answer")
    assert (await Approval.objects.aget()).decision == ""


@pytest.mark.parametrize("is_answered", [False, True])
async def test_a_question_that_the_agent_takes_back_is_closed(
    asked, allow, thread, chunks, is_answered
):
    sandbox = doubles.ScriptedSandbox(chunk("start"), *A_QUESTION)
    run, _ = await asked(sandbox)
    told = sandbox.runs[str(run.pk)]
    if is_answered:
        await allow()
        await auntil(lambda: told.answers)

    told.say({"type": "approval-withdrawn", "approvalId": "a1"})
    await in_state(run, "running")
    told.say(chunk("tool-output-error", toolCallId="c", errorText="x", dynamic=True))
    told.say(chunk("finish"), DONE)

    assert (await ended(run)).state == "completed"
    approval = await Approval.objects.aget()
    assert (approval.withdrawn_at is not None, approval.applied_at) == (True, None)
    journal = await sync_to_async(chunks)(thread)
    stations = [c["data"]["state"] for c in journal if c["type"] == "data-approval"]
    assert (stations[0], stations[-1]) == ("asked", "withdrawn")


async def test_a_refused_answer_is_given_again(asked, allow):
    sandbox = doubles.DriftingSandbox(*A_QUESTION)
    run, _ = await asked(sandbox)

    await allow()

    told = sandbox.runs[str(run.pk)]
    await auntil(lambda: told.answers == [("a1", "allow", "")])


async def test_an_answer_that_is_refused_for_long_is_left_to_the_row(asked, allow):
    """Nothing waits in memory: each look tells it once, and finds the row again."""
    sandbox = doubles.MistrustfulSandbox(*A_QUESTION)
    run, dispatcher = await asked(sandbox)
    await allow()

    await auntil(lambda: sandbox.refused > 1, what="told again")
    await auntil(lambda: not [key for key in dispatcher._tasks if key[0] == "answer"])

    sandbox.refuses = False
    told = sandbox.runs[str(run.pk)]
    await auntil(lambda: told.answers == [("a1", "allow", "")])


async def test_an_answer_is_not_given_again_once_the_run_is_stopped(asked, allow, thread):
    sandbox = doubles.MistrustfulSandbox(*A_QUESTION)
    run, _ = await asked(sandbox)
    await allow()
    await auntil(lambda: sandbox.refused, what="the answer is refused, and will be tried again")

    await sync_to_async(services.cancel)(thread=thread)
    sandbox.refuses = False
    await ended(run)
    await auntil(lambda: sandbox.cancelled == [str(run.pk)])

    assert sandbox.runs[str(run.pk)].answers == []
    assert (await Approval.objects.aget()).delivered_at is None


async def test_a_refused_stop_is_sent_again(serve, post, thread):
    run = await post()
    sandbox = doubles.DriftingSandbox(*a_turn("a")[:3])
    await serve(sandbox)
    await in_state(run, "running")

    await sync_to_async(services.cancel)(thread=thread)

    await auntil(lambda: sandbox.cancelled == [str(run.pk)])


async def test_a_stop_that_can_not_be_delivered_holds_up_no_message(serve, post, thread):
    run = await post()
    sandbox = doubles.ForbiddenSandbox(*a_turn("a")[:3])
    await serve(sandbox)
    await in_state(run, "running")
    sandbox.is_gone = True

    await sync_to_async(services.cancel)(thread=thread)
    after = await ended(await post("and now?"))

    assert (after.state, after.error_code) == ("failed", "folder_not_allowed")


async def test_the_stored_answer_is_the_fold_of_the_events(serve, post, thread, chunks):
    from threads.core.fold import fold

    run = await post()
    await serve(doubles.CuttingSandbox(*a_turn("a", "b", "c")))
    await ended(run)

    journal = await sync_to_async(chunks)(thread, run=run)
    answer = await Message.objects.aget(role="assistant")
    assert answer.parts == fold(journal).parts()
    page = await sync_to_async(selectors.page_of)(thread)
    assert page["messages"][-1]["parts"] == answer.parts


async def test_a_run_whose_machine_was_removed_ends(serve, post, link):
    run = await post()
    await link.adelete()
    await serve(doubles.ScriptedSandbox())

    done = await ended(run)

    assert (done.state, done.error_code) == ("failed", "link_removed")


async def test_a_deleted_thread_is_stopped_on_its_machine(serve, post, thread):
    run = await post()
    sandbox = doubles.DeafSandbox(*a_turn("a")[:3])
    await serve(sandbox)
    await in_state(run, "running")

    await sync_to_async(services.delete_thread)(thread=thread)

    await auntil(lambda: sandbox.cancelled == [str(run.pk)])
    assert (await ended(run)).state == "cancelled"


async def test_a_lost_notification_delays_but_loses_nothing(serve, post, monkeypatch):
    monkeypatch.setattr(notifications, "_publish_here", lambda by_topic: None)
    sandbox = doubles.ScriptedSandbox(*a_turn("a"))
    await serve(sandbox)
    run = await post()

    assert (await ended(run)).state == "completed"


@pytest.mark.thorough
async def test_many_runs_at_once(serve, post, ada, org, agent):
    make = sync_to_async(services.create_thread)
    threads = [await make(owner=ada, organization=org, agent=agent) for _ in range(15)]
    words = [f"{n} " for n in range(30)]
    sandbox = doubles.CuttingSandbox(*a_turn(*words))
    runs = [await post("go", to=thread) for thread in threads]
    await serve(sandbox)

    done = [await ended(run) for run in runs]

    assert {(run.state, text_of(run)) for run in done} == {("completed", "".join(words))}


@pytest.fixture
def hand_over(thread, ada):
    """Return ``hand_over(run)``: Ada hands its message to the agent that is at work."""

    async def steer(run):
        await sync_to_async(services.steer_queued)(thread=thread, run_id=run.pk, by=ada)

    return steer


async def test_a_message_is_handed_over_once(serve, post, hand_over):
    run = await post("one")
    sandbox = doubles.SteerableSandbox(chunk("start"))
    await serve(sandbox)
    await in_state(run, "running")
    second = await post("two")

    await hand_over(second)
    steer = await Steer.objects.aget(run=second)  # it stays, also once the agent has it
    await auntil(lambda: sandbox.steers, what="it is told")
    applied = {"type": "steer-applied", "steerId": str(steer.pk)}
    sandbox.runs[str(run.pk)].say(applied, chunk("finish"), DONE)
    await ended(run)

    assert await state_of(second) == "steered"
    assert sandbox.steers == [(str(run.pk), str(steer.pk), "two")]
    assert sandbox.starts == [str(run.pk)]


async def test_what_can_not_be_handed_over_goes_out_in_its_turn(serve, post, hand_over):
    run = await post("one")
    sandbox = doubles.SteerableSandbox(chunk("start"))
    sandbox.takes = False
    await serve(sandbox)
    await in_state(run, "running")
    second = await post("two")

    await hand_over(second)
    await auntil(lambda: sandbox.steers, what="it is told")
    sandbox.runs[str(run.pk)].say(chunk("finish"), DONE)

    await auntil(lambda: sandbox.starts == [str(run.pk), str(second.pk)], what="its turn")
    assert not await Steer.objects.aexists()
