"""What is discarded is kept, byte for byte, in a form that git takes back: real git."""

from __future__ import annotations

import os
import shutil

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sandboxes.daemon.git import GitFailed
from sandboxes.daemon.repository import discard
from sandboxes.daemon.repository.errors import CopyNotKept, InTheWay, UnderWay
from tests.sandboxes.daemon.projects import git
from tests.sandboxes.daemon.repository.work import Work, files_in, restore

pytestmark = pytest.mark.programs

BYTES = bytes(range(256))
LINES = b"".join(b"line %d\n" % number for number in range(40))


@pytest.fixture
def home(tmp_path, monkeypatch):
    (tmp_path / "home").mkdir()
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    return tmp_path / "home"


@pytest.fixture
def work(tmp_path, home):
    return Work(tmp_path / "root")


def rewritten(before, after, *then):
    """Return what commits ``before``, and then writes ``after``; ``None`` is no file."""

    def change(work):
        if before is not None:
            work.write("file", before)
        work.write("other", b"stays\n")
        work.commit()
        if after is None:
            os.unlink(work.path("file"))
        else:
            work.write("file", after)
        for command in then:
            work.git(*command)

    return change


def linked(before, after):
    def change(work):
        os.symlink(before, work.path("file"))
        work.commit()
        os.unlink(work.path("file"))
        os.symlink(after, work.path("file"))

    return change


def with_mode(before, after):
    def change(work):
        work.write("file", LINES)
        os.chmod(work.path("file"), before)
        work.commit()
        os.chmod(work.path("file"), after)

    return change


def a_file_becomes_a_link(work):
    work.write("file", LINES)
    work.commit()
    os.unlink(work.path("file"))
    os.symlink("elsewhere", work.path("file"))


def a_link_becomes_a_file(work):
    os.symlink("elsewhere", work.path("file"))
    work.commit()
    os.unlink(work.path("file"))
    work.write("file", LINES)


def a_file_becomes_a_folder(work):
    work.write("file", LINES)
    work.commit()
    os.unlink(work.path("file"))
    work.write("file/inside", b"new\n")
    work.write("file/deep/er", b"new too\n")


def a_folder_becomes_a_file(work):
    work.write("file/inside", LINES)
    work.write("file/other", LINES)
    work.commit()
    shutil.rmtree(work.path("file"))
    work.write("file", b"a file now\n")


def a_folder_becomes_a_link(work):
    work.write("file/inside", LINES)
    work.write("other/inside", b"another's\n")
    work.commit()
    shutil.rmtree(work.path("file"))
    os.symlink("other", work.path("file"))


def renamed(work):
    work.write("old", LINES)
    work.commit()
    work.git("mv", "old", "new")
    work.write("new", LINES + b"and more\n")


def staged_and_changed(work):
    work.write("file", b"one\n")
    work.commit()
    work.write("file", b"two\n")
    work.write("added", b"first\n")
    work.git("add", ".")
    work.write("file", b"three\n")
    work.write("added", b"second\n")


def untracked_again(work):
    work.write("file", LINES)
    work.commit()
    work.git("rm", "-q", "--cached", "file")
    work.write("file", LINES + b"more\n")


def a_new_link_to_a_folder(work):
    work.write("folder/file", LINES)
    work.commit()
    os.symlink("folder", work.path("link"))


def by_attributes(line):
    def change(work):
        work.write(".gitattributes", line)
        work.write("file", "one\r\ntwo\r\n".encode("utf-16-le"))
        work.commit()
        work.write("file", "one\r\nchanged\r\n".encode("utf-16-le"))

    return change


