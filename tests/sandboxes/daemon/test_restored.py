"""The link's mark in a folder that it brought back becomes a notice, once."""

from __future__ import annotations

import pytest

from links.wire.names import RESTORED
from sandboxes.daemon import restored
from sandboxes.daemon.notices import Notices


@pytest.fixture
def notices(tmp_path):
    return Notices(tmp_path)


@pytest.mark.parametrize(
    ("mark", "said"),
    [
        pytest.param("", "brought back as it was.", id="whole"),
        pytest.param("work", "“work” has changed since", id="without its branch"),
    ],
)
def test_the_person_is_told_once(tmp_path, notices, mark, said):
    (tmp_path / RESTORED).write_text(mark)

    for _ in range(2):
        restored.note(tmp_path, notices)

    [notice] = notices.pending
    assert notice.code == "restored"
    assert said in notice.text
    assert not (tmp_path / RESTORED).exists()


def test_without_a_mark_there_is_nothing_to_tell(tmp_path, notices):
    restored.note(tmp_path, notices)

    assert notices.pending == ()


def test_a_mark_that_is_no_file_is_left_alone(tmp_path, notices):
    (tmp_path / RESTORED).mkdir()

    restored.note(tmp_path, notices)

    assert notices.pending == ()
