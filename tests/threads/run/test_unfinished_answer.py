"""An answer that is folded before its run's end, and what is left to fold then."""

from __future__ import annotations

import pytest
from django.db import connection

from sandboxes.providers.base import SandboxEvent
from tests.threads.doubles import DONE, chunk
from threads import services
from threads.core.fold import RESTARTED, Fold
from threads.journal import rows
from threads.journal.committing import Share, commit
from threads.journal.rows import Draft
from threads.models import Run
from threads.run import unfinished_answer
from threads.run.unfinished_answer import fold_ahead

WORDS = [f"word {n} " for n in range(20)]
# Each word in a part of its own: adjacent deltas of one part are stored as one.
SPOKEN = [
    chunk("start"),
    *(chunk("text-delta", id=str(n), delta=word) for n, word in enumerate(WORDS)),
]
FINISH = chunk("finish", finishReason="stop")


@pytest.fixture
def run(say):
    """A run whose agent has said ``WORDS``."""
    run = say()
    services.claim_run(run_id=run.pk)
    commit([Share(run.pk, 1, numbered(SPOKEN))])
    return run


@pytest.fixture
def folded(monkeypatch):
    """The types of the chunks that are folded from now on."""
    types, apply = [], Fold.apply

    def note(self, chunk):
        types.append(chunk["type"])
        apply(self, chunk)

    monkeypatch.setattr(Fold, "apply", note)
    return types


def numbered(bodies, after=0):
    return [SandboxEvent(n, body) for n, body in enumerate(bodies, after + 1)]


def ending(run, ahead, *more):
    return Share(run.pk, 1, numbered([*more, FINISH, DONE], after=len(SPOKEN)), ahead=ahead)


def text_of(run):
    parts = Run.objects.get(pk=run.pk).answer.parts
    return "".join(part["text"] for part in parts if part["type"] == "text")


def test_the_commit_of_the_end_folds_only_what_was_not_folded_ahead(run, folded):
    ahead = fold_ahead(run.pk)
    assert folded.count("text-delta") == len(WORDS)
    folded.clear()

    (outcome,) = commit([ending(run, ahead)])

    assert outcome.is_over
    assert set(folded) == {"text-end", "data-run-status", "finish"}  # the agent left them open
    assert text_of(run) == "".join(WORDS)


def test_events_committed_after_the_fold_are_part_of_the_answer(say, folded):
    run = say()
    services.claim_run(run_id=run.pk)
    first, rest = SPOKEN[:10], SPOKEN[10:]
    commit([Share(run.pk, 1, numbered(first))])
    ahead = fold_ahead(run.pk)
    commit([Share(run.pk, 1, numbered(rest, after=len(first)))])

    commit([ending(run, ahead)])

    assert text_of(run) == "".join(WORDS)
    assert folded.count("text-delta") == len(WORDS)  # each of them once


def test_a_commit_that_is_tried_again_folds_everything(run, monkeypatch):
    share = ending(run, fold_ahead(run.pk), chunk("text-delta", id="last", delta="the last"))
    with monkeypatch.context() as patch:
        patch.setattr("threads.run.transitions.end", fail)
        with pytest.raises(RuntimeError):
            commit([share])

    commit([share])

    assert text_of(run) == "".join(WORDS) + "the last"


def fail(*args, **kwargs):
    raise RuntimeError


def test_the_output_of_an_attempt_that_is_lost_after_the_fold_is_not_in_the_answer(run):
    ahead = fold_ahead(run.pk)
    rows.append(run.thread_id, [Draft({"type": RESTARTED}, run.pk)])

    commit([ending(run, ahead)])

    assert text_of(run) == ""


def test_an_answer_over_the_limit_stays_cut_whatever_follows(run, monkeypatch):
    monkeypatch.setattr(unfinished_answer, "ANSWER_LIMIT", 1_000)
    ahead = fold_ahead(run.pk)
    assert not ahead.is_whole

    commit([ending(run, ahead)])

    ended = Run.objects.get(pk=run.pk)
    assert (ended.state, ended.error_code) == ("failed", "answer_too_large")
    assert 0 < len(text_of(run)) < len("".join(WORDS))
    assert "".join(WORDS).startswith(text_of(run))


def test_a_run_that_has_ended_is_not_folded(run, folded):
    services.finish_run(run_id=run.pk, state="failed")
    folded.clear()

    assert fold_ahead(run.pk) is None
    assert folded == []


@pytest.fixture
def under_lock(folded, monkeypatch):
    """How many chunks are folded inside a transaction."""
    inside, apply = [], Fold.apply

    def note(self, chunk):
        inside.extend([chunk["type"]] if connection.in_atomic_block else [])
        apply(self, chunk)

    monkeypatch.setattr(Fold, "apply", note)
    return inside


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("is_offline", [False, True], ids=["failed", "stopped while offline"])
def test_an_end_by_the_server_folds_the_answer_without_the_lock(
    transactional_db, run, link, thread, under_lock, is_offline
):
    if is_offline:
        type(link).objects.update(offline_after=None)
        services.cancel(thread=thread)
    else:
        services.finish_run(run_id=run.pk, state="failed")

    assert Run.objects.get(pk=run.pk).state == ("cancelled" if is_offline else "failed")
    assert "text-delta" not in under_lock
    assert text_of(run) == "".join(WORDS)
