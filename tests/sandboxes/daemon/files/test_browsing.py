"""What a person does with files in the work panel, over the sandbox's real socket."""

import asyncio
import os
import time

import pytest

from sandboxes.daemon.files.browsing import FOUND_LIMIT, KEPT_FOR, UPLOAD_LIMIT, Browser
from tests.waiting import until

pytestmark = pytest.mark.programs


@pytest.fixture
def ask(call):
    """Return ``ask(name, **fields)``: the answer of a route below ``files/``."""
    return lambda name, **fields: call(f"files/{name}", **fields)


def names(answer):
    return [entry["name"] for entry in answer["entries"]]


async def version_of(ask, path):
    return (await ask("text", path=path))["version"]


async def test_a_folder_is_listed_with_folders_first(ask, repo):
    (repo / "b.txt").write_text("two")
    (repo / "src").mkdir()
    (repo / ".env").write_text("x")

    told = await ask("list", path="")

    assert names(told) == ["src", ".env", "b.txt"]
    assert [entry["kind"] for entry in told["entries"]] == ["folder", "file", "file"]
    assert told["entries"][2]["size"] == 3
    assert told["leftOut"] == 0


async def test_git_s_own_folder_is_not_listed_nor_read(ask, repo):
    (repo / ".git").mkdir()
    (repo / ".git" / "config").write_text("")

    assert names(await ask("list", path="")) == []
    assert await ask("list", path=".git") == (403, "git_folder")
    assert await ask("delete", path=".git") == (403, "git_folder")


@pytest.mark.parametrize("path", ["..", "/etc", "out", "out/passwd"])
@pytest.mark.parametrize("name", ["list", "text", "delete", "save"])
async def test_nothing_outside_is_reached(ask, repo, secret, path, name):
    (repo / "out").symlink_to("/etc")
    fields = {"content": "x", "version": ""} if name == "save" else {}

    told = await ask(name, path=path, **fields)

    if name == "delete" and path == "out":  # the link itself
        assert told["ok"]
        assert os.path.exists("/etc/passwd")
    elif name == "save" and path == "out":
        assert told == (409, "already_exists")
    else:
        assert told == (400, "path_outside")
    assert secret.read_text() == "top secret"


async def test_a_link_says_what_it_leads_to(ask, repo):
    (repo / "src").mkdir()
    (repo / "in").symlink_to("src")
    (repo / "out").symlink_to("/etc")
    (repo / "nowhere").symlink_to("missing")

    told = {entry["name"]: entry.get("to") for entry in (await ask("list", path=""))["entries"]}

    assert told == {"src": None, "in": "folder", "out": "none", "nowhere": "none"}


ODD = [b"a b.txt", b"a\nb.txt", b"caf\xe9.txt", b'"quoted".txt', b"-rf", "naïve.txt".encode()]


@pytest.mark.parametrize("name", ODD)
async def test_any_name_is_listed_read_saved_renamed_deleted_and_restored(ask, repo, name):
    (repo / os.fsdecode(name)).write_text("one")
    (entry,) = (await ask("list", path=""))["entries"]
    path = entry["path"]

    shown = await ask("text", path=path)
    assert shown["content"] == "one"
    assert (await ask("save", path=path, content="two", version=shown["version"]))["ok"]
    assert (repo / os.fsdecode(name)).read_text() == "two"
    undo = (await ask("delete", path=path))["undo"]
    assert list(repo.iterdir()) == []
    assert (await ask("restore", undo=undo))["path"] == path
    assert (await ask("rename", **{"from": path, "to": "plain"}))["ok"]
    assert [each.name for each in repo.iterdir()] == ["plain"]


async def test_a_save_of_an_older_version_changes_nothing(ask, repo):
    (repo / "a.txt").write_text("one")
    version = await version_of(ask, "a.txt")
    (repo / "a.txt").write_text("the agent's")

    told = await ask("save", path="a.txt", content="mine", version=version)

    assert told == (409, "changed_meanwhile")
    assert (repo / "a.txt").read_text() == "the agent's"


async def test_of_two_saves_at_once_one_wins(ask, repo):
    (repo / "a.txt").write_text("one")
    version = await version_of(ask, "a.txt")

    saves = [ask("save", path="a.txt", content=f"{n}", version=version) for n in range(8)]
    told = await asyncio.gather(*saves)

    won = [n for n, each in enumerate(told) if isinstance(each, dict)]
    assert len(won) == 1
    assert (repo / "a.txt").read_text() == str(won[0])
    assert {each for each in told if not isinstance(each, dict)} == {(409, "changed_meanwhile")}


