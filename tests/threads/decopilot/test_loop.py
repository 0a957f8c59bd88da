"""Decopilot's loop: whole runs against the model stand-in: each is a complete message."""

from __future__ import annotations

import asyncio
import base64
import logging

import pytest
from asgiref.sync import sync_to_async
from django.utils import timezone

from agents.keys.selectors import Account
from agents.keys.services import delete_key
from agents.models import Agent, DefaultModel, ProviderKey
from mesh.models import Membership
from sandboxes.providers.base import StreamCut
from tests.harness.shapes import check_chunks
from tests.secrecy import MARK
from tests.threads.decopilot.conftest import (
    PLACE,
    SECRET,
    AnsweringSandbox,
    Reader,
    add_key,
    make_run,
    started,
)
from tests.threads.test_files import PIXEL
from threads import services as threads
from threads.core.run_errors import explain
from threads.decopilot import engine, provider_clients
from threads.decopilot.provider import DecopilotProvider
from threads.models import Approval, Attachment, Event, Run, Thread
from threads.services import NewMessage
from threads.serving.turn_input import harness_input
from threads.targets import Wish

pytestmark = pytest.mark.django_db(transaction=True)


async def test_an_answer_streams_and_says_what_it_used(runs, ask, sandbox):
    run = await ask(await started(runs, "say: Grüße aus 東京 🙂"))

    check_chunks(run.chunks)
    assert run.text == "Grüße aus 東京 🙂"
    assert run.chunks[-1]["messageMetadata"]["usage"]["totalTokens"] == 160
    assert run.bodies[-1] == {"type": "done"}
    assert sandbox.ensured == 0  # no tool, no sandbox


async def test_thinking_is_a_part_of_its_own(runs, ask):
    run = await ask(await started(runs, "think"))

    check_chunks(run.chunks)
    assert run.of("reasoning-delta")
    assert run.text == "I thought about it."


async def test_a_tool_works_on_the_sandbox(runs, ask, sandbox):
    run = await ask(await started(runs, "bash: echo hi", approval_level="auto"))

    check_chunks(run.chunks)
    assert sandbox.started == ["echo hi"]
    assert run.of("tool-output-available")[0]["output"] == "hi"
    assert run.text == "I run it.The tool said: hi"
    assert not run.of("tool-approval-request")


@pytest.mark.parametrize(
    ("decision", "end", "asked"),
    [("allow", "tool-output-available", 1), ("deny", "tool-output-denied", 0)],
)
async def test_a_tool_asks_first(runs, ask, sandbox, decision, end, asked):
    given = await started(runs, "bash: echo hi", approval_level="readonly")
    run = await ask(given, decision=decision)

    check_chunks(run.chunks)
    assert run.of(end)
    assert len(sandbox.started) == asked
    applied = [body for body in run.bodies if body["type"] == "approval-applied"]
    assert [body["decision"] for body in applied] == [decision]


async def test_the_model_learns_why_it_was_denied(runs, provider, standin):
    given = await started(runs, "bash: echo hi", approval_level="readonly")
    run = Reader(provider, given)
    following = asyncio.create_task(run.follow())
    await run.until("tool-approval-request")
    await run.answer(run.of("tool-approval-request")[0]["approvalId"], "deny", "use ls")
    await following

    assert "use ls" in run.text


async def test_plan_mode_runs_nothing(runs, ask, sandbox):
    run = await ask(await started(runs, "bash: rm -rf /", mode="plan", approval_level="auto"))

    check_chunks(run.chunks)
    assert "plan mode" in run.of("tool-output-error")[0]["errorText"]
    assert sandbox.asked == []


async def test_two_calls_at_once_start_the_sandbox_once(runs, ask, sandbox):
    run = await ask(await started(runs, "bash twice", approval_level="auto"))

    check_chunks(run.chunks)
    assert (len(sandbox.started), sandbox.ensured) == (2, 1)


async def test_a_failed_command_is_a_failed_call(runs, ask, sandbox):
    sandbox.replies["tasks/task1"] = {"status": "failed", "stderr": "oops", "exitCode": 3}
    run = await ask(await started(runs, "bash: false", approval_level="auto"))

    check_chunks(run.chunks)
    assert run.of("tool-output-error")[0]["errorText"] == "Exit code 3\noops"
    assert run.chunks[-1]["finishReason"] == "stop"


