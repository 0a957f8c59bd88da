"""The texts of a run's errors: each code has its own, and every reported code is known."""

from __future__ import annotations

import pytest

from agents.harness.decopilot import failures
from agents.harness.failures import CODES
from threads.core import run_errors
from threads.core.decide import ANSWERED_ELSEWHERE, DIED, TRUNCATED
from threads.core.run_errors import WITHDRAWN, explain, explain_rest

UNKNOWN = explain("anything")


def test_every_code_has_a_sentence_and_a_hint():
    assert all(UNKNOWN)
    assert all(all(explain(code)) for code in run_errors._TEXTS)


def test_the_sandbox_s_own_sentence_takes_precedence_and_the_hint_stays():
    sentence, hint = explain("sandbox_died", "Its own words.")

    assert (sentence, hint) == ("Its own words.", explain("sandbox_died")[1])


@pytest.mark.parametrize(
    "code",
    [ANSWERED_ELSEWHERE, DIED, TRUNCATED[0], WITHDRAWN, *sorted(failures._SENTENCES), *CODES],
)
def test_a_code_that_the_server_gives_is_not_explained_as_an_unknown_one(code):
    assert explain(code) != UNKNOWN


def test_a_cut_stream_reads_the_same_wherever_it_is_noticed():
    assert explain(TRUNCATED[0])[0] == TRUNCATED[1]


@pytest.mark.parametrize("code", sorted(run_errors._RESTING))
def test_a_resting_run_says_its_own_cause_and_what_happens_next(code):
    sentence = explain_rest(code)

    assert sentence != explain_rest("anything")
    assert sentence.endswith(("Trying again…", "online.", "right."))
