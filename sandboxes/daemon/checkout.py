"""Where the agents of one sandbox work: a scratch folder, a worktree of a folder, or a clone.

Nothing is ever committed, pushed or deleted here: what is in the folder is the person's.
"""

from __future__ import annotations

import asyncio
import logging
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sandboxes.daemon.git import Git, GitFailed

log = logging.getLogger(__name__)

# A branch of this form names a conversation; it is a key, never something to check out.
_KEY_BRANCH = re.compile(r"ephemeral|thread:.*")
# No option, no ext:: transport, which would run a command.
_CLONE_URL = re.compile(r"(https?|ssh|git|file)://.+|[\w.-]+@[\w.-]+:.+")


@dataclass(frozen=True, slots=True)
class Spec:
    """What the sandbox is for, as the link wrote it into ``spec.json``."""

    handle: str
    folder: str = ""
    clone_url: str = ""
    branch: str = ""


def parse_spec(value: Any) -> Spec:
    """Return the spec; what is unknown or of another type is left out."""
    given = _object(value)
    repo = _object(given.get("repo"))
    branch = _text(given.get("branch")) or _text(repo.get("branch"))
    return Spec(
        handle=_text(given.get("handle")),
        folder=_text(given.get("folder")),
        clone_url=_text(repo.get("cloneUrl")),
        branch="" if _KEY_BRANCH.fullmatch(branch) else branch,
    )


def _object(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


class Checkout:
    """Prepares the working folder once, on a thread; a failure is tried again by who asks next."""

    def __init__(self, spec: Spec, repo: Path) -> None:
        self._spec, self._repo = spec, repo
        self._git = Git()
        self._work: asyncio.Task[Path] | None = None

    async def ready(self) -> Path:
        """Return the folder to work in; several callers share one attempt.

        Raises:
            GitFailed: with git's own last words.
        """
        if self._work is None or (self._work.done() and self._work.exception()):
            self.begin()
        assert self._work is not None
        # Shielded: a run that is stopped while it waits must not take the clone with it.
        return await asyncio.shield(self._work)

    def begin(self) -> None:
        """Start the work; a failure is told to who asks."""
        self._work = asyncio.create_task(
            asyncio.to_thread(prepare, self._spec, self._repo, self._git)
        )
        self._work.add_done_callback(_note)

    def close(self) -> None:
        """Stop the work; what it has made so far stays."""
        self._git.close()


def _note(work: asyncio.Task[Path]) -> None:
    if not work.cancelled() and (error := work.exception()):
        log.warning("The working folder is not ready: %s", error)


def prepare(spec: Spec, repo: Path, git: Git) -> Path:
    """Make the working folder unless it is there, and return it.

    Raises:
        GitFailed: it can't be made.
    """
    if spec.folder:
        return _from_folder(spec, Path(spec.folder), repo, git)
    if spec.clone_url:
        return _from_clone(spec, repo, git)
    repo.mkdir(exist_ok=True)
    return repo


def _from_folder(spec: Spec, folder: Path, repo: Path, git: Git) -> Path:
    if not folder.is_dir():
        raise GitFailed(f"The folder {folder} does not exist on this machine.")
    top = git.ask(folder, "rev-parse", "--show-toplevel")
    if top is None or git.ask(folder, "rev-parse", "--verify", "HEAD") is None:
        return folder  # no repository, or one without a commit: there is nothing to branch off
    if not (repo / ".git").exists():
        _add_worktree(spec, Path(top), repo, git)
    inside = repo / folder.resolve().relative_to(Path(top).resolve())
    # The branch may lack the subfolder from which the person set out.
    return inside if inside.is_dir() else repo


def _add_worktree(spec: Spec, top: Path, repo: Path, git: Git) -> None:
    branch = spec.branch or f"mesh/{spec.handle}"
    _check_branch(branch, top, git)
    git.run(top, "worktree", "prune")  # forgets worktrees whose folder is gone
    if git.ask(top, "rev-parse", "--verify", "--quiet", f"refs/heads/{branch}") is not None:
        git.run(top, "worktree", "add", "--", str(repo), branch)
    else:
        git.run(top, "worktree", "add", "-b", branch, "--", str(repo), "HEAD")


def _from_clone(spec: Spec, repo: Path, git: Git) -> Path:
    if (repo / ".git").exists():
        return repo
    if not _CLONE_URL.fullmatch(spec.clone_url):
        raise GitFailed("The repository's address is not one that git may clone from.")
    # Into a new folder beside it: a clone that broke off never looks like a whole one.
    part = _unused(repo.with_name("clone"))
    git.run(repo.parent, "clone", "--", spec.clone_url, str(part))
    if spec.branch:
        _check_branch(spec.branch, part, git)
        remote = f"refs/remotes/origin/{spec.branch}"
        known = git.ask(part, "rev-parse", "--verify", "--quiet", remote) is not None
        git.run(part, "checkout", *([spec.branch, "--"] if known else ["-b", spec.branch]))
    part.rename(repo)
    return repo


def _unused(path: Path) -> Path:
    candidates = (path.with_name(f"{path.name}-{number}") for number in range(1, 1000))
    return next(candidate for candidate in candidates if not candidate.exists())


def _check_branch(branch: str, repo: Path, git: Git) -> None:
    if branch.startswith("-") or git.ask(repo, "check-ref-format", "--branch", branch) is None:
        raise GitFailed(f"“{branch}” can't be the name of a branch.")