async def test_a_cut_is_tried_again_only_for_what_may_be_done_twice(runs, ask, sandbox):
    sandbox.replies |= {"bash": StreamCut(), "glob": [StreamCut(), {"files": ["a.py"]}]}
    shell = await ask(await started(runs, "bash: make", approval_level="auto"))
    listing = await ask(await started(runs, 'tool: glob {"pattern": "*"}'))

    assert "not known whether" in shell.of("tool-output-error")[0]["errorText"]
    assert listing.of("tool-output-available")[0]["output"] == "a.py"
    asked = [path.partition("/")[0] for path, _ in sandbox.asked]
    assert asked == ["bash", "calls", "glob", "glob"]


async def test_after_a_cut_a_sandbox_that_knows_the_call_is_asked_again(runs, ask, sandbox):
    reply = {"taskId": "task1", "status": "running", "callId": "any"}
    ended = {"status": "exited", "stdout": "hi\n", "stderr": "", "exitCode": 0}
    sandbox.replies |= {"bash": [StreamCut(), reply], "calls": [{"status": "running"}, ended]}
    run = await ask(await started(runs, "bash: make", approval_level="auto"))

    first, again = [json for path, json in sandbox.asked if path == "bash"]
    assert first == again
    assert run.of("tool-output-available")[0]["output"] == "hi"


async def test_a_question_is_answered_by_the_person(runs, ask):
    question = '{"questions": [{"question": "Which?", "options": [{"label": "A"}]}]}'
    given = await started(runs, f"tool: AskUserQuestion {question}")
    run = await ask(given, decision="allow", answers={"Which?": "A"})

    check_chunks(run.chunks)
    assert run.of("tool-output-available")[0]["output"] == "Which?: A"


async def test_todos_are_shown(runs, ask):
    todos = '{"todos": [{"content": "Look", "status": "in_progress"}]}'
    run = await ask(await started(runs, f"tool: todo_write {todos}"))

    check_chunks(run.chunks)
    shown = run.of("data-todos")[0]["data"]["todos"]
    assert shown == [{"text": "Look", "status": "in_progress"}]


async def test_a_page_inside_is_not_fetched(runs, ask, standin):
    given = await started(
        runs, 'tool: web_fetch {"url": "http://127.0.0.1:1/"}', approval_level="auto"
    )
    run = await ask(given)

    # Not even where the operator allows the address for a provider.
    assert run.of("tool-output-error")[0]["errorText"] == "Only public addresses can be fetched."


@pytest.mark.parametrize(
    ("says", "code", "words"),
    [
        ("status 401", "key_refused", "Anthropic refused the organization's key."),
        ("status 429", "rate_limited", "accepts no more requests"),
        ("status 529", "provider_overloaded", "Anthropic is overloaded."),
        ("status 500", "provider_failed", "failed on its side"),
        ("cut the line", "model_unreachable", "could not be reached"),
    ],
)
async def test_a_provider_s_refusal_is_a_sentence(runs, ask, monkeypatch, says, code, words):
    monkeypatch.setattr(provider_clients, "RETRIES", 0)
    run = await ask(await started(runs, says))

    check_chunks(run.chunks)
    assert (run.error["code"], words in run.error["message"]) == (code, True)
    assert run.of("error")[0]["errorText"] == run.error["message"]
    assert '"type": "error", "error"' not in run.written  # never the provider's raw body


async def test_a_silent_provider_is_given_up(runs, ask, monkeypatch):
    monkeypatch.setattr(engine, "SILENCE_LIMIT", 0.5)
    monkeypatch.setattr(provider_clients, "RETRIES", 0)
    run = await ask(await started(runs, "stall now"))

    check_chunks(run.chunks)
    assert run.error["code"] == "model_timeout"


async def test_reaching_the_limit_is_told_as_incomplete(runs, ask):
    run = await ask(await started(runs, "reach the limit"))

    check_chunks(run.chunks)
    assert run.chunks[-1]["finishReason"] == "length"


