"""One commit: each share is decided by itself, and all are written together."""

from __future__ import annotations

from uuid import uuid4

import pytest

from sandboxes.providers.base import SandboxEvent
from tests.threads.doubles import chunk
from threads import services
from threads.journal.committing import Missing, Refused, Share, StaleFence, commit
from threads.models import Event, Run


@pytest.fixture
def runs(say, ada, org, agent):
    """Two claimed runs of Ada's, in two threads."""
    found = []
    for _ in range(2):
        thread = services.create_thread(owner=ada, organization=org, agent=agent)
        run = say(to=thread)
        services.claim_run(run_id=run.pk)
        found.append(run)
    return found


def share(run, *ns, fence=1):
    return Share(run.pk, fence, [SandboxEvent(n, chunk("start")) for n in ns])


def stored(run):
    return list(Event.objects.filter(run=run, n__isnull=False).values_list("n", flat=True))


def test_shares_of_many_runs_go_in_together(runs):
    outcomes = commit([share(run, 1) for run in runs])

    assert [outcome.last_n for outcome in outcomes] == [1, 1]
    assert [outcome.has_moved for outcome in outcomes] == [True, True]
    assert [stored(run) for run in runs] == [[1], [1]]
    assert set(Run.objects.values_list("state", "last_n")) == {("running", 1)}


@pytest.mark.parametrize(
    ("make", "error"),
    [
        pytest.param(lambda run: share(run, 1, fence=0), StaleFence, id="of an older attempt"),
        pytest.param(lambda run: share(run, 2), Missing, id="with a number missing"),
        pytest.param(lambda run: Share(uuid4(), 1, ()), Refused, id="of a run that is gone"),
    ],
)
def test_a_bad_share_is_refused_and_harms_no_other(runs, make, error):
    good, bad = runs

    refused, taken = commit([make(bad), share(good, 1)])

    assert type(refused.error) is error
    assert (taken.error, taken.last_n) == (None, 1)
    assert (stored(bad), stored(good)) == ([], [1])


def test_events_that_were_committed_before_are_dropped(runs):
    run, _ = runs
    commit([share(run, 1)])

    [outcome] = commit([share(run, 1)])

    assert (outcome.error, outcome.last_n, outcome.has_moved) == (None, 1, False)
    assert stored(run) == [1]


def test_two_shares_of_one_run_follow_each_other(runs):
    run, _ = runs

    first, second = commit([share(run, 1), share(run, 2)])

    assert (first.last_n, second.last_n) == (1, 2)
    assert stored(run) == [1, 2]
