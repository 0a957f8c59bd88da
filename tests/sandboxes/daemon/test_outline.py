from __future__ import annotations

import pytest

from sandboxes.daemon.outline import Outline

START = {"type": "start"}
TEXT = {"type": "text-start", "id": "t"}
TOOL = {"type": "tool-input-available", "toolCallId": "c"}
PART = {"type": "tool-output-available", "toolCallId": "c", "preliminary": True}
RESULT = {"type": "tool-output-available", "toolCallId": "c"}
FINISH = {"type": "finish"}


@pytest.mark.parametrize(
    ("seen", "closing"),
    [
        pytest.param([], "start error finish", id="nothing said"),
        pytest.param([START], "error finish", id="only started"),
        pytest.param([START, FINISH], "", id="whole"),
        pytest.param([START, TEXT], "text-end error finish", id="text open"),
        pytest.param([START, TEXT, {"type": "text-end", "id": "t"}], "error finish", id="closed"),
        pytest.param(
            [START, {"type": "reasoning-start", "id": "r"}],
            "reasoning-end error finish",
            id="thinks",
        ),
        pytest.param([START, TOOL], "tool-output-error error finish", id="tool open"),
        pytest.param([START, TOOL, PART], "tool-output-error error finish", id="tool half done"),
        pytest.param([START, TOOL, RESULT], "error finish", id="tool done"),
        pytest.param([START, {"type": "start-step"}], "finish-step error finish", id="in a step"),
        pytest.param([START, {"type": "error"}], "finish", id="error said"),
    ],
)
def test_closing(seen, closing):
    outline = Outline("r1")
    for chunk in seen:
        outline.see(chunk)

    chunks = outline.closing("error", "It broke.")

    assert [chunk["type"] for chunk in chunks] == closing.split()
    for chunk in chunks:
        outline.see(chunk)
    assert outline.closing("error", "again") == []


BEGUN = {"type": "tool-input-start", "toolCallId": "c"}
ASK = {"type": "tool-approval-request", "approvalId": "a", "toolCallId": "c"}


@pytest.mark.parametrize(
    ("seen", "answer", "ended"),
    [
        pytest.param([TOOL], None, "interrupted", id="under way"),
        pytest.param([TOOL, PART], None, "interrupted", id="half done"),
        pytest.param([BEGUN], None, "not_run", id="its input was not whole"),
        pytest.param([BEGUN, TOOL, ASK], None, "not_run", id="nobody had answered"),
        pytest.param([TOOL, ASK], "allow", "interrupted", id="allowed a moment ago"),
        pytest.param([TOOL, ASK], "deny", "not_run", id="denied a moment ago"),
    ],
)
def test_what_became_of_a_call_is_told_as_far_as_it_is_known(seen, answer, ended):
    """Between "allow" and its result a call runs at most once, and possibly not at all."""
    outline = Outline("r1")
    for chunk in [START, *seen]:
        outline.see(chunk)
    if answer:
        outline.see_applied("a", answer)

    tool = outline.closing("error", "It broke.")[0]

    assert tool["providerMetadata"] == {"mesh": {"ended": ended}}
    assert tool["errorText"].startswith("Not run:" if ended == "not_run" else "Interrupted:")


def test_a_stop_is_no_error():
    assert Outline("r1").closing("abort", "") == [
        {"type": "start", "messageId": "r1"},
        {"type": "abort"},
        {"type": "finish"},
    ]