async def test_stopping_closes_the_provider_s_connection_at_once(runs, provider, standin):
    given = await started(runs, "stall now")
    run = Reader(provider, given)
    following = asyncio.create_task(run.follow())
    await run.until("text-delta")
    await provider.cancel(PLACE, run_id=given["runId"])
    await asyncio.wait_for(following, 60)

    check_chunks(run.chunks)
    assert run.of("abort")
    await asyncio.wait_for(standin.left.wait(), 60)


async def test_stopping_ends_the_command_in_the_sandbox(runs, provider, sandbox):
    sandbox.replies["tasks/task1"] = {"status": "running"}
    given = await started(runs, "bash: sleep 99", approval_level="auto")
    run = Reader(provider, given)
    following = asyncio.create_task(run.follow())
    await sandbox.until_asked("tasks/task1")
    await provider.cancel(PLACE, run_id=given["runId"])
    await asyncio.wait_for(following, 60)
    await sandbox.until_asked("tasks/task1/kill")

    check_chunks(run.chunks)


async def test_a_command_is_watched_over_a_broken_connection(runs, ask, sandbox):
    ended = sandbox.replies["tasks/task1"]
    sandbox.replies["tasks/task1"] = [{"status": "running"}, StreamCut(), ended]
    run = await ask(await started(runs, "bash: make", approval_level="auto"))

    assert run.of("tool-output-available")[0]["output"] == "hi"
    assert sandbox.started == ["make"]


async def test_the_next_attempt_continues_where_the_lost_one_stopped(runs, ask, sandbox, standin):
    """A completed tool call is not repeated, and the reader sees its row again."""
    given = await started(runs, "bash: touch made", approval_level="auto")
    first = await ask(given)
    await started(keep, given, first.chunks_until("tool-output-available"))
    second = await Reader(DecopilotProvider(lambda kind: sandbox), given, fence=2).follow()

    check_chunks(second.chunks)
    assert len(sandbox.started) == 1
    assert second.text == first.text
    assert second.of("tool-output-available") == first.of("tool-output-available")
    assert "tool_result" in str(standin.messages[-1].body["messages"][-1])


async def test_an_answer_that_was_cut_off_is_repeated(runs, ask, standin):
    given = await started(runs, "say: one two three")
    first = await ask(given)
    await started(keep, given, first.chunks_until("text-delta"))
    second = await Reader(DecopilotProvider(lambda kind: None), given, fence=2).follow()

    check_chunks(second.chunks)
    assert second.text == "one two three"


REFUSED = {"message": "m", "hint": "h"}
KNOWN = {"status": "running"}


@pytest.mark.parametrize(
    ("known", "count", "says"),
    [
        pytest.param(KNOWN, 1, "hi", id="it is under way"),
        pytest.param((404, {"error": REFUSED | {"code": "unknown_call"}}), 1, "hi", id="not made"),
        pytest.param((409, {"error": REFUSED | {"code": "lost_call"}}), 0, "not known", id="lost"),
        pytest.param((404, {"error": REFUSED | {"code": "not_found"}}), 0, "not known", id="old"),
    ],
)
async def test_a_call_of_a_lost_attempt_is_done_once(runs, ask, sandbox, known, count, says):
    """The model is not asked for the call again: it gets the result of the one that it made."""
    given = await started(runs, "bash: touch made", approval_level="auto")
    first = await ask(given)
    await started(keep, given, first.chunks_until("tool-input-available"))
    again = AnsweringSandbox(calls=known)
    second = await Reader(DecopilotProvider(lambda kind: again), given, fence=2).follow()

    check_chunks(second.chunks)
    assert len(again.started) == count
    ids = {json["callId"] for path, json in sandbox.asked + again.asked if path == "bash"}
    assert len(ids) == 1
    assert says in second.text
    assert [c["toolCallId"] for c in second.of("tool-input-available")] == [
        c["toolCallId"] for c in first.of("tool-input-available")
    ]


@pytest.mark.parametrize(
    ("decision", "count", "end"),
    [("allow", 1, "tool-output-available"), ("deny", 0, "tool-output-denied")],
)
async def test_an_answer_to_a_lost_attempt_s_question_holds(
    runs, ask, sandbox, decision, count, end
):
    given = await started(runs, "bash: echo hi", approval_level="readonly")
    first = await ask(given, decision="allow")
    await started(keep, given, first.chunks_until("tool-approval-request"))
    await started(answered, given, first, decision)
    again = AnsweringSandbox(calls=KNOWN)
    second = await Reader(DecopilotProvider(lambda kind: again), given, fence=2).follow()

    check_chunks(second.chunks)
    assert not second.of("tool-approval-request")
    assert second.of(end)
    assert len(again.started) == count


