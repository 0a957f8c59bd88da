"""One call of git: its program, arguments and environment. This module starts nothing."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

# These contact another machine or repository; no other command does.
OF_NETWORK: Final = frozenset({"clone", "fetch", "ls-remote", "push"})
NO_REDIRECT: Final = "http.followRedirects=false"
PROTOCOLS: Final = ("https", "ssh")
# The person's own choice of an ssh; no other variable of git's is passed on.
_PASSED: Final = frozenset({"GIT_SSH", "GIT_SSH_COMMAND", "GIT_SSH_VARIANT"})
# Nobody would see a prompt, in a terminal or in a window.
_QUIET: Final = {
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_ASKPASS": "",
    "SSH_ASKPASS_REQUIRE": "never",
    "GIT_EDITOR": ":",
    "GIT_SEQUENCE_EDITOR": ":",
    "GIT_PAGER": "cat",
    "GIT_OPTIONAL_LOCKS": "0",  # reading must not get in the way of the person's own work
    "GIT_NO_LAZY_FETCH": "1",
    # Traces and advice would stand among the lines of an error.
    "GIT_ADVICE": "0",
    "GIT_TRACE2": "0",
    "GIT_TRACE2_EVENT": "0",
    "GIT_TRACE2_PERF": "0",
    "LC_ALL": "C.UTF-8",
}
# These override every configuration, including the person's own: settings that would start a
# program unseen, or make git look into repositories inside the working folder.
_SAFE: Final = (
    "core.fsmonitor=false",
    "core.hooksPath=/dev/null",
    "core.protectHFS=true",
    "core.protectNTFS=true",
    "safe.bareRepository=explicit",
    "protocol.ext.allow=never",
    "submodule.recurse=false",
    "fetch.recurseSubmodules=false",
    "push.recurseSubmodules=no",
    "diff.submodule=short",
    "diff.ignoreSubmodules=dirty",
    "status.submoduleSummary=false",
    "gc.auto=0",
    "maintenance.auto=false",
    # Give up a dead connection.
    "http.lowSpeedLimit=1",
    "http.lowSpeedTime=10",
)
# A person sets these for their own use in a terminal. Each has git's default here, because our
# calls rely on it: on the form of an output, or on which branches and tags a command touches.
# What files are and where they come from stays the person's own choice: filters, attributes, ends
# of lines, what is ignored, credentials, signing.
_PLAIN: Final = (
    # The form of a diff; ``PLAIN`` in ``sandboxes.daemon.git`` has what only an option can say.
    "diff.noprefix=false",
    "diff.mnemonicPrefix=false",
    "diff.srcPrefix=a/",
    "diff.dstPrefix=b/",
    "diff.algorithm=myers",
    "diff.indentHeuristic=true",
    "diff.context=3",
    "diff.interHunkContext=0",
    "diff.renames=false",
    "diff.orderFile=/dev/null",
    "diff.relative=false",
    "diff.suppressBlankEmpty=false",
    "diff.autoRefreshIndex=true",
    "diff.wsErrorHighlight=none",
    "diff.colorMoved=no",
    "core.quotePath=false",
    "core.bigFileThreshold=512m",
    "core.abbrev=auto",
    # Colors and columns, also in the messages of errors.
    "color.ui=false",
    *(f"color.{command}=false" for command in ("advice", "branch", "diff", "interactive", "push")),
    *(f"color.{command}=false" for command in ("remote", "showBranch", "status", "transport")),
    "column.ui=never",
    "column.status=never",
    "column.branch=never",
    # What a status counts as changed.
    "status.showUntrackedFiles=all",
    "status.renames=false",
    "status.relativePaths=true",
    "status.showStash=false",
    "status.branch=false",
    "status.short=false",
    "status.aheadBehind=false",
    "core.ignoreStat=false",
    # How commits are moved and merged, and which references follow.
    "rebase.updateRefs=false",
    "rebase.autoSquash=false",
    "rebase.autoStash=false",
    "rebase.abbreviateCommands=false",
    "rebase.backend=merge",
    "rebase.forkPoint=false",
    "rebase.rebaseMerges=false",
    "rebase.instructionFormat=",
    "rebase.missingCommitsCheck=ignore",
    "rebase.rescheduleFailedExec=false",
    "rebase.stat=false",
    "notes.rewrite.rebase=false",
    "notes.rewrite.amend=false",
    "merge.conflictStyle=merge",
    "merge.renames=true",
    "merge.directoryRenames=conflict",
    "merge.autoStash=false",
    "merge.stat=false",
    "merge.log=false",
    "merge.ff=true",
    "merge.verifySignatures=false",
    "rerere.enabled=false",
    "rerere.autoUpdate=false",
    "apply.whitespace=warn",
    "apply.ignoreWhitespace=no",
    # The messages of commits.
    "commit.cleanup=whitespace",
    "commit.verbose=false",
    "commit.status=false",
    "core.commentChar=#",
    "i18n.commitEncoding=UTF-8",
    "i18n.logOutputEncoding=UTF-8",
    "log.showSignature=false",
    # Which branches, tags and remotes a command makes, moves or removes.
    "branch.autoSetupMerge=false",
    "branch.autoSetupRebase=never",
    "checkout.guess=false",
    "checkout.defaultRemote=origin",
    "clone.defaultRemoteName=origin",
    "worktree.guessRemote=false",
    "worktree.useRelativePaths=false",
    "fetch.prune=false",
    "fetch.pruneTags=false",
    "fetch.output=full",
    "push.default=simple",
    "push.followTags=false",
    "push.autoSetupRemote=false",
    "push.useForceIfIncludes=false",
    "tag.gpgSign=false",
    "tag.forceSignAnnotated=false",
)
_SETTINGS: Final = (*_SAFE, *_PLAIN)
# Without git-lfs its files stay what the repository stores: pointers, unchanged in both directions.
_WITHOUT_LFS: Final = (
    *("filter.lfs.process=", "filter.lfs.smudge=", "filter.lfs.clean="),
    "filter.lfs.required=false",
)


@dataclass(frozen=True, slots=True)
class Call:
    """A command line, its working folder and its environment."""

    argv: tuple[str, ...]
    env: Mapping[str, str]
    cwd: Path


class GitMissing(Exception):
    """Git is not installed on this machine."""


def command_of(args: tuple[str, ...]) -> str:
    """Return the command among ``args``; settings (``-c``) for this one call may precede it."""
    at = 0
    while args[at] == "-c":
        at += 2
    return args[at]


def build(
    args: Iterable[str],
    *,
    cwd: Path,
    parent: Mapping[str, str],
    protocols: Iterable[str] = (),
    places: Mapping[str, str] | None = None,
) -> Call:
    """Return a call; ``protocols`` are those by which it may contact others.

    Raises:
        GitMissing: git is not on the PATH.
    """
    env = _environment(parent) | dict(places or {})
    # An empty list would mean all of them.
    env["GIT_ALLOW_PROTOCOL"] = ":".join(protocols) or "none"
    program = shutil.which("git", path=env["PATH"])
    if program is None:
        raise GitMissing
    settings = _SETTINGS if has_lfs(env) else (*_SETTINGS, *_WITHOUT_LFS)
    words = (word for setting in settings for word in ("-c", setting))
    return Call((program, "--no-pager", *words, *args), env, cwd)


def has_lfs(env: Mapping[str, str]) -> bool:
    """Return whether git-lfs is on the PATH."""
    return shutil.which("git-lfs", path=_path_of(env)) is not None


def _environment(parent: Mapping[str, str]) -> dict[str, str]:
    kept = {k: v for k, v in parent.items() if not k.startswith("GIT_") or k in _PASSED}
    return kept | _QUIET | {"PATH": _path_of(parent)}


def _path_of(env: Mapping[str, str]) -> str:
    # A relative folder on the PATH would be inside the agent's folder.
    path = env.get("PATH", os.defpath).split(os.pathsep)
    return os.pathsep.join(folder for folder in path if os.path.isabs(folder))


@dataclass(frozen=True, slots=True)
class Outside:
    """Git outside a repository: it clones one, creates one, or reads one file.

    With ``trace``, git writes what servers answer to that file, without contents or credentials.
    """

    cwd: Path
    protocols: tuple[str, ...] = PROTOCOLS
    trace: Path | None = None

    def call(self, args: tuple[str, ...], parent: Mapping[str, str]) -> Call:
        """Return the call; git never searches for a repository."""
        command = command_of(args)
        makes_one = command in ("clone", "init")
        ceiling = {"GIT_CEILING_DIRECTORIES": str(self.cwd.parent)}
        traced = {"GIT_TRACE_CURL": str(self.trace), "GIT_TRACE_CURL_NO_DATA": "1"}
        return build(
            args,
            cwd=self.cwd,
            parent=parent,
            protocols=self.protocols if command in OF_NETWORK else (),
            places=(ceiling if makes_one else {"GIT_DIR": os.devnull})
            | (traced if self.trace else {}),
        )

    def explain(self, said: str) -> str:
        """Return git's message for a person."""
        return said