async def test_a_save_of_what_was_deleted_does_not_bring_it_back(ask, repo):
    (repo / "a.txt").write_text("one")
    version = await version_of(ask, "a.txt")
    (repo / "a.txt").unlink()

    assert await ask("save", path="a.txt", content="two", version=version) == (400, "no_such_file")
    assert list(repo.iterdir()) == []


async def test_a_new_file_replaces_none(ask, repo):
    assert (await ask("save", path="src/new.txt", content="one", version=""))["ok"]
    assert (repo / "src" / "new.txt").read_text() == "one"

    told = await ask("save", path="src/new.txt", content="two", version="")

    assert told == (409, "already_exists")
    assert (repo / "src" / "new.txt").read_text() == "one"


async def test_a_save_keeps_mode_encoding_and_line_ends(ask, repo):
    path = repo / "a.sh"
    path.write_bytes("# coding: latin-1\r\nécho\r\n".encode("latin-1"))
    path.chmod(0o755)
    shown = await ask("text", path="a.sh")
    text = shown["content"].replace("\r\n", "\n").replace("écho", "écho è")

    assert (await ask("save", path="a.sh", content=text, version=shown["version"]))["ok"]

    assert path.read_bytes() == "# coding: latin-1\r\nécho è\r\n".encode("latin-1")
    assert path.stat().st_mode & 0o777 == 0o755


async def test_the_version_that_a_save_returns_is_that_of_the_file(ask, repo):
    made = await ask("save", path="a.txt", content="one", version="")
    assert made["version"] == await version_of(ask, "a.txt")

    saved = await ask("save", path="a.txt", content="two", version=made["version"])

    assert saved["version"] == await version_of(ask, "a.txt")


async def test_a_huge_file_is_shown_by_its_first_lines_and_can_not_be_saved(ask, repo):
    with (repo / "huge.log").open("wb") as file:
        file.write(b"first line\n" * 100)
        file.truncate(1024**3)
    with (repo / "text.log").open("wb") as file:
        for _ in range(12):
            file.write(b"0123456789abcde\n" * 65536)

    holes = await ask("text", path="huge.log")
    lines = await ask("text", path="text.log")

    assert (holes["kind"], holes["size"]) == ("binary", 1024**3)
    assert (lines["kind"], lines["isWhole"]) == ("text", False)
    assert lines["content"].endswith("abcde\n")
    assert "version" not in lines


async def test_a_picture_is_a_picture_and_a_program_is_binary(ask, repo):
    (repo / "a.png").write_bytes(b"\x89PNG\r\n\x1a\n" + b"x" * 20)
    (repo / "prog").write_bytes(b"\x7fELF\x00\x01\x02" * 20)

    picture, program = await ask("text", path="a.png"), await ask("text", path="prog")

    assert (picture["kind"], picture["mediaType"]) == ("image", "image/png")
    assert program["kind"] == "binary"


async def test_a_folder_is_deleted_whole_and_comes_back_whole(ask, repo):
    (repo / "src" / "deep").mkdir(parents=True)
    (repo / "src" / "deep" / "a.txt").write_text("one")
    (repo / "src" / "link").symlink_to("/etc")

    undo = (await ask("delete", path="src"))["undo"]
    assert list(repo.iterdir()) == []

    assert (await ask("restore", undo=undo)) == {"ok": True, "path": "src"}
    assert (repo / "src" / "deep" / "a.txt").read_text() == "one"
    assert os.readlink(repo / "src" / "link") == "/etc"
    assert await ask("restore", undo=undo) == (404, "nothing_to_restore")


async def test_an_undo_replaces_nothing_and_stays_possible(ask, repo):
    (repo / "a.txt").write_text("one")
    undo = (await ask("delete", path="a.txt"))["undo"]
    (repo / "a.txt").write_text("another")

    assert await ask("restore", undo=undo) == (409, "already_exists")
    assert (repo / "a.txt").read_text() == "another"
    (repo / "a.txt").unlink()
    assert (await ask("restore", undo=undo))["ok"]
    assert (repo / "a.txt").read_text() == "one"


@pytest.mark.parametrize("undo", ["..", "../repo", "x" * 32, "0" * 32])
async def test_what_was_never_deleted_can_not_be_restored(ask, repo, undo):
    assert await ask("restore", undo=undo) == (404, "nothing_to_restore")


async def test_the_working_folder_itself_stays(ask, repo):
    (repo / "a.txt").write_text("one")

    assert await ask("delete", path=".") == (400, "bad_path")
    assert (repo / "a.txt").exists()


