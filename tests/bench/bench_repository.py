"""What does a chat cost in a repository of 50,000 files?  python -m tests.bench.bench_repository

Ours beside plain git's own, one after the other in each round, so that both meet the same disk
and the same neighbours: the first message's worktree beside ``git worktree add``, and the status
that the page shows beside ``git status``. The numbers belong to a machine; what is promised is how
many times plain git's each of ours takes.
"""

from __future__ import annotations

import logging
import shutil
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import median

from sandboxes.daemon.checkout.sources import prepare
from sandboxes.daemon.files.tree import Tree
from sandboxes.daemon.git import Git
from sandboxes.daemon.notices import Notices
from sandboxes.daemon.repository.repository import Repository
from sandboxes.daemon.repository.watch import survey
from sandboxes.daemon.spec import Spec
from tests.sandboxes.repositories.making import git

FILES, BY_FOLDER = 50_000, 100
ROUNDS = 5
FIRST, STATUS = 2.0, 1.3  # times plain git's, at most


def made_in(folder: Path) -> Path:
    """Make a project of 50,000 files with its server; return it."""
    project, server = folder / "project", folder / "server.git"
    git(folder, "init", "-q", "--bare", "-b", "main", server)
    git(server, "fast-import", "--quiet", given=_commit())
    git(folder, "clone", "-q", server, project)
    return project


def _commit() -> bytes:
    lines = ["commit refs/heads/main\ncommitter Ada <ada@mesh.example> 1760000000 +0000\n"]
    lines.append("data 5\nfirst\n")
    for number in range(FILES):
        text = f"file {number}\n" * 20
        name = f"part{number // BY_FOLDER}/file{number}.py"
        lines.append(f"M 644 inline {name}\ndata {len(text)}\n{text}\n")
    return "".join(lines).encode()


def took(call: Callable[[], object]) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def report(name: str, ours: list[float], plain: list[float], most: float) -> None:
    times = median(our / its for our, its in zip(ours, plain, strict=True))
    print(
        f"{name:<22} ours p50 {median(ours):.3f}  max {max(ours):.3f} s"
        f"   plain git p50 {median(plain):.3f}  max {max(plain):.3f} s"
        f"   {times:.2f} times (at most {most})"
    )


def first_messages(project: Path, folder: Path) -> Repository:
    """Measure making a worktree; return the last one's repository."""
    ours, plain = [], []
    for number in range(ROUNDS):
        root = folder / f"sandbox{number}"
        root.mkdir()
        branch, reference = f"plain{number}", folder / f"plain{number}"
        add = ("worktree", "add", "-q", "-b", branch, reference)
        plain.append(took(partial(git, project, *add)))
        spec = Spec(root.name, folder=str(project), branch=f"work{number}")
        notices = Notices(root)
        ours.append(took(partial(prepare, spec, root / "repo", Git(), notices)))
        shutil.rmtree(reference)
        if number:
            shutil.rmtree(folder / f"sandbox{number - 1}")
    report("first message", ours, plain, FIRST)
    return Repository(Tree(root / "repo"), root)


def statuses(repository: Repository, repo: Path) -> None:
    plain = [took(lambda: git(repo, "status"))]  # the first one reads every file
    ours = []
    plain = []
    for _ in range(ROUNDS):
        plain.append(took(lambda: git(repo, "status")))
        ours.append(took(repository.facts))
    report("status", ours, plain, STATUS)


def main() -> None:
    logging.disable()
    folder = Path(tempfile.mkdtemp(prefix="mesh-bench-"))
    try:
        project = made_in(folder)
        repository = first_messages(project, folder)
        repo = folder / f"sandbox{ROUNDS - 1}" / "repo"
        print(f"first status           ours {took(repository.facts):.3f} s")
        statuses(repository, repo)
        tree = Tree(repo)
        print(f"folders to watch       ours {took(lambda: survey(tree, repo.parent)):.3f} s")
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
