"""Publishes a branch: commits everything that somebody changed, and pushes. Blocking.

Completely or not at all: unless the server has it, index and branch are as they were.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from mesh.git.separate import config_of
from mesh.git.view import View
from mesh.lib.git_status import Change, parse_status
from mesh.lib.quoted_names import quote
from sandboxes.daemon import lfs
from sandboxes.daemon.checkout.branches import is_branch, track
from sandboxes.daemon.checkout.remotes import remote_of
from sandboxes.daemon.files.errors import translated
from sandboxes.daemon.git import Git, GitFailed
from sandboxes.daemon.repository import commits, hooks, nested, remotes, signing
from sandboxes.daemon.repository.commits import Draft
from sandboxes.daemon.repository.errors import (
    DefaultBranch,
    Diverged,
    LfsMissing,
    MessageNeeded,
    NestedRepository,
    NothingToPublish,
    OthersCommits,
    UnderWay,
    Unmerged,
)
from sandboxes.daemon.repository.hooks import Hooks
from sandboxes.daemon.repository.rebase import is_under_way
from sandboxes.daemon.repository.remotes import Published, Target
from sandboxes.daemon.repository.state import STATUS, Facts

logger = logging.getLogger(__name__)

_SHARED: Final = ("main", "master")  # branches that are never published, even if not the default
_LISTED: Final = 100  # files that an error names

Nested = Literal["", "leave", "include"]


@dataclass(frozen=True, slots=True)
class Options:
    """What a person asks for when they publish."""

    message: str = ""
    replaces: bool = False  # overwrites what this branch once published
    skips_hooks: bool = False
    is_unsigned: bool = False
    nested: Nested = ""  # what happens to repositories inside the folder


@dataclass(frozen=True, slots=True)
class Work:
    """What is to be committed: the files, and the nested repositories with their files."""

    is_dirty: bool
    folders: tuple[str, ...] = ()
    links: tuple[str, ...] = ()  # in git's index already
    files: tuple[str, ...] = ()  # in nested repositories, to be included


def publish(git: Git, view: View, facts: Facts, options: Options, run: hooks.Run) -> dict[str, Any]:
    """Push the branch, after a commit of everything that somebody changed; return how.

    Only at a person's request.

    Raises:
        MessageNeeded, DefaultBranch, NothingToPublish, UnderWay, Unmerged, NestedRepository,
        LfsMissing, HookRefused, SigningFailed: as their texts say.
        Diverged: published commits would be lost, and ``replaces`` is false.
        OthersCommits: these never were on this branch.
        GitFailed: with git's own message.
    """
    branch = _branch(git, view, facts)
    target = remotes.target_of(git, view, branch)
    there = remotes.published(git, view, target)
    _refuse_shared(branch, target, there, facts)
    is_ahead = not there.commit or remotes.is_ahead(git, view, target, there.commit)
    if not is_ahead:
        _refuse_loss(git, view, branch, there, options)
    work = _work(git, view, facts, there, options)
    if work.is_dirty and not options.message.strip():
        raise MessageNeeded
    _refuse_pointers(git, view, facts, there, work)
    chosen = hooks.none() if options.skips_hooks else hooks.find(git, view, run)
    plan = _Plan(git, view, branch, target, there, chosen, is_ahead=is_ahead)
    is_signed = _execute(plan, facts, options, work)
    return {
        "remote": target.remote,
        "url": target.shown,
        "publishedAs": target.branch,
        "signed": is_signed,
        "hooksSkipped": options.skips_hooks,
        "nestedLeft": [] if work.files else [quote(path) for path in work.folders],
    }


@dataclass(frozen=True, slots=True)
class _Plan:
    """Where the branch goes, and what has a say in it."""

    git: Git
    view: View
    branch: str
    target: Target
    there: Published
    hooks: Hooks
    is_ahead: bool


def _execute(plan: _Plan, facts: Facts, options: Options, work: Work) -> bool:
    """Commit and push; return whether a commit was signed."""
    git, view, before = plan.git, plan.view, facts.status.head
    is_signed, commit, draft = False, before, None
    if work.is_dirty:
        draft = commits.draft_of(view)
        is_signed = _commit(plan, draft, facts, options, work)
        commit = git.words(view, "rev-parse", "--verify", "HEAD^{commit}")
    if not commit:
        raise NothingToPublish  # pushing no commit would delete the branch
    try:
        _prepare(plan, commit, draft)
        with translated():
            signer = signing.settings(git, view)
    except BaseException:
        _undo(plan, before, commit, work)
        raise
    try:
        _push(plan, commit, signer)
    except GitFailed as exc:
        has = _has(plan, commit)
        if has is False:
            _undo(plan, before, commit, work)
            raise
        _settle(plan, before, commit, work)
        if has is None:  # the commit stays: it may have arrived
            raise
        logger.info("git push failed, but the server has the commit: %s", exc)
    _settle(plan, before, commit, work)
    remotes.remember(git, view, plan.target, commit)
    _track(plan)
    return is_signed


def _commit(plan: _Plan, draft: Draft, facts: Facts, options: Options, work: Work) -> bool:
    left_out = [change.path for change in facts.by_start]
    commits.stage(plan.git, draft, left_out=left_out, links=work.links, more=work.files)
    if commits.is_empty(plan.git, draft):
        return False  # only links were taken out that no commit has
    return commits.commit(
        plan.git, draft, options.message, plan.hooks, is_unsigned=options.is_unsigned
    )


def _prepare(plan: _Plan, commit: str, draft: Draft | None) -> None:
    """Ask the hooks, and send the contents of large files: a commit without them is worthless.

    The hooks see the draft as the index, as if it had been changed with the commit.
    """
    target, there = plan.target, plan.there
    if commit == there.commit:
        return
    line = f"refs/heads/{plan.branch} {commit} {target.ref} {there.commit or '0' * len(commit)}\n"
    index = draft.index if draft else None
    plan.hooks.call("pre-push", target.remote, target.address, input=line.encode(), index=index)
    lfs.push(plan.git, plan.view, target.remote, target.address, plan.branch)


def _push(plan: _Plan, commit: str, signer: Sequence[str]) -> None:
    target, there = plan.target, plan.there
    if commit == there.commit:
        return
    # Overwrites only what was compared, not what has come to the server since.
    lease = () if plan.is_ahead else (f"--force-with-lease={target.ref}:{there.commit}",)
    options = ("--no-verify", "--no-follow-tags", *lease)
    what = f"{commit}:{target.ref}"
    plan.git.run(plan.view, *signer, "push", *options, "--", target.remote, what)


def _has(plan: _Plan, commit: str) -> bool | None:
    """Return whether the server has the commit now; ``None`` if it can't be asked."""
    try:
        return remotes.published(plan.git, plan.view, plan.target).commit == commit
    except GitFailed:
        return None


