"""The file tools over the real socket: D-SB5, and what they refuse."""

from __future__ import annotations

import asyncio
import base64
import os
import threading

import pytest

from sandboxes.daemon.files import rewriting
from sandboxes.daemon.files.errors import ChangedMeanwhile, NoSuchFile
from sandboxes.daemon.files.tools import FileTools
from sandboxes.daemon.files.tree import Tree

PNG = b"\x89PNG\r\n\x1a\n" + bytes(100)
MIB = 1024 * 1024


async def test_write_then_read_numbers_the_lines(call):  # D-SB5
    written = await call("write", path="deep/er/a.txt", content="one\nzwölf\n")
    read = await call("read", path="deep/er/a.txt")

    assert written == {"ok": True, "bytesWritten": 11}
    assert read == {
        "kind": "text",
        "content": "1\tone\n2\tzwölf",
        "lineCount": 2,
        "truncated": False,
    }


async def test_edit_replaces_the_one_place(call, repo):  # D-SB5
    await call("write", path="a.txt", content="one two")

    edited = await call("edit", path="a.txt", old_string="two", new_string="three")

    assert edited == {"ok": True, "replacements": 1, "content": "one three"}
    assert (repo / "a.txt").read_text() == "one three"


async def test_unlink_says_whether_it_was_there(call):  # D-SB5
    await call("write", path="a.txt", content="")

    assert (await call("unlink", path="a.txt"))["existed"] is True
    assert (await call("unlink", path="a.txt"))["existed"] is False


async def test_a_part_of_a_long_file(call):
    await call("write", path="long", content="".join(f"line {n}\n" for n in range(1, 5001)))

    first = await call("read", path="long")
    part = await call("read", path="long", offset=4000, limit=2)

    assert (first["lineCount"], first["truncated"]) == (5000, True)
    assert first["content"].splitlines()[-1] == "2000\tline 2000"
    assert part["content"] == "4000\tline 4000\n4001\tline 4001"


async def test_one_endless_line_does_not_fill_the_answer(call, repo):
    (repo / "min.js").write_text("x" * MIB)

    read = await call("read", path="min.js")

    assert len(read["content"]) == 256 * 1024
    assert read["truncated"] is True


async def test_an_image_is_given_whole(call, repo):
    (repo / "a.png").write_bytes(PNG)

    read = await call("read", path="a.png")

    assert (read["kind"], read["mediaType"], read["size"]) == ("image", "image/png", len(PNG))
    assert base64.b64decode(read["data"]) == PNG


@pytest.mark.parametrize(
    ("content", "refusal"),
    [
        pytest.param(b"text\0" + b"x" * 100, (400, "binary_file"), id="binary"),
        pytest.param(b"x" * (11 * MIB), (413, "file_too_large"), id="11 MB of text"),
        pytest.param(PNG + bytes(6 * MIB), (413, "file_too_large"), id="6 MB of an image"),
    ],
)
async def test_what_can_t_be_read(call, repo, content, refusal):
    (repo / "odd").write_bytes(content)

    assert await call("read", path="odd") == refusal


@pytest.mark.parametrize("content", [b"a\0a", b"a" * (11 * MIB)], ids=["binary", "11 MB"])
async def test_what_can_t_be_edited_stays_as_it_is(call, repo, content):
    (repo / "odd").write_bytes(content)

    refusal = await call("edit", path="odd", old_string="a", new_string="b", replace_all=True)

    assert refusal in ((400, "binary_file"), (413, "file_too_large"))
    assert (repo / "odd").read_bytes() == content
    assert os.listdir(repo) == ["odd"]


@pytest.mark.parametrize(
    ("change", "refusal"),
    [
        pytest.param({"old_string": "no"}, (400, "no_match"), id="nowhere"),
        pytest.param({"old_string": "a"}, (400, "several_matches"), id="twice"),
        pytest.param({"old_string": ""}, (400, "bad_input"), id="empty"),
        pytest.param({"old_string": "z"}, (400, "bad_input"), id="the same"),
        pytest.param({"old_string": None}, (400, "bad_input"), id="missing"),
    ],
)
async def test_an_edit_that_can_t_be(call, repo, change, refusal):
    (repo / "a.txt").write_text("a a")

    assert await call("edit", path="a.txt", new_string="z", **change) == refusal
    assert (repo / "a.txt").read_text() == "a a"


async def test_several_matches_are_counted(sandbox, repo):
    (repo / "a.txt").write_text("a a a")

    reply = await sandbox.post("/edit", {"path": "a.txt", "old_string": "a", "new_string": "b"})

    assert reply.json()["error"]["count"] == 3


