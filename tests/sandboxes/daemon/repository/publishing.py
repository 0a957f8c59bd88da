"""What the tests of publishing share: a person's repository, a sandbox's worktree, its hooks."""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

from sandboxes.daemon.checkout.sources import prepare
from sandboxes.daemon.files.tree import Tree
from sandboxes.daemon.git import Git
from sandboxes.daemon.notices import Notices
from sandboxes.daemon.repository.hooks import Outcome
from sandboxes.daemon.repository.publish import Options
from sandboxes.daemon.repository.repository import Repository
from sandboxes.daemon.spec import Spec
from tests.sandboxes.daemon.projects import git

BRANCH = "mesh/work"


@dataclass
class Place:
    """A sandbox's folder with the worktree of a person's repository, without a process."""

    root: Path
    repo: Path
    notices: Notices

    @property
    def repository(self):
        return Repository(Tree(self.repo, self.repo), self.root)

    def publish(self, message="work", run=None, **options):
        return self.repository.publish(Options(message, **options), run or self.run_hook)

    def run_hook(self, call):
        """Run a hook without a sandbox's process."""
        done = subprocess.run(
            [call.program, *call.args],
            cwd=self.repo,
            env={"PATH": os.environ["PATH"], "HOME": os.environ["HOME"], **call.env},
            input=call.input,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        why = f"refused (exit code {done.returncode})" if done.returncode else ""
        return Outcome(done.stdout.decode(), why)

    def write(self, name, text):
        (self.repo / name).parent.mkdir(parents=True, exist_ok=True)
        (self.repo / name).write_text(text)

    def state(self):
        """Return everything that a refusal must not change."""
        index = Path(git(self.repo, "rev-parse", "--path-format=absolute", "--git-path", "index"))
        head = git(self.repo, "rev-parse", "--symbolic-full-name", "HEAD")
        return head, git(self.repo, "for-each-ref"), index.read_bytes()


def place_of(folder, root, branch=BRANCH):
    """Make the sandbox in ``root`` work in a worktree of the person's ``folder``."""
    root.mkdir(parents=True)
    notices = Notices(root)
    spec = Spec(handle="work-0123456789abcdef", folder=str(folder), branch=branch)
    prepare(spec, root / "repo", Git(), notices)
    return Place(root, root / "repo", notices)
