"""What people set for git in their terminal changes nothing that Mesh does: real git."""

from __future__ import annotations

import os

import pytest

from tests.sandboxes.daemon.projects import git
from tests.sandboxes.daemon.repository.work import Work, files_in

pytestmark = pytest.mark.programs

# Every setting has the valid value that would do the most harm. {trap} is a program.
NASTY = """
[core]
    quotePath = true
    fsmonitor = {trap}
    pager = {trap}
    editor = {trap}
    hooksPath = {home}/hooks
    attributesFile = {home}/attributes
    abbrev = 4
    bigFileThreshold = 1
    commentChar = p
    ignoreStat = true
    whitespace = trailing-space,tab-in-indent
[sequence]
    editor = {trap}
[diff]
    external = {trap}
    noprefix = true
    mnemonicPrefix = true
    srcPrefix = x/
    dstPrefix = y/
    algorithm = patience
    indentHeuristic = false
    context = 0
    interHunkContext = 50
    renames = copies
    orderFile = {home}/order
    relative = true
    wsErrorHighlight = all
    colorMoved = zebra
    suppressBlankEmpty = true
    autoRefreshIndex = false
    ignoreSubmodules = all
    submodule = log
    wordRegex = .
[diff "trap"]
    command = {trap}
    textconv = {trap}
[color]
    ui = always
    diff = always
    status = always
    branch = always
    advice = always
    push = always
    remote = always
    transport = always
[column]
    ui = always
    status = always
[status]
    showUntrackedFiles = no
    renames = copies
    relativePaths = false
    short = true
    branch = true
    showStash = true
    submoduleSummary = true
    displayCommentPrefix = true
    aheadBehind = true
[rebase]
    updateRefs = true
    autoSquash = true
    autoStash = true
    abbreviateCommands = true
    backend = apply
    forkPoint = true
    rebaseMerges = true
    rescheduleFailedExec = true
    instructionFormat = %n%H drop
    missingCommitsCheck = error
    stat = true
[merge]
    conflictStyle = diff3
    renames = false
    directoryRenames = true
    autoStash = true
    ff = only
    stat = true
    log = true
    verifySignatures = true
    tool = trap
[mergetool "trap"]
    cmd = {trap}
[rerere]
    enabled = true
    autoUpdate = true
[apply]
    whitespace = error-all
    ignoreWhitespace = change
[commit]
    template = {home}/attributes
    cleanup = strip
    verbose = true
    status = true
[i18n]
    commitEncoding = ISO-8859-1
    logOutputEncoding = UTF-16
[log]
    showSignature = true
    date = relative
[format]
    pretty = %s
    signOff = true
[branch]
    autoSetupMerge = always
    autoSetupRebase = always
[checkout]
    guess = true
    defaultRemote = other
[clone]
    defaultRemoteName = other
[fetch]
    prune = true
    pruneTags = true
    recurseSubmodules = true
[remote "origin"]
    tagOpt = --tags
    prune = true
[push]
    default = nothing
    followTags = true
    autoSetupRemote = true
    recurseSubmodules = check
[tag]
    gpgSign = true
    sort = -refname
[notes]
    rewriteRef = refs/notes/*
[notes "rewrite"]
    rebase = true
[pager]
    diff = {trap}
    status = {trap}
    ls-files = {trap}
[interactive]
    diffFilter = {trap}
[alias]
    status = !{trap}
    diff = !{trap}
    rebase = !{trap}
[blame]
    coloring = repeatedLines
[advice]
    statusHints = true
[help]
    autocorrect = immediate
[trace2]
    normalTarget = 2
    eventTarget = 2
"""


@pytest.fixture
def home(tmp_path, monkeypatch):
    (tmp_path / "home").mkdir()
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    git(tmp_path, "config", "--global", "user.name", "Ada")
    git(tmp_path, "config", "--global", "user.email", "ada@mesh.example")
    return tmp_path / "home"


@pytest.fixture
def trap(home):
    """A program that leaves a mark."""
    program = home / "trap"
    program.write_text(f'#!/bin/sh\necho "$*" >> {home}/sprung\nexit 1\n')
    program.chmod(0o755)
    (home / "attributes").write_text("* diff=trap\n")
    (home / "order").write_text("z*\n*\n")
    (home / "hooks").mkdir()
    for hook in ("post-checkout", "post-rewrite", "pre-rebase", "post-index-change"):
        (home / "hooks" / hook).symlink_to(program)
    return program


