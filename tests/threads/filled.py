"""Threads that are long and lists that are full, made at once."""

from __future__ import annotations

from datetime import timedelta

from django.db import connection
from django.utils import timezone

from mesh.lib.ids import new_id
from threads.models import Message, Run, Thread


def text_part(text):
    return {"type": "text", "text": text, "state": "done"}


def fill(thread, turns, *, parts=None, say="question", answer="answer", batch=2_000):
    """Add finished turns to ``thread``: "question 1", "answer 1" and so on, with ids like "q1"."""
    now, first = timezone.now(), thread.last_seq
    for start in range(1, turns + 1, batch):
        prompts, answers, runs = [], [], []
        for number in range(start, min(start + batch, turns + 1)):
            seq, run_id = first + number * 4, new_id()
            prompts.append(
                Message(
                    thread=thread,
                    role="user",
                    client_id=f"q{number}",
                    seq=seq - 3,
                    parts=[text_part(f"{say} {number}")],
                )
            )
            said = parts(number) if parts else [text_part(f"{answer} {number}")]
            answers.append(
                Message(
                    id=run_id,
                    thread=thread,
                    role="assistant",
                    client_id=str(run_id),
                    seq=seq,
                    parts=said,
                    metadata={"runId": str(run_id), "state": "completed"},
                )
            )
            runs.append(
                Run(
                    id=run_id,
                    thread=thread,
                    prompt=prompts[-1],
                    answer=answers[-1],
                    position=seq - 3,
                    state="completed",
                    finished_at=now - timedelta(minutes=turns - number),
                )
            )
        Message.objects.bulk_create([*prompts, *answers])
        Run.objects.bulk_create(runs)
    thread.last_seq = first + turns * 4
    thread.save(update_fields=["last_seq"])
    return thread


def fill_list(*, owner, organization, agent, count, title="chat"):
    """Make ``count`` threads, "chat 1" the oldest, a minute apart."""
    now = timezone.now()
    return Thread.objects.bulk_create(
        Thread(
            organization=organization,
            owner=owner,
            agent=agent,
            title=f"{title} {number}",
            updated_at=now - timedelta(minutes=count - number),
        )
        for number in range(1, count + 1)
    )


def plan_of(sql):
    """Return the plan of a statement as text; on PostgreSQL as if the tables were large."""
    with connection.cursor() as cursor:
        if connection.vendor == "sqlite":
            cursor.execute(f"EXPLAIN QUERY PLAN {sql}")
        else:
            for way in ("seqscan", "bitmapscan", "sort"):
                cursor.execute(f"SET LOCAL enable_{way} = off")
            cursor.execute(f"EXPLAIN {sql}")
        return "\n".join(str(row) for row in cursor.fetchall())
