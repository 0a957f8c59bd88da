"""What a person's folder is to git: in no repository, in one without a commit, or in a usable one.

Blocking. Files are looked at first, without git. Git itself is then asked through our own view of
the repository, which contains only the harmless settings of its configuration. Only where somebody
else owns the repository does git look for it in place, as git checks the owner only then: that
reads the configuration, but starts none of the programs that it names.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from mesh.git import own
from mesh.git.calls import GitMissing, InPlace
from mesh.git.errors import FormatUnknown, GitFailed, OwnerUnknown
from mesh.git.failures import read_failure
from mesh.git.own import InsideGitFolder, NoGit, NotReadable, Own
from mesh.git.quick import run
from mesh.git.view import View


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
        OwnerUnknown, FormatUnknown: git refuses the repository.
        NotReadable: it is in a repository that git can't work with for other reasons.
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
        refusal = _refusal(place, parent) if place is not None else None
        if isinstance(refusal, OwnerUnknown):
            raise refusal from exc
        raise type(exc)(f"{exc} {refusal or ''}".rstrip()) from exc
    is_another_s = found is not None and not own.is_mine(found)
    if found is not None and is_another_s and (refusal := _refusal(found.top, parent)):
        raise refusal
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
        code, _, why = self._ask("rev-list", "-1", "HEAD", "--")
        raise _error(self._own.top, "rev-list", why or said, code)

    def _ask(self, *args: str) -> tuple[int, str, bytes]:
        return run(self._view.call(args, self._parent))


def _refusal(place: Path, parent: Mapping[str, str]) -> GitFailed | None:
    """Return why git would not use the repository in ``place``; ``None`` if it would."""
    code, _, said = run(InPlace(place).call(parent))
    return _error(place, "rev-parse", said, code) if code != 0 else None


def _error(top: Path, command: str, said: bytes, code: int) -> GitFailed:
    """Return the error for git's message about the repository in ``top``."""
    failure = read_failure(command, said, code)
    kind = failure.error if failure.error in (OwnerUnknown, FormatUnknown) else NotReadable
    return kind(f"Git can't use the repository in {top}: {failure.sentence}.")
