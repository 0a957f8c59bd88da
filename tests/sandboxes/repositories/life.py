"""A chat's whole life in one repository, through the real modules of sandbox and link.

The steps build on each other, so they run once for each repository; each step's failure is kept,
and raised in the test that asks for it.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from links.daemon.removed_folders import KEPT_FOR
from links.daemon.sandbox_folders import SandboxFolders, unsaved
from links.daemon.supervisor import Supervisor
from mesh.lib.errors import AppError
from sandboxes.daemon.checkout.checkout import Checkout
from sandboxes.daemon.files.tree import Tree
from sandboxes.daemon.notices import Notices
from sandboxes.daemon.repository.hooks import HookCall, Outcome
from sandboxes.daemon.repository.publish import Options
from sandboxes.daemon.repository.repository import Repository
from sandboxes.daemon.spec import parse_spec
from tests.sandboxes.repositories import agent, snapshot
from tests.sandboxes.repositories.kinds import KINDS
from tests.sandboxes.repositories.making import git, ran

HANDLE = "main-0123456789abcdef"
# For the tests' own looks at the worktree, so that the only programs that run are Mesh's doing.
PLAINLY = (
    *("-c", "core.hooksPath=/dev/null", "-c", "core.fsmonitor=false"),
    *("-c", "commit.gpgSign=false", "-c", "rerere.enabled=false"),
)
OF_GIT = r"(.*/)?\.git(/.*)?"  # in a worktree


class NotReached(Exception):
    """An earlier step failed, so this one was not tried."""


class Life:
    """The life of a chat in a repository of a kind, which is made in ``folder``."""

    def __init__(self, name: str, folder: Path) -> None:
        self.name, self.kind, self.made = name, KINDS[name], folder / "made"
        self.home = folder / "sandboxes"
        self.root = self.home / HANDLE
        self.repo = self.root / "repo"
        self.made.mkdir()
        self.root.mkdir(parents=True)
        self.chosen = self.kind.make(self.made)
        self.branch = self.kind.named or self.kind.branch or f"mesh/{HANDLE}"
        spec = {"handle": HANDLE, "folder": str(self.chosen), "branch": self.kind.branch}
        (self.root / "spec.json").write_text(json.dumps(spec))
        self.spec = parse_spec(spec)
        self.starts_at = self._base()
        self.whole = self._as_plain_git_does()
        self.failures: dict[str, BaseException | None] = {}
        self.changes: dict[str, object] = {}
        self._clock = time.time()

    # The steps

    def live(self) -> None:
        """Run all steps; keep what each of them raises."""
        (self.made / "ran").unlink(missing_ok=True)
        before = self._persons()
        steps = (self.start, self.status, self.change, self.discard, self.rebase, self.publish)
        for step in (*steps, self.publish_again, self.remove, self.restore):
            self._note(step.__name__, step)
        self.ran = ran(self.made)
        self._note("prune", self.prune)
        self.changes = before.changes(self._persons())

    def start(self) -> None:
        folder = self._start()
        assert folder.is_relative_to(self.repo)
        assert self._git("branch", "--show-current") == self.branch
        assert self._git("rev-parse", "HEAD") == self.starts_at
        self.first = _files(self.repo)
        assert not self.kind.is_whole or self.first == self.whole | self._brought()

    def status(self) -> None:
        facts = self._repository().facts()
        assert (facts.own, facts.status.branch) == ((), self.branch)
        assert facts.status.head == self.starts_at

    def change(self) -> None:
        agent.work(self.repo)
        self.worked = _files(self.repo)
        listed = self._repository().diff()
        changed = {
            path
            for path in {*self.first, *self.worked}
            if self.first.get(path) != self.worked.get(path) and not (self.repo / path).is_dir()
        }
        self.paths = [str(file["path"]) for file in listed["files"]]  # type: ignore[attr-defined]
        assert len(self.paths) == len(changed)

    def discard(self) -> None:
        self._after("change")
        kept = self._repository().discard(self.paths)["kept"]
        assert _files(self.repo) == self.first
        self._apply(self.root / "discarded" / str(kept))
        assert _files(self.repo) == self.worked

    def rebase(self) -> None:
        self._after("start")
        self._git("add", "--all")
        self._git("commit", "-q", "--allow-empty", "-m", "the agent's")
        try:
            self._rebase()
        finally:
            self._git("reset", "-q", "HEAD~1")

    def _rebase(self) -> None:
        refused = self.kind.rebase_refused or ("" if self.kind.remote else "nothing_to_rebase")
        if refused:
            self._refuses(refused, lambda: self._repository().rebase("main"))
            return
        newer = self._advance_server()
        self._repository().rebase("main")
        self._git("merge-base", "--is-ancestor", newer, "HEAD")

    def publish(self) -> None:
        self._after("start")
        refused = self.kind.publish_refused or ("" if self.kind.remote else "nothing_to_publish")
        if refused:
            self._refuses(refused, self._publish)
            return
        before = self._server_refs()
        self._publish()
        assert self._server_refs() == before  # but for the branch
        assert self._published("^{tree}") == self._git("rev-parse", "HEAD^{tree}")
        assert self._repository().facts().own == ()

    def publish_again(self) -> None:
        self._after("publish")
        (self.repo / "once-more.txt").write_text("once more\n")
        self.last = _files(self.repo)
        if self._is_published:
            self._publish()
            assert self._published() == self._git("rev-parse", "HEAD")

    def remove(self) -> None:
        self._after("publish_again")
        reasons = asyncio.run(unsaved(self.root))
        assert reasons == ([] if self._is_published else ["uncommitted_changes"])
        asyncio.run(self._folders.remove(HANDLE, force=not self._is_published))
        assert not self.root.exists()

    def restore(self) -> None:
        self._after("remove")
        asyncio.run(self._folders.restore(HANDLE))
        assert _files(self.repo) == self.last
        assert self._start().is_relative_to(self.repo)
        assert self._repository().facts().status.branch == self.branch

    def prune(self) -> None:
        """Remove the sandbox, and have it pruned after seven days."""
        asyncio.run(self._folders.remove(HANDLE, force=True))
        self._clock += KEPT_FOR + 1
        asyncio.run(self._folders.prune())
        assert not list(self.home.glob(".removed/*"))

    # What the tests ask

    def check(self, step: str) -> None:
        """Raise what the step raised, if anything."""
        failure = self.failures[step]
        if failure is not None:
            raise failure

    # How it is done

    def _note(self, name: str, step: Callable[[], object]) -> None:
        self.failures[name] = None
        try:
            step()
        except (Exception, pytest.fail.Exception) as exc:
            self.failures[name] = exc

    def _git(self, *args: str | Path) -> str:
        """Run the person's git in the worktree; programs that it starts don't count."""
        noted = self.made / "ran"
        before = noted.read_bytes() if noted.exists() else b""
        try:
            return git(self.repo, *PLAINLY, *self.kind.plainly, *args)
        finally:
            noted.write_bytes(before)

    def _after(self, step: str) -> None:
        if self.failures[step] is not None:
            raise NotReached(step) from self.failures[step]

    def _start(self) -> Path:
        return asyncio.run(Checkout(self.spec, self.repo, Notices(self.root)).ready())

    def _repository(self) -> Repository:
        return Repository(Tree(self.repo), self.root)

    def _publish(self) -> object:
        return self._repository().publish(Options("the agent's work"), self._run_hook)

    def _run_hook(self, call: HookCall) -> Outcome:
        """Run a hook as a sandbox's task does, without its process."""
        env = {"PATH": os.environ["PATH"], "HOME": os.environ["HOME"], **call.env}
        done = subprocess.run(
            [call.program, *call.args], cwd=self.repo, env=env, input=call.input, check=False
        )
        return Outcome(why="refused" if done.returncode else "")

    def _published(self, suffix: str = "") -> str:
        return git(self._server, "rev-parse", f"refs/heads/{self.branch}{suffix}")

    @property
    def _folders(self) -> SandboxFolders:
        return SandboxFolders(Supervisor(self.home), clock=lambda: self._clock)

    @property
    def _is_published(self) -> bool:
        return bool(self.kind.remote) and not self.kind.publish_refused

    @property
    def _server(self) -> Path:
        return self.made / self.kind.server

    def _server_refs(self) -> str:
        """Return what the server has beside the chat's branch."""
        own = f"refs/heads/{self.branch}"
        lines = git(self._server, "for-each-ref", "--format=%(refname) %(objectname)").splitlines()
        return "\n".join(line for line in lines if not line.startswith(f"{own} "))

    def _base(self) -> str:
        if self.kind.starts_from_server:
            return git(self._server, "rev-parse", f"refs/heads/{self.branch}")
        if self.kind.refused:
            return ""
        there = git(
            self.chosen, "for-each-ref", "--format=%(objectname)", f"refs/heads/{self.branch}"
        )
        return there or git(self.chosen, "rev-parse", "HEAD")

    def _brought(self) -> snapshot.State:
        """Return what the worktree takes along from the person's checkout."""
        theirs = _files(self.chosen)
        return {name: theirs[name] for name in self.kind.brings}

    def _as_plain_git_does(self) -> snapshot.State:
        """Return what a new worktree of the person's repository has where plain git makes it."""
        if not (self.kind.is_whole and self.starts_at):
            return {}
        place = self.made.with_name("reference")
        git(self.chosen, "worktree", "add", "-q", "--detach", place, self.starts_at)
        found = _files(place)
        git(self.chosen, "worktree", "remove", "--force", place)
        return found

    def _advance_server(self) -> str:
        """Add an empty commit to the server's branch main, as other people do."""
        tip = git(self._server, "rev-parse", "refs/heads/main")
        made = git(self._server, "commit-tree", "-p", tip, "-m", "theirs", f"{tip}^{{tree}}")
        git(self._server, "update-ref", "refs/heads/main", made)
        return made

    def _apply(self, kept: Path) -> None:
        patch = kept / "changes.patch"
        if patch.exists():
            self._git("apply", "--binary", "--whitespace=nowarn", patch)
        if self.kind.is_converted:
            shutil.copytree(kept / "changed", self.repo, symlinks=True, dirs_exist_ok=True)
        if (kept / "new").exists():
            shutil.copytree(kept / "new", self.repo, symlinks=True, dirs_exist_ok=True)

    def _refuses(self, code: str, call: Callable[[], object]) -> None:
        with pytest.raises(AppError) as refused:
            call()
        assert refused.value.code == code, refused.value

    def _persons(self) -> snapshot.Persons:
        repository = None if self.kind.refused else self.chosen
        return snapshot.Persons.of(self.made, repository, branch=self.branch)


def _files(top: Path) -> dict[str, tuple[object, ...]]:
    """Return the files of a work tree; git knows no folders."""
    found = snapshot.files(top, without=OF_GIT)
    return {path: facts for path, facts in found.items() if facts[0] != "folder"}
