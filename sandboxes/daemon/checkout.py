"""Where the agents of one sandbox work: a scratch folder, a worktree of a folder, or a clone.

Nothing is ever committed, pushed or deleted here: what is in the folder is the person's.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from links.wire.names import is_key
from mesh.git import own
from mesh.lib.repositories import read_clone_url
from sandboxes.daemon.git import Git, GitFailed, redact, view_of
from sandboxes.daemon.sources import go_to, prepare, set_identity
from sandboxes.daemon.spec import Spec

logger = logging.getLogger(__name__)


class Checkout:
    """Prepares the working folder once, on a thread; a failure is tried again by who asks next."""

    def __init__(self, spec: Spec, repo: Path) -> None:
        self._spec, self._repo = spec, repo
        self._git = Git()
        self._work: asyncio.Task[Path] | None = None

    @property
    def cloned_from(self) -> str:
        """The repository that the folder is made from; empty where it is made from none."""
        return self._spec.clone_url

    def must_clone(self, clone_url: str) -> bool:
        """Say whether the folder is still to be made from a repository."""
        wanted = self._spec.clone_url or clone_url
        if not wanted or self._spec.folder:
            return False
        is_known = own.is_known(self._repo.parent)
        return own.load(self._repo.parent) is None if is_known else not self._has_git

    @property
    def _has_git(self) -> bool:
        return (self._repo / ".git").exists()

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

    def begin(self, job: Job | None = None) -> None:
        """Start the work; a failure is told to who asks."""
        job = job or Job(self._spec)
        self._work = asyncio.create_task(asyncio.to_thread(carry_out, job, self._repo, self._git))
        self._work.add_done_callback(_note)

    async def change(
        self,
        clone_url: str,
        branch: str,
        *,
        to_branch: bool,
        identity: tuple[str, str],
        say: Callable[[str], None],
    ) -> Path:
        """Make the folder from ``clone_url``; go to ``branch`` in one that is there if told so.

        A folder of the person's own stays what the sandbox is made from.

        Raises:
            GitFailed: with git's own last words.
        """
        if self._work is not None and not self._work.done():
            await asyncio.wait([self._work])
        has_source = self._spec.folder or self._spec.clone_url
        wanted = self._spec if has_source else replace(self._spec, clone_url=clone_url)
        if branch and not is_key(branch):
            wanted = replace(wanted, branch=branch)
        if wanted.clone_url and read_clone_url(wanted.clone_url) is None:
            raise GitFailed("The repository's address is not one that git may clone from.")
        loop = asyncio.get_running_loop()

        def say_here(text: str) -> None:
            loop.call_soon_threadsafe(say, text)

        self._git.begin()
        self.begin(
            Job(
                wanted,
                to_branch=to_branch,
                identity=identity,
                say=say_here,
            )
        )
        assert self._work is not None
        try:
            folder = await asyncio.shield(self._work)
        except asyncio.CancelledError:
            self._git.stop()
            raise
        self._spec = wanted  # only now: what failed may be said otherwise the next time
        return folder

    def close(self) -> None:
        """Stop the work; what it has made so far stays."""
        self._git.close()


def _note(work: asyncio.Task[Path]) -> None:
    if not work.cancelled() and (error := work.exception()):
        logger.warning("The working folder is not ready: %s", error)


@dataclass(frozen=True, slots=True)
class Job:
    """What is to be made, and how far an existing folder may be changed for it."""

    spec: Spec
    to_branch: bool = False  # also where the folder is there already
    identity: tuple[str, str] = ("", "")
    say: Callable[[str], None] = lambda text: None


def carry_out(job: Job, repo: Path, git: Git) -> Path:
    """Make the working folder, bring it to its branch, and return it.

    Raises:
        GitFailed: it can't be made.
        ForeignGit: its git directory is not the one that was made.
    """
    spec, root = job.spec, repo.parent
    if spec.clone_url and own.load(root) is None:
        job.say(f"Cloning {redact(spec.clone_url)}")
    folder = prepare(spec, repo, git)
    made = own.load(root)
    if made is None or made.top != repo:
        return folder
    if job.to_branch and spec.branch:
        go_to(spec.branch, view_of(made, root), git)
        job.say(f"On branch {spec.branch}")
    if made.origin and all(job.identity):
        # Of a clone of our own only: a worktree shares its settings with the person's folder.
        made.check()
        set_identity(*job.identity, made, root, git)
    return folder
