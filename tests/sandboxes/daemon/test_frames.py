from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandboxes.core.sse import Event, SseReader
from sandboxes.daemon.frames import frame, part_of_delta, to_json

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(st.characters()),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)


@given(n=st.integers(1, 2**31), body=st.dictionaries(st.text(), JSON, max_size=4))
def test_what_goes_into_a_frame_comes_out_of_it(n, body):
    raw = to_json(body)

    (event,) = SseReader().feed(frame(n, raw))

    assert event == Event(str(n), raw.decode())
    assert json.loads(event.data) == body


def test_text_is_written_as_it_is():
    assert to_json({"a": "é🌍"}) == '{"a":"é🌍"}'.encode()


@pytest.mark.parametrize(
    ("body", "part"),
    [
        ({"chunk": {"type": "text-delta", "id": "t", "delta": "x"}}, ("text-delta", "t")),
        ({"chunk": {"type": "reasoning-delta", "id": "r", "delta": "x"}}, ("reasoning-delta", "r")),
        ({"chunk": {"type": "text-delta", "id": "t", "delta": "x", "providerMetadata": {}}}, None),
        ({"chunk": {"type": "tool-input-delta", "toolCallId": "c", "inputTextDelta": "x"}}, None),
        ({"type": "done"}, None),
    ],
)
def test_which_deltas_may_be_joined(body, part):
    assert part_of_delta(body) == part