KINDS = {
    "text": rewritten(LINES, LINES.replace(b"line 7\n", b"seven\n")),
    "binary": rewritten(BYTES, BYTES[::-1] + b"\n\n"),
    "text becomes binary": rewritten(LINES, BYTES),
    "Latin-1": rewritten(b"caf\xe9\n" * 9, b"caf\xe9\n" * 8 + b"th\xe9\n"),
    "UTF-16": rewritten("\ufeffab\n".encode("utf-16"), "\ufeffabc\n".encode("utf-16")),
    "CRLF": rewritten(b"a\r\nb\r\n", b"a\r\nc\r\n"),
    "CRLF becomes LF": rewritten(b"a\r\nb\r\n", b"a\nb\n"),
    "lone CR": rewritten(b"a\rb\r\n", b"a\rc\r\r\n"),
    "NUL and lines": rewritten(b"a\0b\n", b"a\0c\n"),
    "no newline at the end": rewritten(b"a\nb", b"a\nc"),
    "a newline at the end is gone": rewritten(b"a\n", b"a"),
    "blank lines at the end": rewritten(b"a\n", b"a\n\n\n \n\t\n"),
    "blank lines at the end are gone": rewritten(b"a\n\n\n\n", b"a\n"),
    "only blank lines": rewritten(b"\n\n\n", b"\n"),
    "lines that look like a diff": rewritten(LINES, b"diff --git a/x b/x\n--- a\n+++ b\n@@\n"),
    "deleted": rewritten(LINES, None),
    "deleted and staged": rewritten(LINES, None, ["rm", "-q", "--cached", "file"]),
    "deleted, empty": rewritten(b"", None),
    "emptied": rewritten(LINES, b""),
    "no longer empty": rewritten(b"", LINES),
    "new": rewritten(None, b"caf\xe9\r\n\n\n"),
    "new and empty": rewritten(None, b""),
    "new and staged": rewritten(None, BYTES, ["add", "file"]),
    "intent to add": rewritten(None, LINES, ["add", "--intent-to-add", "file"]),
    "staged": rewritten(LINES, BYTES, ["add", "file"]),
    "staged and changed": staged_and_changed,
    "untracked again": untracked_again,
    "renamed": renamed,
    "made executable": with_mode(0o644, 0o755),
    "no longer executable": with_mode(0o755, 0o644),
    "a link": linked("here", "there"),
    "a link with a newline": linked("here", b"th\xe9re\n\n"),
    "a file becomes a link": a_file_becomes_a_link,
    "a link becomes a file": a_link_becomes_a_file,
    "a file becomes a folder": a_file_becomes_a_folder,
    "a folder becomes a file": a_folder_becomes_a_file,
    "a folder becomes a link": a_folder_becomes_a_link,
    "a new link to a folder": a_new_link_to_a_folder,
    "an encoding of its own": by_attributes(b"file working-tree-encoding=UTF-16LE\n"),
    "not text, by attributes": by_attributes(b"file -diff -text\n"),
}


def check_round_trip(work, fresh):
    """Discard everything; compare with the commit, and what is kept with what there was."""
    git(work.root, "clone", "-q", str(work.repo), str(fresh))
    before = files_in(work.repo)
    repository = work.repository()

    done = repository.discard(list(dict.fromkeys(work.listed())))

    assert work.status() == b""
    assert files_in(work.repo) == files_in(fresh)
    restore(work.root / "discarded" / done["kept"], fresh)
    assert files_in(fresh) == before


@pytest.mark.parametrize("change", [pytest.param(KINDS[kind], id=kind) for kind in KINDS])
def test_what_is_discarded_can_be_applied_again_byte_for_byte(work, tmp_path, change):
    change(work)

    check_round_trip(work, tmp_path / "fresh")


@pytest.mark.parametrize("kind", ["text", "CRLF", "Latin-1", "binary", "new", "renamed"])
def test_also_where_git_changes_the_ends_of_lines(work, tmp_path, home, kind):
    git(tmp_path, "config", "--global", "core.autocrlf", "true")
    git(tmp_path, "config", "--global", "core.safecrlf", "false")
    KINDS[kind](work)
    committed = git(work.repo, "stash", "create")  # what git would store of it
    tree = git(work.repo, "rev-parse", f"{committed}^{{tree}}") if committed else ""
    git(work.root, "clone", "-q", str(work.repo), str(tmp_path / "fresh"))

    done = work.repository().discard(work.listed())

    restore(work.root / "discarded" / done["kept"], tmp_path / "fresh")
    git(tmp_path / "fresh", "add", "--all")
    if tree:
        assert git(tmp_path / "fresh", "write-tree") == tree
    assert work.status() == b""