async def test_an_edit_leaves_other_bytes_alone(call, repo):
    (repo / "latin").write_bytes(b"caf\xe9\r\none\r\n")
    os.chmod(repo / "latin", 0o755)

    await call("edit", path="latin", old_string="one", new_string="two")

    assert (repo / "latin").read_bytes() == b"caf\xe9\r\ntwo\r\n"
    assert os.stat(repo / "latin").st_mode & 0o777 == 0o755


JAPANESE = "// 設定を読み込みます。\r\nint x = 1; // 日本語のコメント\r\n"
ODD_FILES = {
    "CRLF": (b"one\r\ntwo\r\n", b"ONE\r\nmore\r\ntwo\r\n", {"lineEnds": "CRLF"}),
    "CR": (b"one\rtwo", b"ONE\rmore\rtwo", {"lineEnds": "CR"}),
    "mixed": (b"one\r\ntwo\n", b"ONE\r\nmore\r\ntwo\n", {"lineEnds": "mixed"}),
    "BOM": (b"\xef\xbb\xbfone\n", b"\xef\xbb\xbfONE\nmore\n", {"encoding": "UTF-8 with BOM"}),
    "UTF-16": (
        b"\xff\xfe" + "one\nü".encode("utf-16-le"),
        b"\xff\xfe" + "ONE\nmore\nü".encode("utf-16-le"),
        {"encoding": "UTF-16 LE with BOM"},
    ),
    "UTF-16 without BOM": (
        "one\r\nü".encode("utf-16-be"),
        "ONE\r\nmore\r\nü".encode("utf-16-be"),
        {"encoding": "UTF-16 BE", "lineEnds": "CRLF"},
    ),
    "Latin-1": (
        b"caf\xe9\none",
        b"caf\xe9\nONE\nmore",
        {"encoding": "Windows-1252", "encodingIsGuess": True},
    ),
    "Shift-JIS": (
        (JAPANESE + "one").encode("cp932"),
        (JAPANESE + "ONE\r\nmore").encode("cp932"),
        {"encoding": "Shift-JIS", "encodingIsGuess": True, "lineEnds": "CRLF"},
    ),
}


@pytest.mark.parametrize(("before", "after", "facts"), ODD_FILES.values(), ids=ODD_FILES)
async def test_an_edit_keeps_line_ends_and_encoding(call, repo, before, after, facts):
    (repo / "odd").write_bytes(before)

    read = await call("read", path="odd")
    edited = await call("edit", path="odd", old_string="one", new_string="ONE\nmore")

    assert (repo / "odd").read_bytes() == after
    assert {key: value for key, value in read.items() if key[:2] in ("en", "li")} == {
        **facts,
        "lineCount": read["lineCount"],
    }
    assert edited["replacements"] == 1
    assert {key: edited[key] for key in facts} == facts


async def test_read_shows_the_characters_that_are_meant(call, repo):
    (repo / "sjis").write_bytes(JAPANESE.encode("shift_jis"))

    read = await call("read", path="sjis")
    await call("edit", path="sjis", old_string="設定を読み込みます。", new_string="設定。")

    assert read["content"].splitlines()[1] == "2\tint x = 1; // 日本語のコメント"
    expected = JAPANESE.replace("を読み込みます", "").encode("shift_jis")
    assert (repo / "sjis").read_bytes() == expected


async def test_what_the_encoding_lacks_is_refused(sandbox, repo):
    (repo / "latin").write_bytes(b"caf\xe9\n")
    edit = {"path": "latin", "old_string": "café", "new_string": "☕"}

    refused = (await sandbox.post("/edit", edit)).json()["error"]
    written = (await sandbox.post("/write", {"path": "latin", "content": "☕"})).json()["error"]

    assert refused["code"] == written["code"] == "not_in_encoding"
    assert "Windows-1252, which can't hold “☕” (U+2615)." in refused["message"]
    assert (repo / "latin").read_bytes() == b"caf\xe9\n"


async def test_an_encoding_that_isn_t_known_can_be_named(sandbox, call, repo):
    (repo / "odd").write_bytes(b"\xd6\xd0 = 1\n")
    edit = {"path": "odd", "old_string": "中", "new_string": "文"}

    read = await call("read", path="odd")
    refused = (await sandbox.post("/edit", edit)).json()["error"]
    await call("edit", **edit, encoding="gbk")
    await call("edit", path="odd", old_string="= 1", new_string="= 2")

    assert read["encoding"] == "unknown"
    assert "GB18030" in read["encodingMaybe"]
    assert refused["code"] == "encoding_unknown"
    assert (repo / "odd").read_bytes() == "文 = 2\n".encode("gbk")