def _undo(plan: _Plan, before: str, commit: str, work: Work) -> None:
    """Take the commit back, unless somebody has already built on it."""
    if commit != before and not commits.undo(
        plan.git, plan.view, plan.branch, before=before, commit=commit
    ):
        _settle(plan, before, commit, work)


def _settle(plan: _Plan, before: str, commit: str, work: Work) -> None:
    if commit == before:
        return
    try:
        commits.settle(plan.git, plan.view, before=before, commit=commit, links=work.links)
    except GitFailed as exc:
        # The next publishing compares the files themselves, so nothing is lost.
        logger.warning("git's index could not be updated after a commit, it is old: %s", exc)


def _track(plan: _Plan) -> None:
    """Set the branch's upstream, but never in a person's own configuration."""
    own = plan.view.own
    is_theirs = not own.origin and config_of(own) == own.common / "config"
    is_usual = plan.target.remote == remote_of(plan.git, plan.view, plan.branch)
    if is_theirs or not is_usual or plan.target.branch != plan.branch:
        return
    if plan.git.ask(plan.view, "config", "--get", f"branch.{plan.branch}.merge") is None:
        track(plan.branch, plan.view, plan.git)


def _branch(git: Git, view: View, facts: Facts) -> str:
    if is_under_way(view):
        raise UnderWay
    records = git.names(view, "ls-files", "--unmerged", "-z")
    if files := list(dict.fromkeys(record.partition("\t")[2] for record in records)):
        raise Unmerged(files=[quote(path) for path in files[:_LISTED]])
    branch = facts.status.branch
    if not branch:
        raise NothingToPublish("The folder is on no branch (its HEAD is detached).")
    if branch.startswith("-") or not is_branch(branch, view.place, git):
        raise NothingToPublish(f"“{branch}” can't be the name of a branch.")
    if not facts.status.head and not facts.is_dirty:
        raise NothingToPublish
    return branch


def _refuse_shared(branch: str, target: Target, there: Published, facts: Facts) -> None:
    base = facts.base.removeprefix(f"{target.remote}/").removeprefix("origin/")
    if {branch, target.branch} & {*_SHARED, base, there.default}:
        raise DefaultBranch


def _refuse_loss(git: Git, view: View, branch: str, there: Published, options: Options) -> None:
    if not remotes.was_ours(git, view, branch, there.commit):
        raise OthersCommits if options.replaces else Diverged
    if not options.replaces:
        raise Diverged


def _work(git: Git, view: View, facts: Facts, there: Published, options: Options) -> Work:
    """Return what is to be committed.

    Raises:
        NestedRepository: nobody said what happens to the files in one.
    """
    top = view.own.top
    changes = _changes(git, view, facts)
    found = [c.path for c in changes if c.is_folder and nested.count(top, c.path)]
    links = nested.linked(git, view, there.commit or facts.base)
    inside = [*found, *links]
    if inside and not options.nested:
        raise NestedRepository(
            repositories=[
                {"path": quote(path), "files": nested.count(top, path)} for path in inside
            ],
        )
    files = nested.files(git, view, inside) if options.nested == "include" else []
    is_dirty = bool(links or files) or any(not change.is_folder for change in changes)
    return Work(is_dirty, tuple(inside), tuple(links), tuple(files))


def _refuse_pointers(git: Git, view: View, facts: Facts, there: Published, work: Work) -> None:
    """Without git-lfs, neither the contents of a file nor a new pointer to it can be published."""
    if lfs.is_installed():
        return
    changes = _changes(git, view, facts)
    changed = [c.path for c in changes if not c.is_folder and "D" not in c.status]
    since = there.commit or facts.base
    if facts.status.head:
        names = ("-r", "-z", "--name-only")
        everything = ("ls-tree", *names, "--full-tree", "HEAD")
        new = ("diff-tree", *names, "--no-renames", "--diff-filter=d", since, "HEAD", "--")
        changed += git.names(view, *(new if since else everything))
    if files := lfs.of_lfs(git, view, dict.fromkeys([*changed, *work.files])):
        raise LfsMissing(files=[quote(path) for path in files[:_LISTED]])


def _changes(git: Git, view: View, facts: Facts) -> Sequence[Change]:
    """Return all changes but those of the start, also where a list would be too long to show."""
    if not facts.unlisted:
        return facts.own
    started = {change.path for change in facts.by_start}
    changes = parse_status(git.output(view, *STATUS)).changes
    return [change for change in changes if change.path not in started]
