"""Frames on the wire, each kind against its golden file; and what is no frame."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from links.wire import frames
from links.wire.errors import FrameTooLarge, MalformedFrame, TunnelError

GOLDEN = sorted(
    path
    for path in Path(__file__).with_name("golden").glob("*.json")
    if "hex" in json.loads(path.read_text())
)
IN_HEX = {frames.DATA, frames.PART, frames.CREDIT}


def read(path):
    value = json.loads(path.read_text())
    listed = [
        (kind, stream, bytes.fromhex(text) if kind in IN_HEX else text.encode())
        for kind, stream, text in value["frames"]
    ]
    return listed, bytes.fromhex(value["hex"])


@pytest.mark.parametrize("path", GOLDEN, ids=lambda path: path.stem)
def test_golden(path):
    listed, message = read(path)

    assert frames.pack(listed) == message
    assert list(frames.unpack(message)) == listed


def test_every_kind_has_a_golden_file():
    kinds = {kind for path in GOLDEN for kind, _, _ in read(path)[0]}

    assert kinds == frames.KNOWN


FRAMES = st.tuples(st.integers(0, 255), st.integers(0, 2**32 - 1), st.binary(max_size=100))


@given(st.lists(FRAMES.filter(lambda frame: frame[0] != frames.BUNDLE), min_size=1))
def test_what_is_packed_is_unpacked(listed):
    assert list(frames.unpack(frames.pack(listed))) == listed


@given(st.binary(max_size=200) | st.binary(max_size=200).map(lambda b: b"\x05\0\0\0\0" + b))
def test_no_bytes_crash_the_parser(message):
    try:
        list(frames.unpack(message))
    except TunnelError:
        pass


@pytest.mark.parametrize(
    ("message", "error"),
    [
        pytest.param(b"", MalformedFrame, id="nothing"),
        pytest.param(b"\x12\0\0\0", MalformedFrame, id="short of a header"),
        pytest.param(b"\x05\0\0\0\0" + b"\0\0\0\x06\x12\0\0\0\x01", MalformedFrame, id="cut off"),
        pytest.param(b"\x05\0\0\0\0" + b"\0\0\0\x05\x05\0\0\0\0", MalformedFrame, id="nested"),
        pytest.param(b"\x05\0\0\0\0" + b"\0\0\0\x04\x12\0\0\0\x01", MalformedFrame, id="too short"),
        pytest.param(b"\x05\0\0\0\0" + b"\xff" * 9, FrameTooLarge, id="wild length"),
        pytest.param(b"\x12" + bytes(4 + frames.MAX_FRAME + 1), FrameTooLarge, id="large frame"),
        pytest.param(b"\x05" + bytes(frames.MAX_MESSAGE), FrameTooLarge, id="large message"),
    ],
)
def test_refuses(message, error):
    with pytest.raises(error):
        list(frames.unpack(message))


def test_the_largest_frame_is_taken():
    message = b"\x12\0\0\0\x01" + bytes(frames.MAX_FRAME)

    assert len(next(frames.unpack(message))[2]) == frames.MAX_FRAME


@pytest.mark.parametrize("payload", [b"", b"\0\0\0\0", b"\0\0\0\0\x01"])
def test_a_credit_is_a_number_above_zero(payload):
    with pytest.raises(MalformedFrame):
        frames.unpack_credit(payload)


@pytest.mark.parametrize(
    ("payload", "error"),
    [
        (b"[]", MalformedFrame),
        (b"{", MalformedFrame),
        (b"\xff", MalformedFrame),
        (b"[" * 5000, MalformedFrame),
        (b" " * (frames.MAX_HEAD + 1), FrameTooLarge),
    ],
    ids=["list", "broken", "not UTF-8", "deep", "large"],
)
def test_a_head_is_a_json_object_of_limited_size(payload, error):
    with pytest.raises(error):
        frames.unpack_json(payload)


def test_we_do_not_send_what_would_be_refused():
    with pytest.raises(FrameTooLarge):
        frames.pack_json({"x": "y" * frames.MAX_HEAD})
