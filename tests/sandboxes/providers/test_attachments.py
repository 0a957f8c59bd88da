"""Files on their way to a sandbox, over a line that breaks and slows down."""

from __future__ import annotations

import hashlib
import os
from urllib.parse import parse_qs, urlsplit

import pytest

from sandboxes.daemon.attachments import Attachments
from sandboxes.providers import attachments
from sandboxes.providers.attachments import AttachmentSender
from sandboxes.providers.base import DispatchRefused, StreamCut
from tests.sandboxes.providers.conformance import Files

DATA = os.urandom(1_000_000)
DIGEST = hashlib.sha256(DATA).hexdigest()


class Line:
    """Leads to what a sandbox keeps; breaks after ``breaks_after`` pieces."""

    def __init__(self, folder, *, breaks_after=None):
        self.kept = Attachments(folder)
        self.breaks_after = breaks_after
        self.pieces = []

    async def ask(self, method, target, body):
        parts = urlsplit(target)
        query = parse_qs(parts.query)
        if method == "GET":
            return {"held": {each: self.kept.held(each) for each in query["digest"]}}
        if len(self.pieces) == self.breaks_after:
            raise StreamCut
        self.pieces.append(len(body))
        size, offset = int(query["size"][0]), int(query["offset"][0])
        digest = parts.path.removeprefix("attachments/")
        return {"held": self.kept.add(digest, size=size, offset=offset, piece=body)}


@pytest.fixture
def files():
    return Files({"a": DATA})


async def test_a_transfer_that_broke_off_sends_only_the_rest(tmp_path, files):
    line, sender = Line(tmp_path, breaks_after=2), AttachmentSender()
    with pytest.raises(StreamCut):
        await sender.by_reference(files.messages, files.read, line.ask)

    line.breaks_after = None
    (message,) = await sender.by_reference(files.messages, files.read, line.ask)

    assert sum(line.pieces) == len(DATA)
    assert message["parts"][1]["digest"] == DIGEST
    assert "attachment" not in message["parts"][1]


async def test_what_the_sandbox_has_is_not_sent_nor_even_read(tmp_path, files):
    line, sender = Line(tmp_path), AttachmentSender()
    for _ in range(2):
        await sender.by_reference(files.messages, files.read, line.ask)

    assert sum(line.pieces) == len(DATA)
    assert files.reads == ["a"]


@pytest.mark.parametrize(
    ("took", "following"),
    [
        pytest.param(0.1, 128 * 1024, id="a fast line"),
        pytest.param(2.0, 64 * 1024, id="neither"),
        pytest.param(9.0, 32 * 1024, id="a slow line"),
    ],
)
def test_a_piece_takes_seconds_whatever_the_line(took, following):
    assert attachments._next_length(64 * 1024, took) == following


async def test_a_file_that_is_gone_keeps_its_address(tmp_path):
    files = Files({"gone": None})
    line = Line(tmp_path)

    (message,) = await AttachmentSender().by_reference(files.messages, files.read, line.ask)

    assert message["parts"][1]["url"] == "/api/home/decopilot/files/gone"
    assert line.pieces == []


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(None, id="no JSON"),
        pytest.param([], id="a list"),
        pytest.param({"held": {}}, id="not named"),
        pytest.param({"held": {DIGEST: -1}}, id="less than nothing"),
        pytest.param({"held": {DIGEST: True}}, id="no number"),
    ],
)
async def test_an_answer_that_makes_no_sense_is_refused(files, answer):
    async def ask(method, target, body):
        return answer

    with pytest.raises(DispatchRefused):
        await AttachmentSender().by_reference(files.messages, files.read, ask)


@pytest.mark.parametrize("held", [0, 10**9])
async def test_a_sandbox_that_keeps_nothing_is_not_asked_for_ever(files, held):
    async def ask(method, target, body):
        return {"held": {DIGEST: 0} if method == "GET" else held}

    with pytest.raises(StreamCut):
        await AttachmentSender().by_reference(files.messages, files.read, ask)