def test_the_files_are_kept_as_they_were_too(work, home):
    git(work.root, "config", "--global", "core.autocrlf", "true")
    work.write("file", b"one\r\ntwo\r\n")
    work.commit()
    work.write("file", b"one\nzwei\r\n")  # git would store it with one kind of end

    kept = work.repository().discard(["file"])["kept"]

    assert (work.root / "discarded" / kept / "changed/file").read_bytes() == b"one\nzwei\r\n"


def test_what_was_staged_is_kept_where_it_was_changed_again(work):
    staged_and_changed(work)

    kept = work.root / "discarded" / work.repository().discard(["file", "added"])["kept"]

    git(work.repo, "apply", "--index", str(kept / "staged.patch"))
    assert work.git("show", ":file", ":added") == b"two\nfirst\n"


def test_what_is_only_staged_is_kept(work):
    work.commit()
    work.write("added", b"staged\n")
    work.git("add", "added")
    os.unlink(work.path("added"))

    kept = work.root / "discarded" / work.repository().discard(["added"])["kept"]

    git(work.repo, "apply", str(kept / "staged.patch"))
    assert (work.repo / "added").read_bytes() == b"staged\n"


def test_before_the_first_commit(work):
    work.write("staged", b"one\n")
    work.git("add", "staged")
    work.write("staged", b"two\n")
    work.write("new", BYTES)

    kept = work.root / "discarded" / work.repository().discard(["staged", "new"])["kept"]

    assert (work.status(), files_in(work.repo)) == (b"", {})
    assert (kept / "new/new").read_bytes() == BYTES
    assert (kept / "new/staged").read_bytes() == b"two\n"
    assert b"+one" in (kept / "staged.patch").read_bytes()


def test_folders_that_are_emptied_are_gone_and_no_others(work):
    work.write("kept/file", b"one\n")
    work.commit()
    work.write("new/deep/file", b"new\n")
    work.write("kept/deep/file", b"new\n")
    (work.repo / "empty").mkdir()

    work.repository().discard(["new/deep/file", "kept/deep/file"])

    assert sorted(entry.name for entry in work.repo.iterdir()) == [".git", "empty", "kept"]
    assert [entry.name for entry in (work.repo / "kept").iterdir()] == ["file"]


CONTENTS = st.one_of(
    st.none(),
    st.binary(max_size=60),
    st.lists(st.sampled_from([b"a", b" b", b"\xe9", b"\r", b"\n", b"\0", b"+c", b"\\ x"])).map(
        b"".join
    ),
)


@pytest.mark.thorough
@settings(max_examples=80, deadline=None, suppress_health_check=list(HealthCheck))
@given(files=st.lists(st.tuples(CONTENTS, CONTENTS, CONTENTS), min_size=1, max_size=4))
def test_any_contents_come_back(tmp_path_factory, files):
    folder = tmp_path_factory.mktemp("any")
    work = Work(folder / "root")
    for step in range(3):
        for number, contents in enumerate(files):
            if contents[step] is not None:
                work.write(f"file{number}", contents[step])
            elif os.path.lexists(work.path(f"file{number}")):
                os.unlink(work.path(f"file{number}"))
        if step == 0:
            work.commit()
        if step == 1:
            work.git("add", "--all")

    if work.listed():
        check_round_trip(work, folder / "fresh")


# What keeps anything from being discarded


def everything(work):
    index = work.git("ls-files", "--stage", "-z")
    return work.status(), index, files_in(work.repo), os.path.exists(work.root / "discarded/1")


