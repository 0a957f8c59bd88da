"""What a person must be told about the working folder: kept, and told once."""

from __future__ import annotations

import pytest

from sandboxes.daemon.notices import MOST, NAME, Notice, Notices

FIRST = Notice("behind", "The base is 3 commits behind origin/main.")


@pytest.fixture
def notices(tmp_path):
    return Notices(tmp_path)


def test_a_notice_waits_for_a_run_also_over_a_restart(notices, tmp_path):
    notices.add(FIRST.code, FIRST.text)
    assert Notices(tmp_path).pending == (FIRST,)


def test_what_was_told_is_not_told_again(notices, tmp_path):
    notices.add(FIRST.code, FIRST.text)
    notices.note_told(notices.pending)

    again = Notices(tmp_path)
    again.add(FIRST.code, FIRST.text)

    assert again.pending == ()


def test_what_is_no_longer_so_is_forgotten_and_may_be_told_again(notices):
    notices.add(FIRST.code, FIRST.text)
    notices.note_told(notices.pending)
    notices.forget(FIRST.code)
    assert notices.pending == ()

    notices.add(FIRST.code, FIRST.text)
    assert notices.pending == (FIRST,)


def test_the_oldest_go_when_there_are_too_many(notices):
    for number in range(MOST + 1):
        notices.add("many", str(number))
    assert len(notices.pending) == MOST
    assert notices.pending[0].text == "1"


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "{}", '[1, {"code": 1, "text": "x"}, {"code": "a"}]', "[" * 100_000],
    ids=["empty", "cut", "none", "object", "wrong types", "deep"],
)
def test_a_file_that_an_agent_wrote_is_as_good_as_none(tmp_path, text):
    (tmp_path / NAME).write_text(text)
    assert Notices(tmp_path).pending == ()


def test_a_folder_that_can_t_be_written_loses_no_notice_of_this_process(notices, tmp_path):
    (tmp_path / f".{NAME}.new").mkdir()
    notices.add(FIRST.code, FIRST.text)
    assert notices.pending == (FIRST,)
