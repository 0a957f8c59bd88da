"""A wanted branch that is checked out elsewhere, or that git can't create. Blocking.

Git checks a branch out only once: the person chooses between that folder and a new branch.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from agents.harness.questions import WORK_THERE
from mesh import boot_files
from mesh.git import own
from mesh.git.own import ForeignGit, Own
from mesh.git.view import View
from mesh.lib.git_status import parse_status
from mesh.plain_files import write_plain
from sandboxes.daemon.checkout import entries
from sandboxes.daemon.checkout.branches import check_branch, check_unlike_remote
from sandboxes.daemon.checkout.choices import (
    BRANCH_IN_USE,
    Choice,
    about_branch,
    free_name,
    unused,
)
from sandboxes.daemon.checkout.kept_choices import forget, keep, load, needed
from sandboxes.daemon.git import Git, GitFailed, view_of
from sandboxes.daemon.notices import Notices
from sandboxes.daemon.repository.state import STATUS
from sandboxes.daemon.spec import Spec

BASELINE: Final = "baseline.json"
RENAMED: Final = "branch_renamed"  # of a notice
MOST: Final = 20  # branches that are tried in turn


@dataclass(frozen=True, slots=True)
class Target:
    """Where to work: on ``branch``, which starts at ``start`` if it is new; or in ``folder``.

    ``start`` is empty for the branch that was wanted, or one in its place.
    """

    branch: str
    start: str = ""
    folder: Path | None = None


def chosen_folder(root: Path) -> Path | None:
    """Return the person's worktree in which they chose that the agent works; else ``None``.

    Raises:
        ForeignGit: its repository is gone, or has been replaced.
    """
    is_chosen = any(
        key.startswith(BRANCH_IN_USE) and choice.id == WORK_THERE
        for key, choice in load(root).items()
    )
    made = own.load(root) if is_chosen else None
    if made is None or made.is_worktree_in(root):
        return None
    if not made.top.is_dir():
        raise ForeignGit(f"The folder {made.top}, where the agent worked, is gone.")
    return made.top


def target_of(branch: str, main: Own, repo: Path, spec: Spec, git: Git, notices: Notices) -> Target:
    """Return where an agent that wants ``branch`` works.

    Raises:
        ChoiceNeeded: it is checked out elsewhere, and the person has not chosen.
        GitFailed: the name that they chose can't be used; they will be asked again.
    """
    root = repo.parent
    if (kept := load(root).get(_made(branch))) is not None:
        return Target(kept.text)
    if _has_worktree(main, repo):
        return Target(branch)
    entries.release(branch, main, root)  # what holds it for sandboxes that are no more
    view = view_of(main, root)
    listed = git.output(view, "for-each-ref", "--format=%(refname:lstrip=2)", "refs/heads")
    known = os.fsdecode(listed).splitlines()
    wanted, start, asked = branch, "", list[str]()
    while (place := _place_of(wanted, view, repo, git)) is not None:
        question = about_branch(
            wanted, str(place), new=unused(wanted, known), obstacle=_obstacle(place, root, spec)
        )
        choice = needed(root, question)
        asked.append(question.key)
        if choice.id == WORK_THERE:
            return Target(wanted, folder=_enter(place, question.key, root, git))
        name = choice.text or unused(wanted, known)
        if len(asked) == MOST or any(name == key.partition(":")[2] for key in asked):
            raise _refused(f"“{name}” is checked out elsewhere, too.", asked, root)
        wanted, start = name, wanted
    try:
        check_branch(wanted, root, git)
        if wanted not in known:
            check_unlike_remote(wanted, view, git)
    except GitFailed as exc:
        raise _refused(str(exc), asked, root) from exc
    name = wanted if wanted in known else free_name(wanted, known)
    if name != branch:
        keep(root, _made(branch), Choice("branch", name))  # when the folder is made again
    if name != wanted:
        notices.add(
            RENAMED,
            f"The branch is called “{name}”, because another branch keeps git from creating"
            f" “{wanted}”.",
        )
    return Target(name, start)


def load_baseline(root: Path) -> dict[str, str]:
    """Return the marks of the changes that were there before the agent, by path."""
    return boot_files.load(root, BASELINE)


def _has_worktree(main: Own, repo: Path) -> bool:
    """Return whether the chat still has its worktree, and with it the right to its branch.

    Without the entry in the repository, the person may have checked the branch out themselves.
    """
    made = own.load(repo.parent)
    if made is None or not made.is_worktree_in(repo.parent):
        return False
    if own.entry_of(repo, main) is not None:
        return True
    return made.common == main.common and entries.left_behind(made, repo.parent) is not None


def _made(branch: str) -> str:
    """Return the key under which the name is kept that a wanted branch got."""
    return f"branch_of:{branch}"


def _refused(why: str, asked: Sequence[str], root: Path) -> GitFailed:
    for key in asked:
        forget(root, key)
    return GitFailed(why)


def _place_of(branch: str, view: View, repo: Path, git: Git) -> Path | None:
    """Return the folder, other than ``repo``, in which ``branch`` is checked out."""
    listed = os.fsdecode(git.output(view, "worktree", "list", "--porcelain"))
    for entry in listed.split("\n\n"):
        fields = dict(line.partition(" ")[::2] for line in entry.splitlines())
        if fields.get("branch") != f"refs/heads/{branch}":
            continue
        place = Path(fields.get("worktree", ""))
        if place == view.place:  # as the main work tree looks from our view
            place = view.own.main_top
        if place.resolve() != repo.resolve():
            return place
    return None


def _obstacle(place: Path, root: Path, spec: Spec) -> str:
    """Return why an agent may not work in the person's worktree; empty if it may."""
    real = place.resolve()
    if real.is_relative_to(root.parent.resolve()):
        return "it is the folder of another chat, and goes when that chat does"
    if not real.is_dir():
        return "the folder is not there"
    allowed = (*spec.allowed, spec.folder)
    if not any(real.is_relative_to(Path(folder).resolve()) for folder in allowed if folder):
        return "the link program of this machine does not allow that folder"
    return ""


def _enter(place: Path, key: str, root: Path, git: Git) -> Path:
    """Record that the agent works in the person's worktree, and what is changed there already."""
    found = own.find(place)
    if found is None or found.top != place.resolve():
        raise _refused(f"{place} is no worktree any more.", [key], root)
    changes = parse_status(git.output(view_of(found, root), *STATUS)).changes
    marks = {c.path: boot_files.mark(found.top, c) or "unknown" for c in changes}
    write_plain(root / BASELINE, json.dumps(marks))
    own.save(root, found)
    return found.top