@pytest.mark.parametrize("failing", ["no folder", "no patch", "no move", "no second move"])
def test_nothing_is_discarded_unless_everything_is_kept(work, monkeypatch, failing):
    staged_and_changed(work)
    work.write("new", b"new\n")
    before = everything(work)
    if failing == "no folder":
        (work.root / "discarded").write_text("in the way")
    if failing == "no patch":
        monkeypatch.setattr(discard, "_DIFF", ("diff", "--no-such-option"))
    if failing in ("no move", "no second move"):
        moves = iter([discard.move_away] if failing == "no second move" else [])

        def move(*args):
            next(moves, full)(*args)

        monkeypatch.setattr(discard, "move_away", move)

    with pytest.raises(CopyNotKept, match="nothing was discarded"):
        work.repository().discard(["file", "added", "new"])

    assert everything(work) == before
    if failing != "no folder":
        assert list((work.root / "discarded").iterdir()) == []


def full(*args):
    raise OSError(28, "No space left on device")


def test_git_that_can_t_restore_a_file_changes_nothing(work, home):
    work.write(".gitattributes", b"file filter=broken\n")
    work.write("file", b"one\n")
    work.write("gone", b"here\n")
    work.commit()
    work.write("file", b"two\n")
    work.git("add", "file")
    os.unlink(work.path("gone"))
    work.write("new", b"new\n")
    before = everything(work)
    for key, value in (("clean", "cat"), ("smudge", "false"), ("required", "true")):
        git(work.root, "config", "--global", f"filter.broken.{key}", value)

    with pytest.raises(GitFailed):
        work.repository().discard(["file", "gone", "new"])

    assert everything(work) == before


def test_another_git_at_work_changes_nothing(work):
    staged_and_changed(work)
    before = everything(work)
    (work.repo / ".git/index.lock").touch()

    with pytest.raises(GitFailed):
        work.repository().discard(["file", "added"])

    (work.repo / ".git/index.lock").unlink()
    assert everything(work) == before


@pytest.mark.parametrize(
    ("change", "path", "named"),
    [
        pytest.param(a_file_becomes_a_folder, "file", "file/", id="new files in a folder"),
        pytest.param(a_folder_becomes_a_file, "file/inside", "“file” ", id="a new file"),
        pytest.param(a_folder_becomes_a_link, "file/inside", "“file” ", id="a new link"),
    ],
)
def test_a_file_in_the_way_is_never_lost(work, change, path, named):
    change(work)
    before = everything(work)

    with pytest.raises(InTheWay, match=named):
        work.repository().discard([path])

    assert everything(work) == before


def test_a_file_in_the_way_that_git_ignores_is_never_lost(work):
    work.write("made", LINES)
    work.commit()
    os.unlink(work.path("made"))
    work.write(".gitignore", b"*.secret\n")
    work.write("made/key.secret", b"secret\n")
    before = everything(work)

    with pytest.raises(InTheWay):
        work.repository().discard(["made", ".gitignore"])

    assert everything(work) == before


def test_nothing_is_discarded_in_the_middle_of_a_merge(work):
    work.write("file", b"one\n")
    work.commit()
    work.git("checkout", "-qb", "side")
    work.write("file", b"theirs\n")
    work.commit()
    work.git("checkout", "-q", "main")
    work.write("file", b"mine\n")
    work.commit()
    with pytest.raises(Exception, match="merge"):
        work.git("merge", "side")
    work.write("new", b"new\n")
    before = everything(work)

    with pytest.raises(UnderWay):
        work.repository().discard(["file"])
    assert everything(work) == before

    work.repository().discard(["new"])
    assert not (work.repo / "new").exists()


def test_a_staged_file_whose_place_a_folder_has_taken_is_discarded(work):
    work.write("place/inner", b"committed\n")
    work.commit()
    shutil.rmtree(work.path("place"))
    work.write("place", b"staged\n")
    work.git("add", "--all")
    os.unlink(work.path("place"))
    work.write("place/inner", b"written anew\n")

    kept = work.repository().discard(sorted(set(work.listed())))["kept"]

    assert work.status() == b""
    folder = work.root / "discarded" / kept
    assert (folder / "new/place/inner").read_bytes() == b"written anew\n"
    assert b"+staged" in (folder / "staged.patch").read_bytes()