def test_what_was_deleted_long_ago_is_gone(tmp_path):
    import threading

    from sandboxes.daemon.files.tree import Tree

    (tmp_path / "repo").mkdir()
    browser = Browser(Tree(tmp_path / "repo"), threading.Lock(), tmp_path)
    for name in ("old", "new"):
        (tmp_path / "repo" / name).write_text(name)
    undo = browser.delete("old")["undo"]
    long_ago = time.time() - KEPT_FOR - 60
    os.utime(tmp_path / "trash" / undo, (long_ago, long_ago))

    browser.delete("new")

    assert not (tmp_path / "trash" / undo).exists()
    assert len(list((tmp_path / "trash").iterdir())) == 1


async def test_names_are_found_by_all_their_words(ask, repo):
    for path in ("src/Login.py", "src/logout.py", "tests/test_login.py", ".hidden/login"):
        (repo / path).parent.mkdir(exist_ok=True)
        (repo / path).write_text("")

    assert (await ask("find", text="LOGIN py"))["files"] == ["src/Login.py", "tests/test_login.py"]
    assert (await ask("find", text="hidden", hidden=True))["files"] == [".hidden/login"]
    assert (await ask("find", text="[*"))["files"] == []


async def test_a_search_of_names_is_bounded(ask, repo):
    for number in range(FOUND_LIMIT + 1):
        (repo / f"{number}.txt").write_text("")

    told = await ask("find", text="txt")

    assert (len(told["files"]), told["truncated"]) == (FOUND_LIMIT, True)


TRICKY = ["a.b(c)[d]{e}*+?^$|\\", "#include <x>", "-e foo", "a & b ~ c - d"]


@pytest.mark.parametrize("text", TRICKY)
async def test_contents_are_searched_for_the_text_itself(ask, repo, text):
    (repo / "x:7:y.txt").write_text(f"nothing\n  {text}\nabbcd\n")

    told = await ask("search", text=text)

    assert told["matches"] == [{"path": "x:7:y.txt", "line": 2, "text": f"  {text}"}]


async def test_the_case_of_a_search_counts_on_demand(ask, repo):
    (repo / "a.txt").write_text("Needle\nneedle\n")

    assert len((await ask("search", text="needle"))["matches"]) == 2
    assert len((await ask("search", text="needle", matchCase=True))["matches"]) == 1
    assert len((await ask("search", text="n..dle", isPattern=True))["matches"]) == 2
    assert await ask("search", text="(", isPattern=True) == (400, "bad_pattern")


async def test_a_file_travels_both_ways_byte_for_byte(sandbox, repo):
    data = bytes(range(256)) * 5000

    kept = await sandbox.client.put("/files/bytes?path=d/a%20b.bin", content=data)
    assert kept.json()["size"] == len(data)
    assert (repo / "d" / "a b.bin").read_bytes() == data

    got = await sandbox.client.get("/files/bytes?path=d/a%20b.bin")
    assert got.content == data
    assert got.headers["content-length"] == str(len(data))


async def test_an_upload_replaces_only_when_told_and_can_be_undone(sandbox, ask, repo):
    (repo / "a.txt").write_text("one")

    refused = await sandbox.client.put("/files/bytes?path=a.txt", content=b"two")
    assert refused.status_code == 409
    assert (repo / "a.txt").read_text() == "one"
    kept = await sandbox.client.put("/files/bytes?path=a.txt&replace=1", content=b"two")
    assert (repo / "a.txt").read_text() == "two"
    (repo / "a.txt").unlink()
    await ask("restore", undo=kept.json()["undo"])
    assert (repo / "a.txt").read_text() == "one"


async def test_an_upload_that_is_too_large_leaves_nothing(sandbox, repo):
    told = await sandbox.client.put("/files/bytes?path=a", content=b"x" * (UPLOAD_LIMIT + 1))

    assert told.status_code == 413
    assert list(repo.iterdir()) == []


async def test_what_git_ignores_is_marked_and_not_found(make_sandbox, clone, call):
    (clone / ".gitignore").write_text("*.log\nout/\n")
    sandbox = make_sandbox(spec={"folder": str(clone)})
    async with sandbox.client as client:
        repo = sandbox.root / "repo"
        assert (await client.post("/files/list", json={})).status_code in (200, 409)
        until((repo / "a.txt").exists, what="the worktree is made")
        (repo / ".gitignore").write_text("*.log\nout/\n")
        (repo / "x.log").write_text("")
        (repo / "out").mkdir()
        (repo / "out" / "y.txt").write_text("")

        entries = (await client.post("/files/list", json={"path": ""})).json()["entries"]
        found = (await client.post("/files/find", json={"text": "."})).json()["files"]

    assert {entry["name"] for entry in entries if entry.get("isIgnored")} == {"x.log", "out"}
    assert found == ["a.txt", "b.txt"]
