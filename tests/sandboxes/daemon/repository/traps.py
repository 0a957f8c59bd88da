"""Settings and files by which a repository starts a program; each is shown to work in plain git.

The hooks that people expect at a commit and a push are not among them: see ``test_hooks``.
"""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.sandboxes.daemon.projects import git

Lay = Callable[[Path, str], object]


@dataclass(frozen=True)
class Trap:
    """``lay(repo, program)`` sets it; ``springs`` is a command of plain git that it catches."""

    name: str
    lay: Lay
    springs: Sequence[str]
    stops: Sequence[str] = ()  # routes that refuse instead of going on, with the error's code


def program_at(folder: Path) -> tuple[str, Path]:
    """Return a program that leaves a mark, and where the mark will be."""
    mark, program = folder / "ran", folder / "trap.sh"
    program.write_text(f'#!/bin/sh\necho "$0 $*" >> {mark}\nexec timeout 2 cat\n')
    program.chmod(0o755)
    return str(program), mark


def spring(repo: Path, args: Sequence[str]) -> None:
    """Run plain git there, as somebody would in a terminal."""
    identity = ("-c", "user.name=Ada", "-c", "user.email=ada@mesh.example")
    asked = b"protocol=https\nhost=mesh.example\nusername=a\npassword=b\n\n"
    subprocess.run(["git", *identity, *args], cwd=repo, input=asked, capture_output=True)


def setting(key: str) -> Lay:
    return lambda repo, program: git(repo, "config", key, program)


def driver(attribute: str, *keys: str, where: str = ".gitattributes") -> Lay:
    """Return what sets a driver, and files that ask for it."""

    def lay(repo: Path, program: str) -> None:
        (repo / where).parent.mkdir(exist_ok=True)
        (repo / where).write_text(f"*.txt {attribute}\n")
        for key in keys:
            git(repo, "config", key, program)

    return lay


def hook(name: str) -> Lay:
    def lay(repo: Path, program: str) -> None:
        (repo / ".git/hooks" / name).symlink_to(program)

    return lay


def hooks_path(repo: Path, program: str) -> None:
    (repo / "hooks").mkdir()
    (repo / "hooks/post-index-change").symlink_to(program)
    git(repo, "config", "core.hooksPath", "hooks")


def include(key: str) -> Lay:
    def lay(repo: Path, program: str) -> None:
        (repo / "more").write_text(f"[core]\n\tfsmonitor = {program}\n")
        git(repo, "config", key, str(repo / "more"))

    return lay


def worktree_config(repo: Path, program: str) -> None:
    git(repo, "config", "extensions.worktreeConfig", "true")
    git(repo, "config", "--worktree", "core.fsmonitor", program)


def replaced_by(key: str, value: str) -> Lay:
    """Return what sends git to another remote of the agent's own making."""

    def lay(repo: Path, program: str) -> None:
        git(repo, "config", key.format(program=program), value.format(program=program))

    return lay


def nested(key: str) -> Lay:
    """Return what makes a repository inside, tracked as a submodule, with a program in it."""

    def lay(repo: Path, program: str) -> None:
        inner = repo / "inner"
        inner.mkdir()
        git(inner, "init", "-q")
        (inner / ".gitattributes").write_text("* filter=evil\n")
        (inner / "file").write_text("one\n")
        git(inner, "add", ".")
        git(inner, "commit", "-qm", "inner")
        git(repo, "-c", "advice.addEmbeddedRepo=false", "add", "inner")
        git(repo, "commit", "-qm", "with a submodule")
        git(inner, "config", key, program)
        (inner / "file").write_text("two\n")

    return lay


def elsewhere(repo: Path, program: str) -> None:
    """Turn ``.git`` into a file that names another repository."""
    other = repo.parent / "other"
    git(repo, "clone", "-q", "--no-local", str(repo), str(other))
    git(other, "config", "core.fsmonitor", program)
    (repo / ".git").rename(repo.parent / "first.git")
    (repo / ".git").write_text(f"gitdir: {other / '.git'}\n")


def shared(repo: Path, program: str) -> None:
    """Take configuration and hooks from another repository, by ``commondir``."""
    other = repo.parent / "other"
    git(repo, "clone", "-q", "--no-local", "--bare", str(repo), str(other))
    git(other, "config", "core.bare", "false")
    git(other, "config", "core.fsmonitor", program)
    (repo / ".git/commondir").write_text(f"{other}\n")


