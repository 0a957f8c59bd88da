"""glob and grep, the latter with ripgrep and without."""

from __future__ import annotations

import os
import re
import shutil

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mesh.lib.errors import AppError
from sandboxes.daemon.files import search
from sandboxes.daemon.files.search import Search
from sandboxes.daemon.files.tree import Tree
from sandboxes.daemon.files.walking import matcher


@pytest.fixture
def tree(tmp_path):
    files = {
        "src/app.py": "import os\n\ndef main():\n    print('Hello')\n",
        "src/deep/other.py": "hello = 1\n",
        "README.md": "Hello\n",
        "node_modules/x/index.js": "hello\n",
        ".github/ci.yml": "say: hello\n",
        "odd name.txt": "hello: a-b:c\n",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    (tmp_path / "binary").write_bytes(b"hello\0")
    return Tree(tmp_path)


@pytest.fixture(params=["ripgrep", "our own"])
def grep(request, tree, monkeypatch):
    """Return ``grep(pattern, …)``: the answer of each of the two programs."""
    if request.param == "our own":
        monkeypatch.setattr(search.shutil, "which", lambda name: None)
    elif not shutil.which("rg"):
        pytest.skip("ripgrep is not installed")

    def grep(pattern, *, path="", **options):
        return search.grep(tree, Search(pattern, **options), path=path)

    return grep


def test_the_files_that_hold_it(grep):  # D-SB5
    answer = grep("hello", ignore_case=True)

    assert sorted(answer["lines"]) == [
        ".github/ci.yml",
        "README.md",
        "odd name.txt",
        "src/app.py",
        "src/deep/other.py",
    ]
    assert answer["truncated"] is False


def test_the_lines_that_hold_it(grep):
    assert grep("Hello", mode="content")["lines"] == [
        "README.md:1:Hello",
        "src/app.py:4:    print('Hello')",
    ]


def test_how_often(grep):
    assert grep("o", mode="count", glob="*.py")["lines"] == ["src/app.py:2", "src/deep/other.py:1"]


def test_the_lines_around(grep):
    assert grep("main", mode="content", context=1)["lines"] == [
        "src/app.py:2-",
        "src/app.py:3:def main():",
        "src/app.py:4-    print('Hello')",
    ]


def test_in_a_folder_and_in_a_file(grep):
    assert grep("hello", path="src/deep")["lines"] == ["src/deep/other.py"]
    assert grep("a-b", mode="content", path="odd name.txt")["lines"] == [
        "odd name.txt:1:hello: a-b:c"
    ]
    assert grep("nothing of the kind")["lines"] == []


def test_a_pattern_like_an_option(grep):
    assert grep("--hello")["lines"] == []
    assert grep("-b:c")["lines"] == ["odd name.txt"]


def test_no_more_than_the_limit(grep, tree):
    (tree.top / "many").write_text("line\n" * 1000)

    answer = grep("line", mode="content")

    assert (len(answer["lines"]), answer["truncated"]) == (250, True)


def test_what_can_t_be_a_pattern(grep):
    with pytest.raises(AppError) as caught:
        grep("(")

    assert caught.value.code == "bad_pattern"


def test_an_endless_search_is_ended(tree, monkeypatch):
    monkeypatch.setattr(search.shutil, "which", lambda name: None)
    monkeypatch.setattr(search, "SECONDS", 1.0)
    (tree.top / "evil").write_text("a" * 100)

    with pytest.raises(AppError) as caught:
        search.grep(tree, Search("(a+)+$b"))

    assert caught.value.code == "search_timeout"


@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        ("**/*.py", ["src/app.py", "src/deep/other.py"]),
        ("src/*.py", ["src/app.py"]),
        ("*.{md,txt}", ["README.md", "odd name.txt"]),
        ("src/**", ["src/app.py", "src/deep/other.py"]),
        ("**/deep/**/*.py", ["src/deep/other.py"]),
        ("[RS]*", ["README.md"]),
        ("**/index.js", []),
        ("../*", []),
        ("", []),
    ],
)
def test_glob(tree, pattern, found):  # D-SB5
    assert search.glob(tree, pattern)["files"] == found


