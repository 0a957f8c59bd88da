"""Commits everything that somebody changed, with hooks and a signature, so that it can be undone.

The commit is made from a copy of git's index. The index itself changes only when the commit stays:
after a refusal, index and branch are as they were. Blocking.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from mesh.git.calls import Call
from mesh.git.view import View
from mesh.lib.git_status import parse_status
from mesh.plain_files import open_plain, write_plain
from sandboxes.daemon.files.errors import translated
from sandboxes.daemon.git import Git, GitFailed
from sandboxes.daemon.repository import signing
from sandboxes.daemon.repository.errors import SigningFailed
from sandboxes.daemon.repository.hooks import Hooks
from sandboxes.daemon.repository.state import STATUS

_INDEX: Final = "publish.index"
_MESSAGE: Final = "publish.message"
_TRIES, _AGAIN_AFTER = 10, 0.2  # while somebody else's git has locked the index
# How git says that the signing program failed.
_UNSIGNED: Final = ("failed to sign", "failed to write commit object", "Load key", "signing key")


@dataclass(frozen=True, slots=True)
class Draft:
    """The repository with a copy of its index: a place to run git in (see ``Where``)."""

    view: View
    index: Path

    def call(self, args: tuple[str, ...], parent: Mapping[str, str]) -> Call:
        call = self.view.call(args, parent)
        return replace(call, env={**call.env, "GIT_INDEX_FILE": str(self.index)})

    def explain(self, said: str) -> str:
        return self.view.explain(said)


@dataclass(frozen=True, slots=True)
class Literal:
    """The repository, with paths taken literally."""

    view: View

    def call(self, args: tuple[str, ...], parent: Mapping[str, str]) -> Call:
        call = self.view.call(args, parent)
        return replace(call, env={**call.env, "GIT_LITERAL_PATHSPECS": "1"})

    def explain(self, said: str) -> str:
        return self.view.explain(said)


def draft_of(view: View) -> Draft:
    """Copy the index.

    Raises:
        DiskFull, NotPermitted, …: it can't be copied.
    """
    index = view.place / _INDEX
    with translated():
        for left in (index, index.with_name(f"{index.name}.lock")):
            left.unlink(missing_ok=True)
        try:
            handle = open_plain(view.own.git_dir / "index", os.O_RDONLY | os.O_NOFOLLOW)
        except FileNotFoundError:
            return Draft(view, index)  # nothing was ever added
        with os.fdopen(handle, "rb") as source, index.open("wb") as copy:
            shutil.copyfileobj(source, copy)
            # Git compares a file's contents if it is as young as the index, else only its size and
            # time: with a younger index, it would miss a change of the same moment and size.
            times = os.fstat(handle)
            copy.flush()
            os.utime(copy.fileno(), ns=(times.st_atime_ns, times.st_mtime_ns))
    return Draft(view, index)


def stage(
    git: Git, draft: Draft, *, left_out: Sequence[str], links: Sequence[str], more: Sequence[str]
) -> None:
    """Add everything that somebody changed to the draft, path by path.

    ``left_out`` are the changes of the project's start, ``links`` nested repositories that are
    taken out, ``more`` files in them. ``git add --all`` would query the status of each nested
    repository, which reads that repository's configuration.

    Raises:
        GitFailed: a file can't be stored.
    """
    update = ("update-index", "-z")
    if links:
        git.run(draft, *update, "--force-remove", "--stdin", given=_joined(links))
    without = {*left_out, *links}
    changes = parse_status(git.output(draft, *STATUS)).changes
    chosen = [c.path for c in changes if not c.is_folder and c.path not in without]
    git.run(draft, *update, "--add", "--remove", "--stdin", given=_joined([*chosen, *more]))


def is_empty(git: Git, draft: Draft) -> bool:
    """Return whether the draft is the same as the last commit."""
    code, _ = git.code(draft, "diff-index", "--cached", "--quiet", "HEAD", "--")
    return code == 0


def commit(git: Git, draft: Draft, message: str, hooks: Hooks, *, is_unsigned: bool) -> bool:
    """Commit the draft; return whether the commit is signed.

    Raises:
        HookRefused: by a hook's own words.
        SigningFailed: the key can't be used without a prompt.
        GitFailed: for any other reason.
    """
    hooks.call("pre-commit", index=draft.index)
    file = draft.view.place / _MESSAGE
    with translated():
        write_plain(file, f"{message}\n")
    hooks.call("prepare-commit-msg", str(file), "message", index=draft.index)
    hooks.call("commit-msg", str(file), index=draft.index)
    is_signed = not is_unsigned and signing.is_wanted(git, draft.view)
    with translated():
        settings = signing.settings(git, draft.view) if is_signed else ()
    options = ("--quiet", "--no-verify", "--cleanup=whitespace", f"--file={file}")
    sign = "--gpg-sign" if is_signed else "--no-gpg-sign"
    try:
        git.run(draft, *settings, "commit", *options, sign)
    except GitFailed as exc:
        if is_signed and any(sign in str(exc) for sign in _UNSIGNED):
            raise SigningFailed(f"{SigningFailed.text} {exc}") from exc
        raise
    hooks.call("post-commit", index=draft.index, may_refuse=False)
    return is_signed


def undo(git: Git, view: View, branch: str, *, before: str, commit: str) -> bool:
    """Take the branch back to ``before``; return whether it was still at ``commit``."""
    ref = f"refs/heads/{branch}"
    words = ("update-ref", "-mpublish: undone", *(() if before else ("-d",)))
    return git.ask(view, *words, ref, *((before,) if before else ()), commit) is not None


def settle(git: Git, view: View, *, before: str, commit: str, links: Iterable[str]) -> None:
    """Bring the index up to date with the commit; what else was added to it stays.

    Raises:
        GitFailed: somebody else's git keeps it locked.
    """
    names = ("-r", "-z", "--name-only")
    everything = ("ls-tree", *names, "--full-tree", commit)
    changed = ("diff-tree", *names, "--no-renames", before, commit, "--")
    paths = [*links, *git.names(view, *(changed if before else everything))]
    options = ("--pathspec-from-file=-", "--pathspec-file-nul")
    for left in range(_TRIES if paths else 0, 0, -1):
        try:
            git.run(Literal(view), "reset", "--quiet", *options, "HEAD", "--", given=_joined(paths))
            return
        except GitFailed as exc:
            if left == 1 or "index.lock" not in str(exc):
                raise
        git.pause(_AGAIN_AFTER)


def _joined(paths: Iterable[str]) -> bytes:
    return b"".join(os.fsencode(path) + b"\0" for path in paths)