@pytest.mark.parametrize(
    ("before", "content", "after", "facts"),
    [
        pytest.param(b"a\r\n", "b\nc\n", b"b\r\nc\r\n", {"lineEnds": "CRLF"}, id="CRLF"),
        pytest.param(
            b"a\nb\n",
            "a\r\n",
            b"a\r\n",
            {"changed": ["its line ends, from LF to CRLF"]},
            id="line ends of its own",
        ),
        pytest.param(
            b"\xef\xbb\xbfa", "b", b"\xef\xbb\xbfb", {"encoding": "UTF-8 with BOM"}, id="BOM"
        ),
        pytest.param(
            b"\xff\xfea\0", "b", b"\xff\xfeb\0", {"encoding": "UTF-16 LE with BOM"}, id="UTF-16"
        ),
        pytest.param(b"caf\xe9", "ol\xe9", b"ol\xe9", {"encoding": "Windows-1252"}, id="Latin-1"),
        pytest.param(
            b"\xd6\xd0",
            "中",
            "中".encode(),
            {"changed": ["its encoding, from unknown to UTF-8"]},
            id="unknown",
        ),
        pytest.param(b"a\0b", "c", b"c", {}, id="binary"),
        pytest.param(b"", "a\n", b"a\n", {}, id="empty"),
    ],
)
async def test_a_file_written_anew_keeps_what_it_was_or_says_so(
    call, repo, before, content, after, facts
):
    (repo / "a").write_bytes(before)

    written = await call("write", path="a", content=content)

    assert (repo / "a").read_bytes() == after
    assert written == {"ok": True, "bytesWritten": len(after), **facts}


async def test_a_new_encoding_is_named(call, repo):
    (repo / "a").write_bytes(b"caf\xe9")

    written = await call("write", path="a", content="☕", encoding="utf-8")

    assert written["changed"] == ["its encoding, from Windows-1252 to UTF-8"]
    assert (repo / "a").read_text() == "☕"


async def test_no_match_says_why(sandbox, repo):
    (repo / "a").write_bytes("x\r\n\tone\u00a0two\r\n".encode())

    reply = await sandbox.post(
        "/edit", {"path": "a", "old_string": "    one two", "new_string": "z"}
    )

    assert reply.json()["error"]["message"] == (
        "old_string does not occur in the file. It stands there with no-break or other special"
        " spaces and with other blanks at line 2. The file has U+00A0 (no-break space)."
    )


@pytest.mark.parametrize("how", ["written", "replaced", "removed"])
def test_what_another_program_writes_meanwhile_is_not_lost(tmp_path, monkeypatch, how):
    file = tmp_path / "a.txt"
    file.write_text("one two")
    plain = rewriting.edited

    def slowly(*args, **how_often):
        if how != "written":
            file.unlink()
        if how != "removed":
            file.write_text("something else")
        return plain(*args, **how_often)

    monkeypatch.setattr(rewriting, "edited", slowly)
    with pytest.raises((ChangedMeanwhile, NoSuchFile)):
        FileTools(Tree(tmp_path), threading.Lock()).edit("a.txt", "one", "1")

    left = {"a.txt"} if how != "removed" else set()
    assert set(os.listdir(tmp_path)) == left
    assert not left or file.read_text() == "something else"


async def test_an_edit_through_a_link_keeps_the_link_and_the_mode(call, repo):
    (repo / "real").write_bytes(b"one\r\n")
    os.chmod(repo / "real", 0o700)
    (repo / "link").symlink_to("real")

    await call("edit", path="link", old_string="one", new_string="two")

    assert (repo / "link").is_symlink()
    assert (repo / "real").read_bytes() == b"two\r\n"
    assert os.stat(repo / "real").st_mode & 0o777 == 0o700


async def test_two_edits_at_once_are_both_made(sandbox, repo):
    (repo / "a.txt").write_text("".join(f"[{n}]" for n in range(30)))
    edits = [
        sandbox.post("/edit", {"path": "a.txt", "old_string": f"[{n}]", "new_string": f"<{n}>"})
        for n in range(30)
    ]

    assert {reply.status_code for reply in await asyncio.gather(*edits)} == {200}
    assert (repo / "a.txt").read_text() == "".join(f"<{n}>" for n in range(30))


