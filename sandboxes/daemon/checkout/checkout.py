"""Where the agents of one sandbox work: a scratch folder, a worktree of a folder, or a clone.

Nothing is committed, pushed or deleted here: the folder's contents belong to the person.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

from agents.harness.base import GitFolders
from links.wire.names import is_key
from mesh.git import own
from sandboxes.daemon.checkout.choices import Choice, Question
from sandboxes.daemon.checkout.commit_folders import commit_folders
from sandboxes.daemon.checkout.kept_choices import ChoiceNeeded, keep
from sandboxes.daemon.checkout.sources import is_whole, prepare
from sandboxes.daemon.git import Git, redact
from sandboxes.daemon.neighbours import meet, shared_with
from sandboxes.daemon.notices import Notice, Notices
from sandboxes.daemon.spec import Spec

logger = logging.getLogger(__name__)


class Checkout:
    """Prepares the working folder once, on a worker thread; the next caller retries a failure."""

    def __init__(self, spec: Spec, repo: Path, notices: Notices) -> None:
        self._spec, self._repo, self._notices = spec, repo, notices
        self._git = Git()
        self._work: asyncio.Task[Path] | None = None
        self.on_made_again: Callable[[], None] = lambda: None
        self.on_chosen: Callable[[], None] = lambda: None  # the folder is ready after an answer
        self._is_chosen = False
        self._job: Job | None = None

    @property
    def cloned_from(self) -> str:
        """The repository that the folder is cloned from; empty if it is not a clone."""
        return self._spec.clone_url

    @property
    def folder(self) -> str:
        """The person's own folder that it was made from; empty without one."""
        return self._spec.folder

    def must_clone(self, clone_url: str) -> bool:
        """Return whether the folder still has to be cloned from a repository."""
        url = self._spec.clone_url or clone_url
        if not url or self._spec.folder:
            return False
        is_known = own.is_known(self._repo.parent)
        return own.load(self._repo.parent) is None if is_known else not self._has_git

    @property
    def _has_git(self) -> bool:
        return (self._repo / ".git").exists()

    async def ready(self) -> Path:
        """Return the folder to work in; several callers share one attempt.

        A folder that was deleted since is made again.

        Raises:
            ChoiceNeeded: the person must first choose how to work there.
            GitFailed: with git's own words; see ``mesh.git.errors``.
        """
        if self._work is None or (self._work.done() and self._work.exception()):
            self.begin()
        assert self._work is not None
        work = self._work
        # Shielded: a run that is stopped while it waits must not stop the clone.
        folder = await asyncio.shield(work)
        if not await asyncio.to_thread(is_whole, self._repo.parent, folder):
            folder = await self._made_again(work)
        if self._is_chosen:
            self._is_chosen = False
            self.on_chosen()
        return folder

    async def _made_again(self, gone: asyncio.Task[Path]) -> Path:
        """Return the folder after it was made again; ``gone`` made the one that is not there."""
        is_first = self._work is gone  # of several callers
        if is_first:
            logger.warning("the working folder is gone, making it again: %s", self._repo)
            self.begin()
        assert self._work is not None
        folder = await asyncio.shield(self._work)
        if is_first:
            self.on_made_again()
        return folder

    def choose(self, question: Question, choice: Choice) -> None:
        """Keep the person's answer to ``question``; the next ``ready`` follows it.

        Raises:
            AnswerNotKept: the disk does not take it.
        """
        keep(self._repo.parent, question.key, choice)
        self._is_chosen = True

    async def met(self, thread_id: str) -> list[Notice]:
        """Return what a chat must know of the others that use the folder, once it works there."""

        def look() -> list[Notice]:
            root = self._repo.parent
            for notice in shared_with(root, self._spec):
                self._notices.add(notice.code, notice.text)
            # An empty folder of Mesh's own holds nothing but what its chats were told to share.
            is_shared = bool(self._spec.folder or self.cloned_from)
            mine = meet(root, thread_id) if is_shared else None
            return [] if mine is None else [mine]

        return await asyncio.to_thread(look)

    async def commit_folders(self) -> GitFolders | None:
        """Return what git writes for a commit in the folder; see ``commit_folders``."""
        return await asyncio.to_thread(commit_folders, self._repo.parent)

    def begin(self, job: Job | None = None) -> None:
        """Start preparing the folder; ``ready`` raises its failure."""
        job = self._job = job or Job(self._spec)
        self._git.begin()
        work = asyncio.to_thread(run_job, job, self._repo, self._git, self._notices)
        self._work = asyncio.create_task(work)
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
        """Clone the folder from ``clone_url``; check out ``branch`` in an existing one if asked to.

        A sandbox made from the person's own folder stays so.

        Raises:
            GitFailed: with git's own words; see ``mesh.git.errors``.
        """
        if self._work is not None and not self._work.done():
            await asyncio.wait([self._work])
        has_source = self._spec.folder or self._spec.clone_url
        spec = self._spec if has_source else replace(self._spec, clone_url=clone_url)
        if branch and not is_key(branch):
            spec = replace(spec, branch=branch)
        if spec.clone_url:
            from sandboxes.daemon.checkout.clones import checked_address

            checked_address(spec.clone_url)
        loop = asyncio.get_running_loop()

        def say_here(text: str) -> None:
            loop.call_soon_threadsafe(say, text)

        self.begin(
            Job(
                spec,
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
        self._spec = spec  # only now: after a failure, the next change may name another source
        return folder

    def skip_submodules(self) -> None:
        """Stop fetching submodules, if it is at that: the folder is ready without them."""
        if self._job is not None and self._job.is_filling.is_set():
            self._git.stop()

    def close(self) -> None:
        """Stop the preparation; its results so far stay."""
        self._git.close()


def _note(work: asyncio.Task[Path]) -> None:
    error = None if work.cancelled() else work.exception()
    if error is not None and not isinstance(error, ChoiceNeeded):
        logger.warning("preparing the working folder failed, the next run retries: %s", error)


@dataclass(frozen=True, slots=True)
class Job:
    """The folder to make, and whether an existing one may change its branch."""

    spec: Spec
    to_branch: bool = False  # also if the folder exists already
    identity: tuple[str, str] = ("", "")
    say: Callable[[str], None] = lambda text: None
    # Set while submodules are fetched: the folder is complete without them.
    is_filling: threading.Event = field(default_factory=threading.Event)


def run_job(job: Job, repo: Path, git: Git, notices: Notices) -> Path:
    """Make the working folder, check out its branch, and return it.

    ``notices`` gets what the person must be told about the folder.

    Raises:
        GitFailed: the folder can't be made.
        ForeignGit: its git directory is not the one that Mesh made.
    """
    spec, root = job.spec, repo.parent
    if spec.clone_url and own.load(root) is None:
        job.say(f"Cloning {redact(spec.clone_url)}")
    folder = prepare(spec, repo, git, notices)
    made = own.load(root)
    if made is not None and made.top == repo:
        # Imported here: an empty folder has no use for it.
        from sandboxes.daemon.checkout.completion import complete

        complete(job, made, git, notices)
    return folder
