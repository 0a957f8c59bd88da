"""From stored messages to what a model is told (D-HN3 to D-HN8), and past a lost attempt."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.harness.decopilot.memory import (
    OUTPUT_LIMIT,
    Call,
    Image,
    Lost,
    Reply,
    System,
    User,
    cut,
    fit,
    has_agreed_to_plan,
    lost_of,
    replies_of,
    text_of,
    turns_of,
)
from agents.harness.questions import PLAN_READY


def said(role, *parts):
    return {"role": role, "parts": list(parts)}


def text(value):
    return {"type": "text", "text": value}


STEP = {"type": "step-start"}


def tool(state="output-available", call="c1", **fields):
    part = {"type": "dynamic-tool", "toolName": "bash", "toolCallId": call, "input": {"a": 1}}
    return part | {"state": state, "output": "out"} | fields


DONE = Call("c1", "bash", {"a": 1}, "out", "success")


def test_order_is_kept_and_system_stays():
    """D-HN3, D-HN4, D-HN7."""
    messages = [said("system", text("s")), said("user", text("u")), said("assistant", text("a"))]

    assert turns_of(messages) == [System("s"), User(("u",)), Reply("a")]


def test_nothing_gives_nothing():
    """D-HN6."""
    assert turns_of([]) == []


@pytest.mark.parametrize("state", ["input-streaming", "input-available", "approval-requested"])
def test_an_incomplete_call_is_left_out_without_an_error(state):
    """D-HN5."""
    assert turns_of([said("assistant", text("a"), tool(state))]) == [Reply("a")]


@pytest.mark.parametrize(
    ("parts", "joined"),
    [
        ([text("a"), text("b")], "a\nb"),
        ([{"type": "file"}, text("a")], "a"),
        ([{"type": "text", "text": 5}], ""),
        ([], ""),
    ],
)
def test_texts_are_joined_and_others_skipped(parts, joined):
    """D-HN8."""
    assert text_of(said("user", *parts)) == joined


def test_each_step_is_an_answer_of_its_own():
    parts = [STEP, text("I look."), tool(), STEP, text("Done.")]

    assert replies_of(parts) == [Reply("I look.", (DONE,)), Reply("Done.")]


@pytest.mark.parametrize(
    ("part", "output", "outcome"),
    [
        (tool("output-error", errorText="no"), "no", "failed"),
        (tool("output-denied"), "The person did not allow this.", "denied"),
        (
            tool("output-denied", approval={"reason": "use ls"}),
            "The person did not allow this. use ls",
            "denied",
        ),
        (tool(output={"a": 1}), '{"a": 1}', "success"),
    ],
)
def test_how_a_call_ended(part, output, outcome):
    (reply,) = replies_of([part])

    assert (reply.calls[0].output, reply.calls[0].outcome) == (output, outcome)


def test_pictures_are_looked_at_and_other_files_read():
    png = "data:image/png;base64," + base64.b64encode(b"\x89PNG").decode()
    files = [
        {"type": "file", "mediaType": "image/png", "url": png},
        {"type": "file", "mediaType": "text/plain", "filename": "a.txt", "url": "data:,hi"},
    ]
    (turn,) = turns_of([said("user", *files)])

    assert turn.content == (Image("image/png", b"\x89PNG", "a file"), "a.txt:\n\nhi")


def test_of_a_lost_attempt_the_steps_that_were_done_are_kept():
    done = (STEP, text("I look."), tool())
    assert lost_of([*done, STEP, text("half an ans")]) == Lost(done)
    assert lost_of([STEP, text("whole, but not known to be")]) == Lost()


@pytest.mark.parametrize("state", ["input-available", "approval-requested", "approval-responded"])
def test_of_a_lost_attempt_the_calls_that_were_made_are_carried_on(state):
    done, made = (STEP, text("I look."), tool()), tool(state, call="c2")
    streaming = tool("input-streaming", call="c3")

    assert lost_of([*done, STEP, made]) == Lost(done, (STEP, made))
    assert lost_of([STEP, tool(), made, streaming]) == Lost((), (STEP, tool(), made))
    assert lost_of([STEP, tool("input-streaming")]) == Lost()


def test_a_plan_that_was_agreed_to_is_known_again():
    agreed = tool() | {"toolName": PLAN_READY, "type": "dynamic-tool"}

    assert has_agreed_to_plan([STEP, tool(), agreed])
    assert not has_agreed_to_plan([STEP, tool(), agreed | {"state": "output-denied"}])


def test_what_is_too_long_loses_its_middle():
    shown = cut("a" * OUTPUT_LIMIT + "b")

    assert shown.startswith("aaa")
    assert shown.endswith("ab")
    assert "1 characters left out" in shown


def test_the_oldest_turns_go_first_and_the_newest_never():
    turns = [System("s"), User(("x" * 50,)), Reply("y" * 50), User(("z" * 90,)), Reply("a")]

    assert fit(turns, 100) == [System("s"), User(("z" * 90,)), Reply("a")]
    assert fit([User(("x" * 500,))], 100) == [User(("x" * 500,))]


PARTS = st.lists(
    st.sampled_from(
        [STEP, text("a"), text(" "), tool(), tool("input-available"), {"type": "odd"}, {}]
    )
)


@given(PARTS)
def test_any_parts_give_replies_whose_calls_have_ends(parts):
    for reply in replies_of(lost_of(parts).settled):
        assert reply.calls
    for reply in replies_of(parts):
        assert reply.text or reply.calls
