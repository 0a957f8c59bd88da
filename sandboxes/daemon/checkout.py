"""Where the agents of one sandbox work: a scratch folder, a worktree of a folder, or a clone.

Nothing is ever committed, pushed or deleted here: what is in the folder is the person's.
"""

from __future__ import annotations

import asyncio
import logging
import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from sandboxes.daemon.git import Git, GitFailed, redact

log = logging.getLogger(__name__)

TRIES = 3
RETRY_AFTER = 3.0  # seconds
NO_SUCH_REF = 2  # how ls-remote --exit-code ends when there is none
_PASSING = re.compile(
    r"could not resolve host|temporary failure|timed? ?out|connection (was )?(reset|refused|closed)"
    r"|failed to connect|couldn't connect|early eof|rpc failed|unexpected disconnect|error: 5\d\d"
    r"|operation too slow|remote end hung up|gnutls|ssl_",
    re.IGNORECASE,
)
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

    @property
    def cloned_from(self) -> str:
        """The repository that the folder is made from; empty where it is made from none."""
        return self._spec.clone_url

    def must_clone(self, clone_url: str) -> bool:
        """Say whether the folder is still to be made from a repository."""
        wanted = self._spec.clone_url or clone_url
        return bool(wanted) and not self._spec.folder and not (self._repo / ".git").exists()

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
        if branch and not _KEY_BRANCH.fullmatch(branch):
            wanted = replace(wanted, branch=branch)
        if wanted.clone_url and not _CLONE_URL.fullmatch(wanted.clone_url):
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
        log.warning("The working folder is not ready: %s", error)


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
    """
    spec = job.spec
    if spec.clone_url and not (repo / ".git").exists():
        job.say(f"Cloning {redact(spec.clone_url)}")
    folder = prepare(spec, repo, git)
    if not (repo / ".git").exists():
        return folder
    if job.to_branch and spec.branch:
        _go_to(spec.branch, repo, git)
        job.say(f"On branch {spec.branch}")
    if spec.clone_url and all(job.identity):
        # Of a clone of our own only: a worktree shares its settings with the person's folder.
        git.run(repo, "config", "user.name", job.identity[0])
        git.run(repo, "config", "user.email", job.identity[1])
    return folder


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
    if repo.exists() and any(repo.iterdir()):
        _clone_around(spec, repo, git)
        return repo
    # Into a new folder beside it: a clone that broke off never looks like a whole one.
    part = _unused(repo.with_name("clone"))
    _tried(git, repo.parent, "clone", "--", spec.clone_url, str(part))
    if spec.branch:
        _go_to(spec.branch, part, git)
    if repo.exists():
        repo.rmdir()  # a scratch folder that nobody has used
    part.rename(repo)
    return repo


def _clone_around(spec: Spec, repo: Path, git: Git) -> None:
    """Make a clone of a folder that holds files already; none of them is overwritten."""
    git.run(repo, "init", "--quiet")
    try:
        git.run(repo, "remote", "add", "origin", spec.clone_url)
        _tried(git, repo, "fetch", "origin")
        git.ask(repo, "remote", "set-head", "origin", "--auto")
        head = git.ask(repo, "symbolic-ref", "--short", "refs/remotes/origin/HEAD")
        default = (head or "origin/main").removeprefix("origin/")
        is_theirs = _knows(git, repo, f"refs/remotes/origin/{spec.branch}")
        _go_to(spec.branch if is_theirs else default, repo, git)
        if spec.branch:
            _go_to(spec.branch, repo, git)
    except GitFailed:
        shutil.rmtree(repo / ".git")  # ours, and only begun
        raise


def _go_to(branch: str, repo: Path, git: Git) -> None:
    """Check out ``branch``: ours, else origin's, else a new one. Work is never overwritten."""
    _check_branch(branch, repo, git)
    if git.ask(repo, "symbolic-ref", "--short", "-q", "HEAD") == branch:
        return
    if _knows(git, repo, f"refs/heads/{branch}"):
        git.run(repo, "checkout", branch, "--")
        return
    remote = f"refs/remotes/origin/{branch}"
    if not _knows(git, repo, remote) and _offers(git, repo, branch):
        _tried(git, repo, "fetch", "origin", f"refs/heads/{branch}:{remote}")
    if _knows(git, repo, remote):
        git.run(repo, "checkout", "-b", branch, "--track", f"origin/{branch}")
    else:
        git.run(repo, "checkout", "-b", branch)


def _knows(git: Git, repo: Path, ref: str) -> bool:
    return git.ask(repo, "rev-parse", "--verify", "--quiet", ref) is not None


def _offers(git: Git, repo: Path, branch: str) -> bool:
    """Say whether origin has the branch; where there is no origin to ask, it has not.

    Raises:
        GitFailed: it can't be asked.
    """
    if git.ask(repo, "remote", "get-url", "origin") is None:
        return False
    code, _ = git.code(repo, "ls-remote", "--exit-code", "origin", f"refs/heads/{branch}")
    if code not in (0, NO_SUCH_REF):
        raise GitFailed("The repository's server could not be asked for the branch.")
    return code == 0


def _tried(git: Git, cwd: Path, *args: str) -> None:
    """Run a command that needs the network; three times when it fails for a passing reason."""
    for attempt in range(1, TRIES + 1):
        try:
            git.run(cwd, *args)
            return
        except GitFailed as exc:
            if attempt == TRIES or not _PASSING.search(str(exc)):
                raise
            log.info("git %s is tried again: %s", args[0], exc)
        git.pause(RETRY_AFTER)


def _unused(path: Path) -> Path:
    candidates = (path.with_name(f"{path.name}-{number}") for number in range(1, 1000))
    return next(candidate for candidate in candidates if not candidate.exists())


def _check_branch(branch: str, repo: Path, git: Git) -> None:
    if branch.startswith("-") or git.ask(repo, "check-ref-format", "--branch", branch) is None:
        raise GitFailed(f"“{branch}” can't be the name of a branch.")
