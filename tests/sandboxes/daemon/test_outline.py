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


def test_a_stop_is_no_error():
    assert Outline("r1").closing("abort", "") == [
        {"type": "start", "messageId": "r1"},
        {"type": "abort"},
        {"type": "finish"},
    ]
