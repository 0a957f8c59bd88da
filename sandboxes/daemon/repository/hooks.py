"""Which hooks belong to a repository, and what they may do. Blocking.

Git itself runs no hook in Mesh's calls. Mesh runs those that people expect at a commit and a push,
as it runs a project's other programs (ADR 27): somebody in the sandbox may have written them.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal

from mesh.git.calls import Outside
from mesh.git.separate import place_of
from mesh.git.view import View
from mesh.plain_files import read_plain
from sandboxes.daemon.git import Git, GitFailed, redact
from sandboxes.daemon.repository.errors import HookRefused

WITHIN: Final = 15 * 60.0  # seconds; some run a project's tests
SHOWN: Final = 4000  # characters of a hook's output

_CONTROLS: Final = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|[^\S\n\t ]|[\x00-\x08\x0e-\x1f\x7f]")

Name = Literal["pre-commit", "prepare-commit-msg", "commit-msg", "post-commit", "pre-push"]


@dataclass(frozen=True, slots=True)
class HookCall:
    """A hook to run at the top of the working folder."""

    name: str
    program: Path
    args: tuple[str, ...] = ()
    input: bytes = b""
    env: Mapping[str, str] = field(default_factory=dict)  # besides that of a project's programs


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a hook ended; ``why`` is empty if it agreed."""

    output: str = ""
    why: str = ""


Run = Callable[[HookCall], Outcome]
Place = tuple[Path, ...]  # folders, the first of which that has a hook counts


class Hooks:
    """The hooks of one commit and push."""

    def __init__(self, places: tuple[Place, ...], env: Mapping[str, str], run: Run) -> None:
        self._places, self._env, self._run = places, env, run

    def call(
        self,
        name: Name,
        *args: str,
        input: bytes = b"",
        index: Path | None = None,
        may_refuse: bool = True,
    ) -> None:
        """Run the hooks with that name; ``index`` is the file with what is being committed.

        Raises:
            HookRefused: with its own words.
        """
        env = dict(self._env)
        if index is not None:
            env["GIT_INDEX_FILE"] = str(index)
        for place in self._places:
            program = next(filter(_is_program, (folder / name for folder in place)), None)
            if program is None:
                continue
            outcome = self._run(HookCall(name, program, args, input, env))
            if outcome.why and may_refuse:
                said = shown(outcome.output)
                raise HookRefused(
                    f"The {name} hook {outcome.why}{': ' if said else '.'}{said}",
                    hook=name,
                    output=said,
                )


def find(git: Git, view: View, run: Run) -> Hooks:
    """Return the person's own hooks, then the repository's, then those that only programs in the
    worktree set up (ADR 28)."""
    own, named = view.own, view.judged.hooks_path
    inner = _named_in_worktree(git, view)
    theirs = _global_folder(git, view)
    places: list[Place] = []
    # Git would run the last only. But an agent may have named it, to get past a person's own.
    if theirs is not None and (theirs.is_absolute() or not (named or inner)):
        places.append((own.top / theirs,))
    if named:
        places.append((own.top / os.path.expanduser(named),))
    elif theirs is None:
        # The worktree's folder is a copy, to which programs may have added.
        places.append((own.common / "hooks", *(() if inner else (place_of(own) / "hooks",))))
    if inner:
        places.append((own.top / os.path.expanduser(inner),))
    return Hooks(tuple(dict.fromkeys(places)), _env(view), run)


def _named_in_worktree(git: Git, view: View) -> str:
    """Return the folder of hooks that the worktree's copy of the configuration names, if any.

    Git reads the copy as data: programs in the worktree write it.
    """
    try:
        text = read_plain(place_of(view.own) / "config")
        options = ("--file", "-", "--get", "core.hooksPath")
        return (
            git.output(Outside(view.place), "config", *options, given=os.fsencode(text))
            .decode(errors="surrogateescape")
            .rstrip("\n")
        )
    except (OSError, GitFailed):
        return ""  # no copy, or it names none


def none() -> Hooks:
    """Return no hooks."""
    return Hooks((), {}, lambda call: Outcome())


def shown(output: str) -> str:
    """Return the end of a hook's output as people may see it."""
    return redact(_CONTROLS.sub("", output)).strip()[-SHOWN:]


def _global_folder(git: Git, view: View) -> Path | None:
    for scope in ("--global", "--system"):
        options = (scope, "--includes", "--type=path", "--get")
        if named := git.ask(view, "config", *options, "core.hooksPath"):
            return Path(named)
    return None


def _env(view: View) -> dict[str, str]:
    """Return what git tells each hook; the hook finds the repository as in a terminal."""
    env = {"GIT_EDITOR": ":", "GIT_PREFIX": "", "GIT_TERMINAL_PROMPT": "0"}
    is_linked = view.own.git_dir != view.own.common
    return env | ({"GIT_DIR": str(view.own.git_dir)} if is_linked else {})


def _is_program(path: Path) -> bool:
    try:
        return path.is_file() and os.access(path, os.X_OK)
    except (OSError, ValueError):
        return False  # no path at all: anybody may have written it