async def test_an_answer_to_another_call_of_that_id_does_not_count(runs, ask, sandbox):
    given = await started(runs, "bash: echo hi", approval_level="readonly")
    first = await ask(given, decision="allow")
    await started(keep, given, first.chunks_until("tool-approval-request"))
    await started(answered, given, first, "allow", command="echo something else")
    elsewhere = DecopilotProvider(lambda kind: sandbox)
    second = await Reader(elsewhere, given, fence=2, decision="deny").follow()

    assert second.of("tool-approval-request")
    assert second.of("tool-output-denied")


def answered(given, first, decision, **other):
    """Store the person's answer to the first attempt's question; ``other``: about another input."""
    asked = next(body["approval"] for body in first.bodies if "approval" in body)
    Approval.objects.create(
        run_id=given["runId"],
        approval_id=asked["approvalId"],
        tool_call_id=asked["toolCallId"],
        tool=asked["tool"],
        input=asked["input"] | other,
        level="readonly",
        decision=decision,
        answered_at=timezone.now(),
    )


async def test_a_question_of_a_lost_attempt_is_asked_again(runs, ask, sandbox):
    given = await started(runs, "bash: echo hi", approval_level="readonly")
    first = await ask(given, decision="allow")
    await started(keep, given, first.chunks_until("tool-approval-request"))
    elsewhere = DecopilotProvider(lambda kind: sandbox)
    second = await Reader(elsewhere, given, fence=2, decision="allow").follow()

    check_chunks(second.chunks)
    asked = [run.of("tool-approval-request")[0]["approvalId"] for run in (first, second)]
    assert len(set(asked)) == 2


def keep(given, chunks):
    """Store the first attempt's events in the journal."""
    import json

    thread = Thread.objects.get(pk=given["threadId"])
    for n, chunk in enumerate(chunks, 1):
        Event.objects.create(
            thread=thread, seq=n, run_id=given["runId"], fence=1, n=n, chunk=json.dumps(chunk)
        )


async def test_a_conversation_is_remembered(runs, ask, ada, org, agent, standin):
    given = await started(runs, "say: first things first")
    first = await ask(given)
    thread = await sync_to_async(Thread.objects.get)(pk=given["threadId"])

    def answer_and_ask():
        thread.messages.create(
            id=given["runId"],
            role="assistant",
            client_id="a1",
            seq=500,
            parts=[{"type": "text", "text": first.text, "state": "done"}],
        )
        thread.runs.update(state="completed", finished_at=thread.created_at)
        return harness_input(make_run(ada, org, agent, "recall", thread=thread))

    run = await ask(await started(answer_and_ask))

    assert run.text == "First you said: say: first things first"


async def test_two_organizations_keys_never_meet(runs, ask, eve, standin, agent):
    def make_eves():
        org = eve.organizations.get()
        add_key(eve, standin, secret=f"sk-ant-eves-{MARK}")
        theirs = Agent.objects.create(organization=org, slug="default", title="E")
        return harness_input(make_run(eve, org, theirs, "slow 5 20"))

    inputs = [await started(runs, "slow 5 20"), await started(make_eves)]
    await asyncio.gather(*(ask(given) for given in inputs))

    assert {request.headers["authorization"] for request in standin.messages} == {
        f"Bearer {SECRET}",
        f"Bearer sk-ant-eves-{MARK}",
    }