def test_glob_below_a_folder(tree):
    assert search.glob(tree, "**", path="src") == {
        "files": ["app.py", "deep/other.py"],
        "truncated": False,
    }
    assert search.glob(tree, "**", path="node_modules")["files"] == ["x/index.js"]


def test_glob_says_when_there_is_more(tree):
    assert search.glob(tree, "**/*.py", limit=1) == {"files": ["src/app.py"], "truncated": True}


def test_too_many_alternatives():
    with pytest.raises(ValueError, match="alternatives"):
        matcher("{a,b,c,d}" * 10)


@given(
    parts=st.lists(st.sampled_from(["*", "**", "a", "a*", "?", "b"]), min_size=1, max_size=5),
    path=st.lists(st.sampled_from(["a", "ab", "b"]), min_size=1, max_size=6),
)
def test_a_pattern_means_what_its_expression_means(parts, path):
    """The matcher and a regular expression made of the same pattern agree."""
    words = {"*": "[^/]*", "**": "(?:[^/]+/)*", "a*": "a[^/]*", "?": "[^/]"}
    expression = "".join(words.get(p, p) + ("" if p == "**" else "/") for p in parts)

    assert matcher("/".join(parts))("/".join(path)) == bool(
        re.fullmatch(expression, "/".join(path) + "/")
    )


ODD = {
    "latin": "Café = 1\n".encode("latin-1"),
    "shift_jis": 'x = "設定を読み込む" # Cafe\n'.encode("shift_jis"),
    "utf-16": "\ufeffCafé = 1\r\n".encode("utf-16-le"),
    "utf-16 without mark": "Café = 1\r\n".encode("utf-16-be"),
    "utf-8": "Café = 1\r\n".encode(),
    "a picture": b"\x89PNG\r\n\x1a\n\0\0Caf\xe9 = 1\n",
}


@pytest.fixture
def odd(tree):
    for name, raw in ODD.items():
        (tree.top / name).write_bytes(raw)


@pytest.mark.parametrize(
    ("pattern", "names"),
    [
        ("Café", ["latin", "utf-16", "utf-16 without mark", "utf-8"]),
        ("^Caf. = 1", ["latin", "utf-16", "utf-16 without mark", "utf-8"]),
        ("設定", ["shift_jis"]),
        (r'x = ".+" # Cafe$', ["shift_jis"]),
    ],
)
def test_what_is_in_files_of_any_encoding_is_found(grep, odd, pattern, names):
    assert sorted(grep(pattern)["lines"]) == names


@pytest.mark.parametrize("path", ["", "shift_jis"], ids=["a folder", "a file"])
def test_lines_in_any_encoding_are_shown_in_their_characters(grep, odd, path):
    line = 'shift_jis:1:x = "設定を読み込む" # Cafe'

    assert grep("設定", mode="content", path=path)["lines"] == [line]


def test_files_in_any_encoding_are_counted_and_limited(grep, odd):
    counted = grep("Café", mode="count")["lines"]

    assert sorted(counted) == ["latin:1", "utf-16 without mark:1", "utf-16:1", "utf-8:1"]
    assert grep("Café", limit=3)["truncated"] is True
    assert len(grep("Café", limit=3)["lines"]) == 3


def test_an_expression_of_ripgrep_alone_finds_what_ripgrep_reads(tree, odd):
    if not shutil.which("rg"):
        pytest.skip("ripgrep is not installed")

    lines = search.grep(tree, Search(r"\p{Lu}afé"))["lines"]

    assert lines == ["utf-16", "utf-8"]


async def test_over_the_socket(call, repo):  # D-SB5
    (repo / "a.py").write_text("needle\n")

    assert (await call("grep", pattern="needle"))["lines"] == ["a.py"]
    assert (await call("glob", pattern="*.py"))["files"] == ["a.py"]
    assert await call("grep", pattern="needle", mode="all") == (400, "bad_input")
    assert await call("grep", pattern="") == (400, "bad_input")
    assert await call("glob", pattern="*", path="a.py") == (400, "not_a_directory")
    assert os.listdir(repo) == ["a.py"]