@dataclass(frozen=True, slots=True)
class InPlace:
    """Git that looks for a repository in ``folder`` itself, as it does in the person's terminal.

    Only this way does git check who owns the repository. It reads the repository's configuration,
    but ``rev-parse`` starts no program that it names.
    """

    folder: Path

    def call(self, parent: Mapping[str, str]) -> Call:
        """Return the call that prints the git directory, or fails with git's reason.

        Raises:
            GitMissing: git is not on the PATH.
        """
        return build(
            ("-c", "safe.bareRepository=all", "rev-parse", "--git-dir"),
            cwd=self.folder,
            parent=parent,
            places={"GIT_CEILING_DIRECTORIES": str(self.folder.parent)},
        )


def version_call(parent: Mapping[str, str]) -> Call:
    """Return the call that asks git for its version.

    Raises:
        GitMissing: git is not on the PATH.
    """
    return build(["--version"], cwd=Path("/"), parent=parent)


def protocols_for(address: str) -> tuple[str, ...]:
    """Return the protocols for a repository whose address a person entered."""
    scheme, mark, _ = address.partition("://")
    if not mark:
        scheme = "file" if address.startswith("/") else "ssh"
    # Nothing else: what is allowed here may be the name of a program that git starts.
    return (*PROTOCOLS, scheme) if scheme in ("file", "git", "http") else PROTOCOLS
