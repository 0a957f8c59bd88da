"""Files with any name that a disk can have: listed, shown, discarded, published. Real git."""

from __future__ import annotations

import json
import os

import pytest

from mesh.lib.quoted_names import quote
from tests.sandboxes.daemon.events_reader import looking_on
from tests.sandboxes.daemon.projects import git
from tests.sandboxes.daemon.repository.work import Work, files_in, restore
from tests.waiting import auntil

pytestmark = pytest.mark.programs

# Each sorts before “decoy”, or after it, or would match it where git reads it as a pattern.
NAMES = [
    b" first",
    b"last ",
    b" ",
    b"\t",
    b"a\nb\n",
    b"a\rb",
    b"\x01\x7f",
    b'"quoted"',
    b'say "hi"',
    b"it's",
    b"caf\xe9.txt",
    b"\xff\xfe/\xfd",
    "gr\u00fc\u00df \u2028 \U0001f600".encode(),
    b":(glob)**",
    b":(exclude)x",
    b":!x",
    b":/x",
    b"*",
    b"?ecoy",
    b"[d]ecoy",
    b"-",
    b"-rf",
    b"--help",
    b"!decoy",
    b"#decoy",
    b"~",
    b"HEAD",
    b"main",
    b"$(touch pwned)",
    b"a -> b",
    b"2 R. N",
    b" folder / file ",
]
BY_NAME = [pytest.param(name, id=repr(name)) for name in NAMES]


@pytest.fixture
def work(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    return Work(tmp_path / "root")


def prepare(work, name, *, is_new):
    work.write("decoy", b"one\n")
    if not is_new:
        work.write(name, b"one\n")
    work.commit()
    work.write(name, b"two\n")
    work.write("decoy", b"two\n")
    work.write("decoy.new", b"new\n")


@pytest.mark.parametrize("is_new", [True, False], ids=["new", "changed"])
@pytest.mark.parametrize("name", BY_NAME)
def test_what_is_listed_is_discarded_and_nothing_else(work, tmp_path, name, is_new):
    prepare(work, name, is_new=is_new)
    before = files_in(work.repo)
    listed = {file["path"]: file["status"] for file in work.repository().diff()["files"]}
    text = quote(os.fsdecode(name))

    done = work.repository().discard([text.encode().decode()])

    after = files_in(work.repo)
    assert listed == {"decoy": ".M", "decoy.new": "??", text: "??" if is_new else ".M"}
    assert done["discarded"] == [text]
    assert after.get(name) == (None if is_new else (*after[b"decoy"][:2], b"one\n"))
    assert {k: v for k, v in after.items() if k != name} == {
        k: v for k, v in before.items() if k != name
    }
    restore(work.root / "discarded" / done["kept"], work.repo)
    assert files_in(work.repo) == before


@pytest.mark.parametrize("name", BY_NAME)
def test_a_new_file_is_shown_whatever_its_name_is(work, name):
    work.commit()
    work.write(name, b"what is in it\n")

    shown = work.repository().diff()

    assert shown["diff"].count("+what is in it\n") == 1
    assert (shown["truncated"], shown["leftOut"]["files"]) == (False, 0)


def test_a_file_that_the_start_made_may_have_any_name(work):
    work.commit()
    before = work.repository().changed()
    for name in NAMES:
        work.write(name, b"made\n")

    work.repository().note_started(before)

    facts = work.repository().facts()
    assert (facts.own, len(facts.by_start)) == ((), len(NAMES))
    assert "+made" not in work.repository().diff()["diff"]


async def test_every_name_goes_through_the_routes(sandbox, repo):
    for name in NAMES:
        path = os.path.join(os.fsencode(repo), name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as file:
            file.write(b"new\n")
    texts = {quote(os.fsdecode(name)) for name in NAMES}

    status = (await sandbox.get("/git/status")).json()
    shown = (await sandbox.get("/git/diff")).json()
    done = await sandbox.post("/git/discard", {"paths": sorted(texts)})

    assert {file["path"] for file in status["files"]} == texts
    assert shown["diff"].count("+new\n") == len(NAMES)
    assert set(done.json()["discarded"]) == texts
    assert (await sandbox.get("/git/status")).json()["files"] == []
    kept = sandbox.root / "discarded" / done.json()["kept"] / "new"
    assert set(files_in(kept)) == set(NAMES)


@pytest.mark.parametrize("path", ['"', '"caf\\9"', "caf\udce9.txt", "\ud800"])
async def test_a_name_that_can_t_be(sandbox, repo, path):
    with open(os.path.join(os.fsencode(repo), b"caf\xe9.txt"), "wb") as file:
        file.write(b"new\n")

    body = json.dumps({"paths": [path]}).encode()
    reply = await sandbox.client.post("/git/discard", content=body)

    assert (reply.status_code, reply.json()["error"]["code"]) == (400, "bad_input")
    assert len((await sandbox.get("/git/status")).json()["files"]) == 1


async def test_every_name_is_published(sandbox, repo, tmp_path):
    for name in NAMES:
        path = os.path.join(os.fsencode(repo), name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as file:
            file.write(b"new\n")

    done = await sandbox.post("/git/publish", {"message": "all of them"})

    assert done.status_code == 200, done.text
    git(tmp_path, "clone", "-q", "--branch", "feature", str(tmp_path / "origin"), "published")
    assert set(NAMES) < set(files_in(tmp_path / "published"))


@pytest.mark.parametrize("name", [b"caf\xe9.txt", b" a\nb ", b'"q"'])
async def test_readers_hear_of_a_change_by_the_same_name(sandbox, repo, name):
    async with looking_on(sandbox) as told:

        async def is_heard():
            with open(os.path.join(os.fsencode(repo), name), "wb") as file:
                file.write(b"%d\n" % len(told.events))
            changed = {data["path"] for data in told.of("file-changed")}
            return quote(os.fsdecode(name)) in changed

        await auntil(is_heard)


@pytest.mark.parametrize("name", [b"caf\xe9.txt", b'"q"', b" a "])
async def test_the_file_tools_take_the_names_that_they_list(sandbox, repo, name):
    with open(os.path.join(os.fsencode(repo), name), "wb") as file:
        file.write(b"needle\n")
    text = quote(os.fsdecode(name))

    listed = (await sandbox.post("/glob", {"pattern": "*"})).json()["files"]
    found = (await sandbox.post("/grep", {"pattern": "needle"})).json()["lines"]
    await sandbox.post("/edit", {"path": text, "old_string": "needle", "new_string": "pin"})
    read = (await sandbox.post("/read", {"path": text})).json()

    assert text in listed
    assert found == [text]
    assert read["content"].endswith("pin")
