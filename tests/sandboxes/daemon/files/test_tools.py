"""The file tools over the real socket: D-SB5, and what they refuse."""

from __future__ import annotations

import asyncio
import base64
import os

import pytest

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
        ("read", {"path": "a\0b"}, (400, "bad_path")),
        ("read", {"path": "x" * 300}, (400, "bad_path")),
        ("read", {"path": "d/" * 500 + "x"}, (400, "no_such_file")),
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

    assert await call(tool, **fields) == refusal
    assert (repo / "file").read_text() == "as it was"


@pytest.mark.parametrize("tool", ["write_from_url", "upload_to_url"])
async def test_no_file_is_fetched_from_an_address(call, repo, tool):  # D-SB6
    refused = await call(tool, path="a.txt", url="https://files.example/a.txt")

    assert refused == (404, "not_found")
    assert not (repo / "a.txt").exists()


@pytest.mark.parametrize("body", [b"[]", b"null", b"{", b""])
async def test_bodies_that_are_none(sandbox, body):
    reply = await sandbox.client.post("/read", content=body)

    assert reply.status_code == 400