def set_nasty(home, trap):
    with open(home / ".gitconfig", "a") as file:
        file.write(NASTY.format(trap=trap, home=home))


LINES = [b"line %d\n" % number for number in range(60)]


def project(folder):
    """Return a repository whose work is not on the newest base, and in which much was changed."""
    work = Work(folder)
    work.write("a/file", b"".join(LINES))
    work.write("moved", b"".join(LINES))
    work.write("z\xe4.txt".encode(), b"one\n\ntwo\n")
    work.commit()
    origin = folder.parent / f"origin of {folder.name}"
    git(folder, "clone", "-q", str(work.repo), str(origin))
    work.git("remote", "add", "origin", str(origin))
    work.git("fetch", "-q", "origin")
    for name, message in (("one", "#1 one"), ("two", "fixup! #1 one"), ("three", "p three \xe4")):
        work.git("checkout", "-q", *([] if name != "one" else ["-b"]), "feature")
        work.write(name, name.encode())
        work.git("add", name)
        work.git("commit", "-qm", message)
        work.git("branch", f"at-{name}")
        work.git("notes", "add", "-m", f"of {name}")
    (origin / "newer").write_text("newer\n")
    git(origin, "add", ".")
    git(origin, "commit", "-qm", "newer")
    git(origin, "tag", "v1")
    work.git("tag", "mine")
    return work


def change(work):
    work.write("a/file", b"".join([*LINES[:9], b"nine \n", *LINES[10:20], *LINES[25:]]))
    work.write("z\xe4.txt".encode(), b"one\n\n\ttwo \n")
    work.git("mv", "moved", "moved again")
    work.write("new.txt", b"new \n")
    os.utime(work.path("one"), (1, 1))  # looks changed, and is not


def ask_everything(work):
    """Return what the routes of the repository say and keep, without what names a commit."""
    work.env = os.environ | {"GIT_CONFIG_GLOBAL": os.devnull}
    refs = work.git("for-each-ref")
    repository = work.repository()
    rebased = repository.rebase("main")
    subjects = work.git("log", "--format=%s%n%b", "origin/main..HEAD")
    change(work)
    facts = repository.facts()
    diff = repository.diff()
    done = repository.discard([file["path"] for file in diff["files"]])
    kept = work.root / "discarded" / done.pop("kept")
    own = (b"refs/heads/feature", b"refs/remotes/origin/main")
    others = [
        {line for line in lines.splitlines() if not line.endswith(own)}
        for lines in (refs, work.git("for-each-ref"))
    ]
    answers = [{k: v for k, v in one.items() if "ead" not in k} for one in (rebased, facts.meta())]
    return {
        "answers": [*answers, repository.files(facts), diff, done],
        "subjects": subjects,
        "kept": files_in(kept),
        "files": files_in(work.repo),
        "others": others[1] - others[0],
        "others gone": others[0] - others[1],
        "config": (work.repo / ".git/config").read_text().replace(work.root.name, ""),
    }


def test_no_setting_of_a_person_s_own_changes_what_is_said_and_done(tmp_path, home, trap):
    plain, nasty = project(tmp_path / "plain"), project(tmp_path / "nasty")
    expected = ask_everything(plain)
    set_nasty(home, trap)

    answered = ask_everything(nasty)

    assert not (home / "sprung").exists(), (home / "sprung").read_text()
    assert answered == expected
    assert (expected["others"], expected["others gone"]) == (set(), set())
    assert len(expected["answers"][2]["files"]) == 5


def test_these_settings_would_change_it(tmp_path, home, trap):
    """The one above can fail."""
    work = project(tmp_path / "work")
    change(work)
    expected = work.git("--no-pager", "diff")
    set_nasty(home, trap)

    with pytest.raises(Exception, match="diff"):
        work.git("--no-pager", "diff")
    found = work.git("--no-pager", "diff", "--no-ext-diff", "--no-textconv")

    assert (home / "sprung").exists()
    assert found != expected
    assert b"\x1b[" in found


def test_a_person_s_own_signing_is_kept_in_a_rebase(tmp_path, home, trap):
    """It is asked of their own program; without it nothing is rebased."""
    work = project(tmp_path / "work")
    before = work.git("for-each-ref", "refs/heads")
    git(home, "config", "--global", "commit.gpgSign", "true")
    git(home, "config", "--global", "gpg.program", str(trap))

    with pytest.raises(Exception, match="rebase"):
        work.repository().rebase("main")

    assert (home / "sprung").exists()
    assert work.git("for-each-ref", "refs/heads") == before
