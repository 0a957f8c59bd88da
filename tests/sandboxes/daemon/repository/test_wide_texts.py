"""The lines of files in UTF-16 and UTF-32, which git takes for binary. Real git."""

from __future__ import annotations

import os
import subprocess

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sandboxes.daemon.repository import diff, wide_texts
from tests.sandboxes.daemon.repository.work import Work

pytestmark = pytest.mark.programs

CODECS = {
    "UTF-16 LE with BOM": ("utf-16-le", b"\xff\xfe"),
    "UTF-16 BE with BOM": ("utf-16-be", b"\xfe\xff"),
    "UTF-16 LE": ("utf-16-le", b""),
    "UTF-16 BE": ("utf-16-be", b""),
    "UTF-32 LE with BOM": ("utf-32-le", b"\xff\xfe\0\0"),
    "UTF-32 BE with BOM": ("utf-32-be", b"\0\0\xfe\xff"),
}
PICTURE = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\1"


def in_utf16(text):
    return b"\xff\xfe" + text.encode("utf-16-le")


@pytest.fixture
def work(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    return Work(tmp_path / "root")


def shown_of(work):
    return work.repository().diff()["diff"]


def lines_of(text):
    """Return what stands below the files' names."""
    heads = ("diff ", "index ", "--- ", "+++ ")
    return [line for line in text.split("\n")[:-1] if not line.startswith(heads)]


@pytest.mark.parametrize("title", CODECS)
def test_the_lines_of_a_changed_text_are_shown(work, title):
    codec, mark = CODECS[title]
    work.write("Messages.strings", mark + "one\r\nzwölf\r\nlast".encode(codec))
    work.commit()
    work.write("Messages.strings", mark + "one\r\nzwanzig\r\nlast".encode(codec))

    text = shown_of(work)

    assert "\n--- a/Messages.strings\n+++ b/Messages.strings\n@@ " in text
    assert lines_of(text) == [
        "@@ -1,3 +1,3 @@",
        " one\r",
        "-zwölf\r",
        "+zwanzig\r",
        " last",
        "\\ No newline at end of file",
    ]


def test_a_new_one_and_a_deleted_one_are_shown(work):
    work.write("gone", in_utf16("one\n"))
    work.commit()
    os.unlink(work.path("gone"))
    work.write("fresh", in_utf16("日本\n"))

    text = shown_of(work)

    assert "\n--- a/gone\n+++ /dev/null\n@@ -1 +0,0 @@\n-one\n" in text
    assert "\n--- /dev/null\n+++ b/fresh\n@@ -0,0 +1 @@\n+日本\n" in text


NAMES = ["two words", "grüße", 'quo"ted', "-", "line\nbreak", b"caf\xe9", b'caf\xe9 "one"']


@pytest.mark.parametrize("name", NAMES)
def test_any_name_is_written_as_git_writes_it(work, name):
    name = os.fsencode(name)
    new = b"new " + name
    found = []
    for encode in (str.encode, in_utf16):
        work.write(name, encode("one\n"))
        work.commit()
        work.write(name, encode("two\n"))
        work.write(new, encode("one\n"))
        text = shown_of(work)
        found.append([line for line in text.split("\n") if not line.startswith("index ")])
        os.unlink(work.path(new))

    assert found[0] == found[1]
    assert "+two" in found[0]


def test_another_encoding_is_named(work):
    work.write("a", in_utf16("one\ntwo\n"))
    work.write("b", b"one\n")
    work.commit()
    work.write("a", "one\nzwölf\n".encode())
    work.write("b", in_utf16("one\n"))

    assert lines_of(shown_of(work)) == [
        "\\ Encoding: UTF-16 LE with BOM, now UTF-8",
        "@@ -1,2 +1,2 @@",
        " one",
        "-two",
        "+zwölf",
        "\\ Encoding: UTF-8, now UTF-16 LE with BOM",
    ]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        pytest.param(PICTURE, PICTURE + b"\1", id="a picture"),
        pytest.param(in_utf16("one\n"), PICTURE, id="a text that became a picture"),
        pytest.param(PICTURE, in_utf16("one\n"), id="a picture that became a text"),
        pytest.param(in_utf16("one\n"), in_utf16("one\n") + b"x", id="half a character"),
    ],
)
def test_what_is_no_text_only_differs(work, before, after):
    work.write("file", before)
    work.commit()
    work.write("file", after)

    assert lines_of(shown_of(work)) == ["Binary files a/file and b/file differ"]


