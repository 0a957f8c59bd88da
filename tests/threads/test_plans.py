"""The queries of every notification and every sweep read few rows, however many there are.

PostgreSQL plans by its statistics, which are taken here of a Mesh of many finished runs; SQLite has
none, as in a Mesh of one machine. Nothing is forbidden to either: what they choose is tested.
"""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from django.db import connection, transaction
from django.utils import timezone

import links.services
from agents.models import Agent
from links.models import Link
from mesh.models import Membership, Organization, User
from threads import selectors, services
from threads.core import executors
from threads.journal import committing
from threads.models import Approval, Event, Message, Run, Steer, Thread
from threads.run import state as run_state
from threads.run.unfinished_answer import UnfinishedAnswer
from threads.serving.orders import WorkScope, list_work
from threads.targets import Wish

pytestmark = pytest.mark.django_db

THREADS, EACH = 150, 10
# Tables that grow without end; agents and organizations are few.
GROWING = {model._meta.db_table for model in (Thread, Message, Run, Event, Approval, Steer, Link)}
NAMED = re.compile(r"[Uu]sing (?:COVERING )?(?:INDEX )?(\w+)|Bitmap Index Scan on (\w+)", re.I)


@pytest.fixture(scope="module")
def many(django_db_setup, django_db_blocker):
    """1,500 finished runs with an answered question each, and 600 machines; then a few at work.

    They are made once, in a transaction that stays open around those of the tests.
    """
    with django_db_blocker.unblock(), transaction.atomic():
        yield make_many()
        transaction.set_rollback(True)


@pytest.fixture
def link(many):
    return many[0].thread.link


def make_many():
    """Add the rows and return the runs."""
    now = timezone.now()
    organization = Organization.objects.create(slug="many", name="Many")
    ada = User.objects.create_user("ada", "ada@mesh.example", "correct horse battery")
    Membership.objects.create(organization=organization, user=ada, role="owner")
    agent = Agent.objects.create(organization=organization, slug="default", title="Mesh")
    link = machine(ada, "of the threads", now + timedelta(hours=1))
    link.save()
    common = {"owner": ada, "organization": organization, "agent": agent, "link": link}
    pins = {"sandbox_provider_kind": "remote-user", "harness_id": "demo"}
    threads = [Thread(**common, **pins, last_seq=EACH) for _ in range(THREADS)]
    prompts = [
        Message(thread=thread, role="user", client_id=str(n), seq=n, parts=[])
        for thread in threads
        for n in range(1, EACH + 1)
    ]
    over = {"state": run_state.COMPLETED, "finished_at": now, "fence": 1}
    runs = [Run(thread=one.thread, prompt=one, **over) for one in prompts]
    for run in runs[:: 10 * EACH]:
        run.state, run.finished_at = run_state.RUNNING, None
    for run in runs[1 :: 10 * EACH]:
        run.state, run.finished_at = run_state.QUEUED, None
    told = {"decision": "allow", "answered_at": now, "delivered_at": now}
    for model, rows in [
        (Thread, threads),
        (Message, prompts),
        (Run, runs),
        (Event, [Event(thread=r.thread, seq=r.prompt.seq, run=r, n=1, chunk="{}") for r in runs]),
        (Approval, [Approval(run=r, approval_id="a", input={}, **told) for r in runs]),
        (Steer, [Steer(run=r, into=r, taken_at=now, applied_at=now) for r in runs]),
        (Link, [machine(ada, n, now + timedelta(hours=1)) for n in range(600)]),
    ]:
        model.objects.bulk_create(rows)
    if connection.vendor == "postgresql":
        connection.cursor().execute("ANALYZE")
    return runs


def machine(owner, n, until):
    facts = {"cli_version": "1", "protocol_version": 1, "secret": "s"}
    return Link(user=owner, machine_id=f"x{n}", offline_after=until, **facts)


def plans_of(call):
    """Return the plan of each statement that ``call`` makes but for those that insert."""
    made = []

    def keep(execute, sql, params, many, context):
        if not many and sql.split()[0] in ("SELECT", "UPDATE", "DELETE"):
            made.append((sql, params))
        return execute(sql, params, many, context)

    with connection.execute_wrapper(keep):
        call()
    explain = "EXPLAIN " if connection.vendor == "postgresql" else "EXPLAIN QUERY PLAN "
    plans = []
    with connection.cursor() as cursor:
        for sql, params in made:
            cursor.execute(explain + sql, params)
            plans.append("\n".join(str(row[-1]) for row in cursor.fetchall()))
    assert plans
    return plans


def read_whole(plan):
    """Return the growing tables that a plan reads from end to end."""
    lines = re.findall(r"Seq Scan on (\w+)|^SCAN (\w+)(?! USING)\b(?!.*USING)", plan, re.M)
    return {name for pair in lines for name in pair} & GROWING


def indexes_of(plans):
    return {name for plan in plans for pair in NAMED.findall(plan) for name in pair if name}


def at_work(link):
    return WorkScope(node="n", executors=executors.ALL, links=[link.pk], capacity=10)