async def test_rename_and_mkdir(call, repo):
    assert await call("mkdir", path="a/b") == {"ok": True, "existed": False}
    assert await call("mkdir", path="a/b") == {"ok": True, "existed": True}
    await call("write", path="a/b/file", content="x")

    assert await call("rename", **{"from": "a/b", "to": "new/place"}) == {"ok": True}
    assert (repo / "new/place/file").read_text() == "x"


@pytest.mark.parametrize(
    ("tool", "fields", "refusal"),
    [
        ("read", {"path": "nothing"}, (400, "no_such_file")),
        ("read", {"path": "folder"}, (400, "is_a_directory")),
        ("read", {"path": "file/x"}, (400, "not_a_directory")),
        ("read", {"path": "pipe"}, (400, "not_a_file")),
        ("read", {"path": ""}, (400, "bad_input")),
        ("read", {"path": 7}, (400, "bad_input")),
        ("read", {"path": "file", "offset": 0}, (400, "bad_input")),
        ("read", {"path": "file", "limit": True}, (400, "bad_input")),
        ("read", {"path": "file", "encoding": "rot13"}, (400, "bad_input")),
        ("read", {"path": "file", "encoding": "utf-16"}, (400, "other_encoding")),
        ("read", {"path": "a\0b"}, (400, "bad_path")),
        ("read", {"path": "x" * 300}, (400, "bad_path")),
        ("read", {"path": "d/" * 500 + "x"}, (400, "no_such_file")),
        ("read", {"path": "zero"}, (400, "path_outside")),
        ("edit", {"path": "pipe", "old_string": "a", "new_string": "b"}, (400, "not_a_file")),
        ("edit", {"path": "zero", "old_string": "a", "new_string": "b"}, (400, "path_outside")),
        ("edit", {"path": "folder", "old_string": "a", "new_string": "b"}, (400, "is_a_directory")),
        ("grep", {"path": "pipe", "pattern": "a"}, (400, "not_a_file")),
        ("grep", {"path": "zero", "pattern": "a"}, (400, "path_outside")),
        ("write", {"path": "d/" * 500 + "x", "content": ""}, (400, "bad_path")),
        ("write", {"path": "folder", "content": ""}, (400, "is_a_directory")),
        ("write", {"path": ".", "content": ""}, (400, "is_a_directory")),
        ("write", {"path": "pipe", "content": ""}, (400, "not_a_file")),
        ("write", {"path": "file", "content": 7}, (400, "bad_input")),
        ("write", {"path": "file", "content": "\ud800"}, (400, "bad_input")),
        ("write", {"path": "file"}, (400, "bad_input")),
        ("unlink", {"path": "folder"}, (400, "is_a_directory")),
        ("mkdir", {"path": "file"}, (409, "already_exists")),
        ("rename", {"from": "file", "to": "folder"}, (409, "already_exists")),
        ("rename", {"from": "nothing", "to": "x"}, (400, "no_such_file")),
        ("rename", {"from": ".", "to": "x"}, (400, "bad_path")),
    ],
)
async def test_refusals(call, repo, tool, fields, refusal):
    (repo / "folder").mkdir()
    (repo / "file").write_text("as it was")
    os.mkfifo(repo / "pipe")
    (repo / "zero").symlink_to("/dev/zero")

    assert await call(tool, **fields) == refusal
    assert (repo / "file").read_text() == "as it was"


async def test_a_search_passes_by_what_never_ends(call, repo):
    os.mkfifo(repo / "pipe")
    (repo / "zero").symlink_to("/dev/zero")
    with open(repo / "sparse", "wb") as file:
        file.truncate(1024 * MIB)
    (repo / "two\nlines").write_text("needle\n")
    (repo / "long").write_text("x" * (9 * MIB) + "needle\n")

    found = await call("grep", pattern="needle")
    shown = await call("grep", pattern="needle", mode="content")

    assert sorted(found["lines"]) == ['"two\\nlines"', "long"]
    assert sorted(line[:25] for line in shown["lines"]) == [
        '"two\\nlines":1:needle',
        f"long:1:{'x' * 18}",
    ]
    assert max(map(len, shown["lines"])) < 1000
    assert await call("read", path="sparse") == (400, "binary_file")


@pytest.mark.parametrize("tool", ["write_from_url", "upload_to_url"])
async def test_no_file_is_fetched_from_an_address(call, repo, tool):  # D-SB6
    refused = await call(tool, path="a.txt", url="https://files.example/a.txt")

    assert refused == (404, "not_found")
    assert not (repo / "a.txt").exists()


@pytest.mark.parametrize("body", [b"[]", b"null", b"{", b""])
async def test_bodies_that_are_none(sandbox, body):
    reply = await sandbox.client.post("/read", content=body)

    assert reply.status_code == 400
