"""What is shown of a diff, and what is said of the rest. Real git."""

from __future__ import annotations

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandboxes.daemon.repository import diff, repository
from sandboxes.daemon.repository.diff import _Shown
from tests.sandboxes.daemon.repository.work import Work

pytestmark = pytest.mark.programs


@pytest.fixture
def work(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    work = Work(tmp_path / "root")
    for name in ("a", "b", "c"):
        work.write(name, b"")
    work.commit()
    return work


def plain_diff(work):
    options = ("--no-renames", "--full-index", "HEAD")
    return work.git("diff", *options)


@pytest.fixture
def limit(monkeypatch):
    return lambda size: monkeypatch.setattr(diff, "LIMIT", size)


def test_a_diff_that_fits_is_whole(work):
    work.write("a", "gr\u00fc\u00df\r\n\n".encode())

    shown = work.repository().diff()

    assert shown["diff"] == plain_diff(work).decode()
    assert shown["leftOut"] == {"files": 0, "bytes": 0, "isExact": True}
    assert shown["truncated"] is False


def test_each_file_is_shown_in_its_own_characters(work):
    work.write("a", b"caf\xe9\r\n")
    work.write("b", "日本語のテキストです。\n".encode("shift_jis"))
    work.write("c", "gr\u00fc\u00df\n".encode())
    work.write("new", "日本語のテキストです。\n".encode("euc_jp"))

    shown = work.repository().diff()

    added = [line for line in shown["diff"].split("\n") if line.startswith("+") and line[1] != "+"]
    text = "+日本語のテキストです。"
    assert added == ["+café\r", text, "+grüß", text]
    assert shown["leftOut"] == {"files": 0, "bytes": 0, "isExact": True}


@pytest.mark.parametrize("size", [1, 50, 300, 550, 551, 552, 800, 1100])
def test_a_cut_diff_says_how_much_is_left_out(work, limit, size):
    for name in ("a", "b", "c"):
        work.write(name, "\u00e4\u20ac\U0001f600\n".encode() * 20)
    whole = plain_diff(work)
    limit(size)

    shown = work.repository().diff()

    text = shown["diff"].encode()
    shown_files = sum(whole.startswith(text) and part in text for part in _parts_of(whole))
    assert whole.startswith(text)  # no half of a character either
    assert shown["leftOut"] == {
        "files": 3 - shown_files,
        "bytes": len(whole) - len(text),
        "isExact": True,
    }
    assert size - 4 < len(text) <= size
    assert shown["truncated"] is True


def _parts_of(whole):
    mark = b"diff --git "
    return [mark + part for part in whole.split(mark)[1:]]


def test_new_files_count_with_what_is_in_them(work, limit):
    work.write("a", b"x\n" * 200)
    for name in ("new 1", "new 2", "new 3"):
        work.write(name, b"12345\n")
    tracked = plain_diff(work)
    limit(len(tracked) - 10)

    shown = work.repository().diff()

    assert shown["leftOut"] == {"files": 4, "bytes": 10 + 3 * 6, "isExact": True}


def test_only_so_many_new_files_are_shown(work, monkeypatch):
    monkeypatch.setattr(diff, "NEW_FILES", 2)
    for number in range(5):
        work.write(f"new{number}", b"12345\n")

    shown = work.repository().diff()

    assert shown["diff"].count("+12345") == 2
    assert (shown["leftOut"], shown["truncated"]) == (
        {"files": 3, "bytes": 18, "isExact": True},
        True,
    )


def test_counting_ends_after_a_while(work, limit, monkeypatch):
    monkeypatch.setattr(diff, "COUNT_WITHIN", 0.0)
    work.write("a", b"x\n" * 1_000_000)
    limit(1000)

    shown = work.repository().diff()

    assert len(shown["diff"]) == 1000
    assert shown["leftOut"]["isExact"] is False
    assert 0 < shown["leftOut"]["bytes"] < 3_000_000


@pytest.mark.parametrize("target", ["folder", "nowhere", "a", "two\nlines"])
def test_a_new_link_is_shown_and_not_what_it_leads_to(work, target):
    work.write("folder/secret", b"secret\n")
    work.commit()
    os.symlink(target, work.path("link"))

    shown = work.repository().diff()

    assert "new file mode 120000" in shown["diff"]
    assert "".join(f"+{line}\n" for line in target.split("\n")) in shown["diff"]
    assert "secret" not in shown["diff"]


def test_a_new_file_that_is_gone_by_now_is_left_out(work, monkeypatch):
    work.write("gone", b"x\n")
    facts = work.repository().facts()
    monkeypatch.setattr(repository.Repository, "facts", lambda self: facts)
    os.unlink(work.path("gone"))

    assert work.repository().diff()["leftOut"]["files"] == 1


def test_before_the_first_commit_everything_is_shown(tmp_path):
    work = Work(tmp_path / "root")
    work.write("staged", b"one\n")
    work.git("add", "staged")
    work.write("staged", b"two\n")
    work.write("new", b"three\n")

    shown = work.repository().diff()["diff"]

    assert ("+two\n" in shown, "+three\n" in shown, "+one" in shown) == (True, True, False)


def test_more_files_than_are_listed(work, monkeypatch):
    monkeypatch.setattr(repository, "MOST_LISTED", 2)
    for number in range(5):
        work.write(f"new{number}", b"12345\n")

    shown = work.repository().diff()

    assert ([file["path"] for file in shown["files"]], shown["filesLeftOut"]) == (
        ["new0", "new1"],
        3,
    )
    assert (shown["truncated"], shown["leftOut"]["isExact"]) == (True, False)
    assert work.repository().discard(["new4"])["discarded"] == ["new4"]
    with pytest.raises(Exception, match="More files"):
        work.repository().changed()


@given(
    pieces=st.lists(st.binary(max_size=30) | st.sampled_from([b"\ndiff --git ", b"\ndiff --gi"])),
    limit=st.integers(1, 60),
)
def test_any_pieces_add_up(pieces, limit):
    whole, shown = b"".join(pieces), _Shown(limit)
    for piece in pieces:
        shown.take(piece)

    result = shown.result()

    assert shown.files == (b"\n" + whole).count(b"\ndiff --git ")
    assert 0 <= result["leftOut"]["files"] <= max(1, shown.files)
    assert len(whole) - limit <= result["leftOut"]["bytes"] <= max(0, len(whole) - limit) + 3