@pytest.mark.parametrize(
    ("kind", "header"),
    [
        ("openai", "authorization"),
        ("openai-compatible", "authorization"),
        ("openrouter", "authorization"),
        ("google", "x-goog-api-key"),
    ],
)
async def test_other_providers_answer_and_use_tools(
    transactional_db, ada, org, agent, standin, ask, sandbox, kind, header, caplog
):
    caplog.set_level(logging.DEBUG)

    def make():
        add_key(ada, standin, secret=f"theirs-{MARK}", provider=kind)
        return harness_input(make_run(ada, org, agent, "bash: echo hi", approval_level="auto"))

    run = await ask(await started(make))

    check_chunks(run.chunks)
    assert sandbox.started == ["echo hi"]
    assert "The tool said: hi" in run.text
    assert {request.headers[header].split()[-1] for request in standin.messages} == {
        f"theirs-{MARK}"
    }
    metadata = run.chunks[-1]["messageMetadata"]
    assert metadata.get("costUsd") == (0.025 if kind == "openrouter" else None)
    assert MARK not in run.written + caplog.text
    usage = metadata["usage"]
    assert usage["inputTokens"] >= usage["outputTokens"] > 0
    assert usage["totalTokens"] == usage["inputTokens"] + usage["outputTokens"]


@pytest.mark.parametrize(
    ("model", "cost"),
    [("claude-haiku-4-5", 0.000529), ("claude-of-nobody", None)],
    ids=["listed", "unknown"],
)
async def test_a_run_costs_what_the_provider_s_list_says(runs, ask, monkeypatch, model, cost):
    """Two requests, each at 1 dollar a million for 100 tokens in, 1.25 for 10 into the cache, 0.1
    for 20 from it, and 5 for 30 out."""
    given = await started(runs, "bash: echo hi", approval_level="auto")
    at_a_gateway = await ask(given)
    address = (await sync_to_async(ProviderKey.objects.get)()).base_url
    monkeypatch.setattr(Account, "address", address)
    await sync_to_async(ProviderKey.objects.update)(base_url="")
    await sync_to_async(DefaultModel.objects.update)(model_id=model)
    at_the_maker = await ask(await started(runs, "bash: echo hi", approval_level="auto"))

    assert "costUsd" not in at_a_gateway.chunks[-1]["messageMetadata"]
    assert at_the_maker.chunks[-1]["messageMetadata"].get("costUsd") == cost


async def test_a_message_whose_key_is_deleted_while_it_waits_says_what_to_do(
    transactional_db, ada, org, agent, ask, standin
):
    def make():
        key = add_key(ada, standin)
        thread = threads.create_thread(owner=ada, organization=org, agent=agent)
        message = NewMessage(
            client_id="m1",
            parts=[{"type": "text", "text": "hello"}],
            wish=Wish(harness_id="decopilot"),
        )
        run = threads.post_message(author=ada, thread=thread, message=message)
        delete_key(member=Membership.objects.get(user=ada), key_id=key.pk)
        return harness_input(run)

    run = await ask(await started(make))

    check_chunks(run.chunks)
    assert run.error["code"] == "no_model"
    assert "AI providers" in explain("no_model")[1]
    assert standin.requests == []


async def test_the_key_is_in_nothing_that_is_told_or_logged(runs, ask, caplog, monkeypatch):
    caplog.set_level(logging.DEBUG)
    monkeypatch.setattr(provider_clients, "RETRIES", 0)
    told = [await ask(await started(runs, says)) for says in ("bash: env", "status 401")]

    assert all(SECRET not in run.written for run in told)
    assert SECRET not in caplog.text


def two_pictures(ada, org, agent):
    """Return the input of a run in a thread with a picture in its message, and one before it."""
    thread = threads.create_thread(owner=ada, organization=org, agent=agent)
    Thread.objects.filter(pk=thread.pk).update(harness_id="decopilot", branch="main")
    for state in ("completed", "dispatched"):
        kept = threads.keep_file(owner=ada, organization=org, name="a.png", data=PIXEL)
        Attachment.objects.filter(pk=kept.row.pk).update(thread=thread)
        run = make_run(ada, org, agent, "say: a", thread=thread, files=[kept.part])
        if state == "completed":
            Run.objects.filter(pk=run.pk).update(state=state, finished_at=timezone.now())
    return harness_input(run)


async def test_the_model_sees_pictures_of_now_and_before(runs, ask, standin, ada, org, agent):
    await ask(await sync_to_async(two_pictures)(ada, org, agent))

    sent = standin.messages[-1].body["messages"]
    blocks = [block for message in sent for block in message["content"]]
    seen = [base64.b64decode(b["source"]["data"]) for b in blocks if b["type"] == "image"]
    assert seen == [PIXEL, PIXEL]