def share(run):
    return committing.Share(run.pk, run.fence, [])


def read(run):
    return selectors.list_events(thread_id=run.thread_id, after=2, limit=200, size=1_000)


LOOKS = {
    "the dispatcher's look": lambda link, _: list_work(at_work(link)),
    "stuck runs": lambda *_: services.end_stuck_runs(now=timezone.now()),
    "expired runs": lambda *_: services.expire_queued_runs(now=timezone.now()),
    "overdue stops": lambda *_: services.end_overdue_stops(now=timezone.now()),
    "leases of a process that ends": lambda *_: services.release_leases(node="n"),
    "silent machines": lambda *_: links.services.expire(),
    "a commit": lambda _, runs: committing.commit([share(runs[0])]),
    "a claim": lambda _, runs: services.claim_run(run_id=runs[1].pk),
    "the end of a run": lambda _, runs: services.finish_run(run_id=runs[0].pk, state="failed"),
    "a reader": lambda _, runs: read(runs[2]),
}


def test_no_table_that_grows_is_read_from_end_to_end(many, link):
    for name, look in LOOKS.items():
        for plan in plans_of(lambda look=look: look(link, many)):
            # PostgreSQL may well read a hundred and fifty threads at once: they are few pages.
            assert read_whole(plan) - {"threads_thread"} == set(), f"{name}: {plan}"


def test_the_dispatcher_finds_its_few_rows_by_the_indexes_made_for_them(many, link):
    used = indexes_of(plans_of(lambda: list_work(at_work(link))))

    assert used >= {"stops_to_deliver", "answers_to_deliver"}
    # Of a partial index SQLite makes nothing here: it can't see what stands in a parameter.
    unfinished = {"unfinished_runs"} if connection.vendor == "postgresql" else {"runs_by_state"}
    assert used >= unfinished


def test_the_journal_is_found_by_the_indexes_of_its_numbers(many):
    """Neither thread nor run has an index of its own there: the constraints begin with them."""
    run = many[2]
    followed = plans_of(lambda: read(run))
    folded = plans_of(lambda: UnfinishedAnswer().read(run))
    rest = plans_of(lambda: UnfinishedAnswer(last_seq=9).read(run))

    if connection.vendor == "postgresql":
        assert indexes_of(followed) == indexes_of(rest) == {"one_event_per_number"}
        assert indexes_of(folded) == {"no_event_twice"}
    else:
        assert "(thread_id=? AND seq>?)" in followed[0]
        assert "(thread_id=? AND seq>?)" in rest[0]
        assert "(run_id=?)" in folded[0]


OF_UNFINISHED = {"unfinished_runs", "one_active_run_per_thread", "newest_ends", "runs_by_state"}
UNFINISHED_OF_A_THREAD = {
    "stopping": lambda thread, _: services.cancel(thread=thread),
    "a change of level": lambda thread, _: services.set_level(
        thread=thread, level="auto", by=thread.owner
    ),
    "a message of a client without ids": lambda thread, _: services.post_message(
        author=thread.owner,
        thread=thread,
        message=services.NewMessage(
            client_id="", parts=[{"type": "text", "text": "hi"}], wish=Wish(harness_id="demo")
        ),
    ),
    "the start of a reader": lambda thread, _: selectors.start_of(thread=thread),
    "runs without a worker": lambda *_: services.mark_unassigned_runs(now=timezone.now()),
    "the dispatcher's look": lambda _, link: list_work(at_work(link)),
    "a list of threads": lambda thread, _: list(
        selectors.summarised(selectors.visible(thread.owner))
    ),
}


def assert_found_by_an_index_of_unfinished_runs(plans):
    """Which one PostgreSQL takes depends on its statistics; it reads no table whole."""
    assert all(Run._meta.db_table not in read_whole(plan) for plan in plans)
    assert indexes_of(plans) & OF_UNFINISHED, plans


@pytest.mark.parametrize("look", UNFINISHED_OF_A_THREAD.values(), ids=UNFINISHED_OF_A_THREAD)
def test_a_threads_unfinished_runs_are_found_without_its_finished_ones(many, link, look):
    with connection.cursor() as cursor:
        indexes = connection.introspection.get_constraints(cursor, Run._meta.db_table)

    plans = plans_of(lambda: look(many[0].thread, link))

    if connection.vendor == "postgresql":
        assert_found_by_an_index_of_unfinished_runs(plans)
        return
    by_thread_only = re.compile(r"INDEX (\w+) \(thread_id=\?\)")
    read = {name for plan in plans for name in by_thread_only.findall(plan)} & set(indexes)
    assert read == set()
    assert any("newest_ends (thread_id=? AND finished_at=?)" in plan for plan in plans)


def test_a_purge_finds_unfinished_runs_in_the_index_alone(many):
    plans = plans_of(lambda: services.purge_deleted(now=timezone.now()))

    if connection.vendor == "postgresql":
        assert_found_by_an_index_of_unfinished_runs(plans)
        return
    assert "COVERING INDEX newest_ends (thread_id=? AND finished_at=?)" in plans[0]
