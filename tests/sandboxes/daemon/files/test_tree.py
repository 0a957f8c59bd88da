"""No path leads out of the working folder: not directly, not through a link, not in a race."""

from __future__ import annotations

import ctypes
import os
import shutil
import threading
from contextlib import contextmanager

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mesh.lib.errors import AppError
from sandboxes.daemon.files.tree import Tree

LIBC = ctypes.CDLL(None, use_errno=True)
AT_FDCWD, RENAME_EXCHANGE = -100, 2
OUTSIDE = (400, "path_outside")


def lay_links(repo, secret):
    """Make every kind of link that leads out."""
    (repo / "folder").mkdir()
    (repo / "up").symlink_to("..")
    (repo / "absolute").symlink_to(secret.parent)
    (repo / "file").symlink_to(secret)
    (repo / "folder" / "twice").symlink_to("../up")
    (repo / "round").symlink_to("round")


WAYS = [
    "../secret.txt",
    "folder/../../secret.txt",
    "./.././secret.txt",
    "up/secret.txt",
    "absolute/secret.txt",
    "file",
    "folder/twice/secret.txt",
    "/etc/passwd",
    "/",
    "..",
]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    ("tool", "fields"),
    [
        ("read", {}),
        ("write", {"content": "mine"}),
        ("edit", {"old_string": "top", "new_string": "no"}),
        ("mkdir", {}),
        ("grep", {"pattern": "top"}),
        ("bash", {"command": "cat *", "as": "cwd"}),
    ],
)
async def test_no_way_out(call, repo, secret, tool, fields, way):  # D-SB5
    lay_links(repo, secret)
    fields = dict(fields)
    fields[fields.pop("as", "path")] = way

    assert await call(tool, **fields) == OUTSIDE
    assert secret.read_text() == "top secret"


async def test_an_absolute_path_out_of_the_folder(call, secret):
    assert await call("read", path=str(secret)) == OUTSIDE
    assert await call("rename", **{"from": str(secret), "to": "mine"}) == OUTSIDE


async def test_nothing_is_moved_out(call, repo, secret):
    lay_links(repo, secret)
    (repo / "mine").write_text("x")

    assert await call("rename", **{"from": "mine", "to": "up/stolen"}) == OUTSIDE
    assert await call("rename", **{"from": "up/secret.txt", "to": "stolen"}) == OUTSIDE
    assert await call("unlink", path="up/secret.txt") == OUTSIDE
    assert secret.exists()


async def test_a_link_itself_may_be_removed_and_renamed(call, repo, secret):
    lay_links(repo, secret)

    assert await call("rename", **{"from": "file", "to": "link"}) == {"ok": True}
    assert (await call("unlink", path="link"))["existed"] is True
    assert secret.read_text() == "top secret"


async def test_links_inside_are_followed(call, repo):
    (repo / "real").mkdir()
    (repo / "real/file").write_text("x")
    (repo / "link").symlink_to("real")
    (repo / "full").symlink_to(repo / "real" / "file")
    (repo / "real/back").symlink_to("../link/file")

    for path in ("link/file", "full", "real/back", str(repo / "link/file"), "link/../real/file"):
        assert (await call("read", path=path))["content"] == "1\tx"


async def test_links_that_go_round(call, repo, secret):
    lay_links(repo, secret)

    assert await call("read", path="round/x") == (400, "bad_path")


async def test_search_does_not_follow_links(call, repo, secret):
    lay_links(repo, secret)

    assert (await call("grep", pattern="secret"))["lines"] == []
    found = (await call("glob", pattern="**"))["files"]
    assert not [name for name in found if name.endswith("secret.txt")]


@contextmanager
def swapping(top, out):
    """``real`` in ``top`` becomes a link to ``out`` and back, by another thread, all the time."""
    (top / "real").mkdir(parents=True)
    (top / "real/file").write_text("inside")
    out.mkdir()
    (out / "file").write_text("outside")
    (top / "evil").symlink_to(out)
    over = threading.Event()

    def swap():
        real, evil = os.fsencode(top / "real"), os.fsencode(top / "evil")
        while not over.is_set():
            # In one step, so that there is always something of that name.
            failed = LIBC.renameat2(AT_FDCWD, real, AT_FDCWD, evil, RENAME_EXCHANGE)
            assert not failed, os.strerror(ctypes.get_errno())

    swapper = threading.Thread(target=swap)
    swapper.start()
    try:
        yield
    finally:
        over.set()
        swapper.join()


def test_a_link_swapped_in_between_leads_nowhere(tmp_path):
    """Another process turns a folder into a link and back while we read through it."""
    with swapping(tmp_path / "top", tmp_path / "out"):
        seen = {look(Tree(tmp_path / "top"), "real/file") for _ in range(3000)}

    assert b"inside" in seen
    assert b"outside" not in seen


TOOLS_IN_A_RACE = [
    ("read", {"path": "real/file"}),
    ("write", {"path": "real/file", "content": "inside"}),
    ("edit", {"path": "real/file", "old_string": "in", "new_string": "In"}),
    ("mkdir", {"path": "real/made/deep"}),
    ("rename", {"from": "real/file", "to": "real/moved"}),
    ("rename", {"from": "real/moved", "to": "real/file"}),
    ("unlink", {"path": "real/gone"}),
    ("bash", {"command": "echo stolen > by-bash", "cwd": "real"}),
]


async def test_no_tool_wins_a_race(call, repo, secret):  # D-SB5
    """The program itself, over its socket, while the folder of each path is swapped."""
    out = secret.parent / "out"
    with swapping(repo, out):
        told = [
            answer
            for _ in range(60)
            for answer in [await call(tool, **fields) for tool, fields in TOOLS_IN_A_RACE]
        ]

    assert {path.name: path.read_text() for path in out.iterdir()} == {"file": "outside"}
    done = [answer for answer in told if isinstance(answer, dict)]
    assert "outside" not in str(done)
    assert 0 < len(done) < len(told)
    shutil.rmtree(out)


def look(tree, path):
    try:
        with tree.open_file(path) as (file, _):
            return os.read(file, 100)
    except AppError as exc:
        return exc.code


PARTS = st.sampled_from(["..", ".", "a", "b", "up", "out", "", "deep", "absolute"])


@given(parts=st.lists(PARTS, max_size=12), is_absolute=st.booleans())
def test_wherever_a_path_goes_it_ends_inside(tmp_path_factory, parts, is_absolute):
    top = tmp_path_factory.mktemp("tree") / "top"
    (top / "a/deep").mkdir(parents=True)
    (top / "b").symlink_to("a")
    (top / "a/up").symlink_to("..")
    (top / "out").symlink_to("../..")
    (top / "a/absolute").symlink_to(top / "a")
    path = "/".join([str(top), *parts] if is_absolute else parts)

    try:
        with Tree(top).at(path) as spot:
            inside = os.path.realpath(f"/proc/self/fd/{spot.folder}")
    except AppError:
        return
    assert (inside + "/").startswith(f"{top}/")
