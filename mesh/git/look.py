"""What a person's folder is to git: in no repository, in one without a commit, or in a usable one.

Blocking. Files are looked at first, without git. Git itself is then asked through our own view of
the repository, which contains only the harmless settings of its configuration. Only where somebody
else owns the repository does git look for it in place, as git checks the owner only then: that
reads the configuration, but starts none of the programs that it names.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from mesh import children
from mesh.git import own
from mesh.git.calls import Call, GitMissing, InPlace
from mesh.git.own import (
    InsideGitFolder,
    NoGit,
    NotReadable,
    Own,
    OwnedByAnother,
    UnsupportedFormat,
)
from mesh.git.view import View

WITHIN: Final = 30.0  # seconds for one question
_FORMAT: Final = re.compile(r"repo(sitory)? version|extensions?\b.*found|ref storage format")
_OWNER: Final = re.compile(r"dubious ownership|unsafe repository")
_LONGEST: Final = 500  # characters of git's message that a sentence repeats


@dataclass(frozen=True, slots=True)
class NoRepository:
    """There is no ``.git`` in the folder or above it."""


@dataclass(frozen=True, slots=True)
class Unborn:
    """A repository whose HEAD has no commit yet; ``branch`` would get the first one."""

    own: Own
    branch: str
    is_bare: bool


@dataclass(frozen=True, slots=True)
class Repository:
    """A repository whose HEAD is the commit ``head``; ``branch`` is empty if it is detached."""

    own: Own
    head: str
    branch: str
    is_bare: bool


Found = NoRepository | Unborn | Repository


def look(folder: Path, root: Path, parent: Mapping[str, str]) -> Found:
    """Return what ``folder`` is to git; ``root`` is the sandbox's own folder.

    Nothing is changed, except for the view of the repository that is kept in ``root``.

    Raises:
        NotReadable: it is in a repository, but git can't work with it; subclasses say why.
        ForeignGit: its configuration is unreadable.
    """
    try:
        found = _find(folder, parent)
        return NoRepository() if found is None else _Asked(found, root, parent).result()
    except GitMissing as exc:
        raise NoGit from exc


def _find(folder: Path, parent: Mapping[str, str]) -> Own | None:
    try:
        found = own.find(folder)
    except InsideGitFolder:
        raise
    except NotReadable as exc:
        # Its owner may be the reason: only git checks that, and says what to do.
        place = own.place_of(folder)
        said = _refusal(place, parent) if place is not None else ""
        if _OWNER.search(said) and place is not None:
            raise _worded(place, said) from exc
        if not said:
            raise
        raise type(exc)(f"{exc} Git says: {_sentence(said)}") from exc
    if found is not None and not own.is_mine(found) and (said := _refusal(found.top, parent)):
        raise _worded(found.top, said)
    return found


class _Asked:
    """Git's own answers about one repository."""

    def __init__(self, found: Own, root: Path, parent: Mapping[str, str]) -> None:
        self._own, self._parent = found, parent
        self._view = View.open(found, root, parent)

    def result(self) -> Unborn | Repository:
        is_bare = self._view.is_bare
        code, head, _ = self._ask("rev-parse", "--verify", "--quiet", "HEAD^{commit}")
        if code == 0:
            _, ref, _ = self._ask("symbolic-ref", "--quiet", "HEAD")
            return Repository(self._own, head, ref.removeprefix("refs/heads/"), is_bare)
        code, ref, said = self._ask("symbolic-ref", "--quiet", "HEAD")
        if code == 0:
            # Prints nothing for a branch that is not there, and a warning for a broken one.
            code, listed, said = self._ask("for-each-ref", "--count=1", "--", ref)
            if code == 0 and not listed and not said:
                return Unborn(self._own, ref.removeprefix("refs/heads/"), is_bare)
        _, _, why = self._ask("rev-list", "-1", "HEAD", "--")
        raise _worded(self._own.top, why or said)

    def _ask(self, *args: str) -> tuple[int, str, str]:
        code, out, err = _run(self._view.call(args, self._parent))
        return code, out, self._view.explain(err)


def _refusal(place: Path, parent: Mapping[str, str]) -> str:
    """Return git's reason not to use the repository in ``place``; empty if it would."""
    code, _, err = _run(InPlace(place).call(parent))
    return err if code != 0 else ""


def _worded(top: Path, said: str) -> NotReadable:
    """Return the error for git's message."""
    kind: type[NotReadable] = NotReadable
    if _OWNER.search(said):
        kind = OwnedByAnother
    elif _FORMAT.search(said):
        kind = UnsupportedFormat
    return kind(f"Git can't use the repository in {top}: {_sentence(said)}")


def _sentence(said: str) -> str:
    """Return git's message on one line."""
    lines = (line.strip() for line in said.splitlines() if not line.startswith("hint:"))
    return " ".join(line for line in lines if line)[:_LONGEST] or "it gives no reason."


def _run(call: Call) -> tuple[int, str, str]:
    """Return a call's exit code, output and messages.

    Raises:
        NotReadable: git could not be started, or took too long.
    """
    try:
        process = children.start(
            lambda: subprocess.Popen(
                call.argv,
                cwd=call.cwd,
                env=call.env,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
            )
        )
    except OSError as exc:
        raise NotReadable(f"Git could not be started: {exc.strerror}.") from exc
    with process:
        try:
            out, err = process.communicate(timeout=WITHIN)
        except subprocess.TimeoutExpired as exc:
            process.kill()
            raise NotReadable(f"Git took longer than {WITHIN:.0f} s to read {call.cwd}.") from exc
    return (
        process.returncode,
        out.decode(errors="surrogateescape").rstrip("\n"),
        err.decode(errors="replace").strip(),
    )
