"""The fold: the cases it shares with the browser's, and its own guarantees."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from threads.core.fold import closing, fold

CASES = json.loads((Path(__file__).parents[1] / "fold_cases.json").read_text("utf-8"))


def chunk(kind, **more):
    return {"type": kind, **more}


@pytest.mark.parametrize("case", [pytest.param(case, id=case["name"]) for case in CASES])
def test_case(case):
    folded = fold(case["chunks"])

    assert {
        "id": folded.message_id,
        "metadata": folded.metadata,
        "parts": folded.parts(),
    } == case["message"]


@pytest.mark.parametrize("case", [pytest.param(case, id=case["name"]) for case in CASES])
def test_reading_the_parts_in_between_changes_nothing(case):
    folded = fold([])
    for one in case["chunks"]:
        folded.apply(one)
        folded.parts()

    assert folded.parts() == case["message"]["parts"]


KINDS = [
    "start",
    "start-step",
    "finish-step",
    "finish",
    "text-start",
    "text-delta",
    "text-end",
    "reasoning-delta",
    "tool-input-start",
    "tool-input-delta",
    "tool-input-available",
    "tool-approval-request",
    "tool-output-available",
    "tool-output-denied",
    "data-plan",
    "data-approval",
    "nonsense",
]
any_json = st.none() | st.integers() | st.text(max_size=5) | st.dictionaries(st.text(), st.none())
any_chunk = st.fixed_dictionaries(
    {"type": st.sampled_from(KINDS)},
    optional={
        "id": st.sampled_from(["a", "b"]),
        "toolCallId": st.sampled_from(["a", "b"]),
        "delta": st.text(max_size=5),
        "inputTextDelta": st.text('{}[]":,1e-tfn\\', max_size=5),
        "toolName": st.just("Bash"),
        "dynamic": st.booleans(),
        "input": any_json,
        "output": any_json,
        "data": st.none() | st.dictionaries(st.just("toolCallId"), st.just("a")),
        "messageMetadata": any_json,
    },
)


@given(st.lists(any_chunk, max_size=30))
def test_no_sequence_of_chunks_breaks_it(chunks):
    parts = fold(chunks).parts()

    assert all(part["type"] for part in parts)
    json.dumps(parts)


@given(st.lists(any_chunk, max_size=30))
def test_after_closing_nothing_is_open(chunks):
    folded = fold(chunks)
    for one in closing(folded):
        folded.apply(one)

    assert closing(folded) == []


@given(st.lists(st.text(max_size=4)))
def test_a_text_is_the_sum_of_its_deltas(words):
    chunks = [chunk("text-delta", id="t", delta=word) for word in words]

    parts = fold([chunk("text-start", id="t"), *chunks]).parts()

    assert parts[0]["text"] == "".join(words)


def test_a_long_text_takes_time_in_proportion():
    """100,000 deltas: appending to one string each time would copy 5 GB."""
    chunks = [chunk("text-delta", id="t", delta="x" * 10) for _ in range(100_000)]

    assert len(fold(chunks).parts()[0]["text"]) == 1_000_000


def test_closing_ends_open_texts_and_tools():
    folded = fold(
        [
            chunk("text-start", id="t"),
            chunk("tool-input-start", toolCallId="c", toolName="Bash", dynamic=True),
        ]
    )

    assert [c["type"] for c in closing(folded)] == ["text-end", "tool-output-error"]


TOOL = {"toolCallId": "c", "toolName": "Bash", "dynamic": True}
WHOLE = chunk("tool-input-available", **TOOL, input={})
ASK = chunk("tool-approval-request", toolCallId="c", approvalId="a")


def answered(decision):
    return chunk("data-approval", data={"toolCallId": "c", "decision": decision})


@pytest.mark.parametrize(
    ("chunks", "ended"),
    [
        pytest.param([chunk("tool-input-start", **TOOL)], "not_run", id="being written"),
        pytest.param([WHOLE], "interrupted", id="under way"),
        pytest.param([WHOLE, ASK], "not_run", id="asked"),
        pytest.param([WHOLE, ASK, answered("allow")], "interrupted", id="allowed"),
        pytest.param([WHOLE, ASK, answered("deny")], "not_run", id="denied"),
    ],
)
def test_what_became_of_a_call_is_told_as_far_as_it_is_known(chunks, ended):
    folded = fold(chunks)
    for one in closing(folded):
        folded.apply(one)

    assert folded.parts()[0]["resultProviderMetadata"] == {"mesh": {"ended": ended}}
