"""Whatever a program writes, an adapter neither raises nor leaves a turn half open."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agents.harness import ADAPTERS
from agents.harness.base import Ask, Done
from tests.examples import up_to
from tests.harness.driver import turn
from tests.harness.scenarios import ALL, SCENARIOS, load
from tests.harness.shapes import check_turn
from tests.harness.speech import SPEECHES, DemoSpeech

CALLS = st.sampled_from(["call-1", "call-2", ""])


def sensible(speech):
    """Lines as the program writes them, in any order."""
    texts = st.text(max_size=20)
    return st.one_of(
        st.builds(lambda: speech.hello()),
        st.builds(speech.text, texts, texts),
        st.builds(speech.thinking, texts),
        st.builds(speech.call, CALLS, texts),
        st.builds(speech.ask, CALLS, texts),
        st.builds(speech.result, CALLS, texts),
        st.builds(speech.failed, CALLS, texts),
        st.builds(speech.refused, CALLS),
        st.builds(speech.interrupted),
    ).map(lambda lines: [line.rstrip("\n").encode() for line in lines])


def keys_of(value):
    """Return every key and short text of a JSON value, to make odd lines of."""
    if isinstance(value, dict):
        return set(value).union(*(keys_of(item) for item in value.values()))
    if isinstance(value, list):
        return set().union(*(keys_of(item) for item in value))
    return {value} if isinstance(value, str) and len(value) < 40 else set()


REAL = sorted({line for kind, name in ALL for line in load(kind, name)})
DEMO = DemoSpeech()
SPOKEN = [
    line.encode()
    for lines in (DEMO.hello(), DEMO.text("a"), DEMO.call("c", "x"), DEMO.ask("c", "x"), DEMO.end())
    for line in lines
]
WORDS = sorted(set().union(*(keys_of(json.loads(line)) for line in [*REAL, *SPOKEN])))

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.sampled_from(WORDS) | st.text(),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(WORDS), inner, max_size=6)
    ),
    max_leaves=12,
)
odd = st.one_of(
    st.binary(max_size=60).map(lambda raw: raw.replace(b"\n", b"")),
    st.dictionaries(st.sampled_from(WORDS), values, max_size=8).map(
        lambda v: json.dumps(v).encode()
    ),
    st.builds(lambda line, end: line[:end], st.sampled_from(REAL + SPOKEN), st.integers(0, 400)),
    st.sampled_from(REAL),
).map(lambda line: [line])

acts = st.sampled_from([b"!allow", b"!deny", b"!interrupt"]).map(lambda act: [act])


def play(adapter, given_turn, lines):
    """Feed ``lines`` and the end of the program; return the outputs up to ``Done``, and after."""
    outs = adapter.begin(given_turn)
    for line in lines:
        if line in (b"!allow", b"!deny"):
            for ask in [out for out in outs if isinstance(out, Ask)]:
                outs += adapter.answer(ask.approval_id, line[1:].decode(), "")
        elif line == b"!interrupt":
            outs += adapter.interrupt()
        else:
            outs += adapter.feed(line)
    outs += adapter.ended(1, "bye")
    done = next(n for n, out in enumerate(outs) if isinstance(out, Done))
    return outs[: done + 1], outs[done + 1 :]


@pytest.mark.parametrize("speech", SPEECHES, ids=lambda speech: speech.kind)
@settings(max_examples=up_to(150), deadline=None)
@given(
    data=st.data(),
    level=st.sampled_from(["auto", "readonly"]),
    mode=st.sampled_from(["default", "plan"]),
)
def test_a_turn_is_whole_whatever_the_program_writes(speech, data, level, mode):
    lines = data.draw(st.lists(st.one_of(sensible(speech()), odd, acts), max_size=25))
    if data.draw(st.booleans()):  # most of what a program says counts once it is there
        lines.insert(0, [line.rstrip("\n").encode() for line in speech().hello()])
    given_turn = turn("hi", toolApprovalLevel=level, mode=mode)

    outs, after = play(speech.adapter(), given_turn, [line for some in lines for line in some])

    check_turn(outs)
    assert not any(hasattr(out, "chunk") or isinstance(out, Done) for out in after)


@settings(max_examples=up_to(200), deadline=None)
@given(recorded=st.sampled_from(ALL), end=st.integers(0, 60), drop=st.integers(0, 60))
def test_a_recording_cut_anywhere_with_a_line_missing(recorded, end, drop):
    kind, name = recorded
    lines = load(kind, name)[:end]
    del lines[drop : drop + 1]

    outs, _ = play(ADAPTERS[kind](), turn("hi", **SCENARIOS[kind][name].changes), lines)

    check_turn(outs)