STATUS, COMMIT = ("status",), ("commit", "-qam", "x")
INSIDE = ("-C", "inner", "status")
ALL = ("status", "diff", "discard", "publish", "rebase")
EVERYWHERE = tuple(f"{route}: foreign_git" for route in ALL)

TRAPS = [
    Trap("fsmonitor", setting("core.fsmonitor"), STATUS),
    Trap("a hook after the index", hook("post-index-change"), ("add", "a.txt")),
    Trap("a hook for references", hook("reference-transaction"), COMMIT),
    Trap("a hook of another folder", hooks_path, ("add", "a.txt")),
    Trap("an editor", setting("core.editor"), ("commit", "-a")),
    Trap("an external diff", setting("diff.external"), ("diff",)),
    Trap("a diff driver", driver("diff=evil", "diff.evil.command"), ("diff",)),
    Trap("textconv", driver("diff=evil", "diff.evil.textconv"), ("diff",)),
    Trap(
        "textconv by info/attributes",
        driver("diff=evil", "diff.evil.textconv", where=".git/info/attributes"),
        ("diff",),
    ),
    Trap(
        "a clean filter",
        driver("filter=evil", "filter.evil.clean"),
        ("add", "a.txt"),
        ("publish: git_filter_failed", "rebase: uncommitted_changes"),
    ),
    Trap(
        "a filter that goes on",
        driver("filter=evil", "filter.evil.process"),
        ("add", "a.txt"),
        ("publish: git_filter_failed", "rebase: uncommitted_changes"),
    ),
    Trap(
        "a smudge filter",
        driver("filter=evil", "filter.evil.smudge"),
        ("checkout", "HEAD", "--", "a.txt"),
        ("publish: git_filter_failed", "rebase: uncommitted_changes"),
    ),
    Trap(
        "a merge driver",
        lambda repo, program: (
            driver("merge=evil", "merge.evil.driver")(repo, f"{program} %A"),
            git(repo, "branch", "side"),
            (repo / "a.txt").write_text("mine\n"),
            git(repo, "commit", "-qam", "mine"),
            git(repo, "checkout", "-q", "side"),
            (repo / "a.txt").write_text("theirs\n"),
            git(repo, "commit", "-qam", "theirs"),
            git(repo, "checkout", "-q", "feature"),
        ),
        ("merge", "side"),
    ),
    Trap(
        "a signer",
        lambda repo, program: (
            git(repo, "config", "gpg.program", program),
            git(repo, "config", "commit.gpgSign", "true"),
        ),
        COMMIT,
    ),
    Trap("an ssh", setting("core.sshCommand"), ("ls-remote", "ssh://127.0.0.1:9/x")),
    Trap(
        "a remote helper",
        replaced_by("remote.origin.url", "ext::{program} x"),
        ("-c", "protocol.ext.allow=always", "ls-remote", "origin"),
    ),
    Trap(
        "another address for origin's",
        replaced_by("url.ext::{program} x.insteadOf", "ssh://"),
        ("-c", "protocol.ext.allow=always", "ls-remote", "origin"),
    ),
    Trap("an upload-pack", setting("remote.origin.uploadpack"), ("ls-remote", "origin")),
    Trap("a receive-pack", setting("remote.origin.receivepack"), ("push", "origin", "feature")),
    Trap(
        "another place to push to",
        replaced_by("remote.origin.pushurl", "ext::{program} x"),
        ("-c", "protocol.ext.allow=always", "push", "origin", "feature"),
    ),
    Trap(
        "a helper for credentials",
        lambda repo, program: git(repo, "config", "credential.helper", program),
        ("credential", "approve"),
    ),
    Trap("an included file", include("include.path"), STATUS),
    Trap("a file included for a folder", include("includeIf.gitdir:**.path"), STATUS),
    Trap("a configuration of the worktree", worktree_config, STATUS),
    Trap("a repository inside, by fsmonitor", nested("core.fsmonitor"), INSIDE),
    Trap("a repository inside, by a filter", nested("filter.evil.clean"), INSIDE),
    Trap("a .git that leads elsewhere", elsewhere, STATUS, EVERYWHERE),
    Trap("a shared folder elsewhere", shared, STATUS, EVERYWHERE),
]