def test_a_file_whose_changes_the_project_does_not_show_only_differs(work):
    work.write(".gitattributes", b"*.resx -diff\n")
    work.write("a.resx", in_utf16("one\n"))
    work.commit()
    work.write("a.resx", in_utf16("two\n"))

    assert lines_of(shown_of(work)) == ["Binary files a/a.resx and b/a.resx differ"]


def test_a_file_that_git_stores_otherwise_only_differs(work, tmp_path):
    """What is on the disk is then not what git has compared."""
    work.write(".gitattributes", b"a filter=upper\n")
    work.write("a", in_utf16("one\n"))
    work.commit()
    work.git("config", "--global", "filter.upper.clean", "tr a-z A-Z")
    work.write("a", in_utf16("two\n"))

    assert "Binary files a/a and b/a differ" in lines_of(shown_of(work))


def test_a_link_in_the_place_of_a_text_is_not_followed(work, tmp_path):
    work.write("a", in_utf16("one\n"))
    work.commit()
    (tmp_path / "secret").write_bytes(in_utf16("secret\n"))
    os.unlink(work.path("a"))
    os.symlink(tmp_path / "secret", work.path("a"))

    text = shown_of(work)

    assert "-one" in text
    assert "+secret" not in text


def test_a_large_one_only_differs(work, monkeypatch):
    monkeypatch.setattr(wide_texts, "SIZE", 100)
    work.write("before", in_utf16("x" * 100))
    work.write("after", in_utf16("x"))
    work.commit()
    work.write("before", in_utf16("x"))
    work.write("after", in_utf16("x" * 100))

    assert len([line for line in lines_of(shown_of(work)) if line.startswith("Binary")]) == 2


def test_only_so_many_are_compared(work, monkeypatch):
    monkeypatch.setattr(wide_texts, "MOST", 2)
    for number in range(4):
        work.write(f"new{number}", in_utf16("one\n"))

    text = shown_of(work)

    assert (text.count("+one\n"), text.count("Binary files")) == (2, 2)


def test_lines_that_do_not_fit_are_counted_as_left_out(work, monkeypatch):
    for name in ("a", "b", "c"):
        work.write(name, in_utf16("one\n"))
    work.commit()
    for name in ("a", "b", "c"):
        work.write(name, in_utf16("two\n" * 20))
    whole = work.repository().diff()
    assert whole["leftOut"] == {"files": 0, "bytes": 0, "isExact": True}
    begins_last = whole["diff"].rindex("diff --git ")
    monkeypatch.setattr(diff, "LIMIT", begins_last - 10)

    shown = work.repository().diff()

    assert shown["diff"] == whole["diff"][: begins_last - 10]
    # Of the last file, which does not fit, git says in one line that it differs.
    assert (shown["leftOut"]["files"], shown["truncated"]) == (2, True)
    assert shown["leftOut"]["bytes"] > 10


@settings(max_examples=25, deadline=None)
@given(
    st.lists(st.text("aä日\r \U0001f600", max_size=5), max_size=6),
    st.lists(st.text("aä日\r \U0001f600", max_size=5), max_size=6),
)
def test_the_lines_are_those_of_the_same_texts_in_utf8(tmp_path_factory, before, after):
    work = Work(tmp_path_factory.mktemp("work") / "root")
    states = ["a" + "\n".join(each) for each in (before, after)]
    if states[0] == states[1]:
        return
    found = []
    for encode in (str.encode, in_utf16):
        work.write("file", encode(states[0]))
        work.commit()
        work.write("file", encode(states[1]))
        found.append(lines_of(shown_of(work)))

    assert found[0] == found[1]


def test_git_says_nothing_of_such_lines():
    """If it does one day, this module can go."""
    said = subprocess.run(
        ["git", "diff", "--no-index", os.devnull, "-"],
        input=in_utf16("one\n"),
        capture_output=True,
        check=False,
    )
    assert b"Binary files" in said.stdout
