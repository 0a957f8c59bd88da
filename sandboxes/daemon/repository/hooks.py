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

from mesh.git.view import View
from sandboxes.daemon.git import Git, redact
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


class Hooks:
    """The hooks of one commit and push."""

    def __init__(self, folders: tuple[Path, ...], env: Mapping[str, str], run: Run) -> None:
        self._folders, self._env, self._run = folders, env, run

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
        for program in filter(_is_program, (folder / name for folder in self._folders)):
            outcome = self._run(HookCall(name, program, args, input, env))
            if outcome.why and may_refuse:
                said = shown(outcome.output)
                raise HookRefused(
                    f"The {name} hook {outcome.why}{': ' if said else '.'}{said}",
                    hook=name,
                    output=said,
                )


def find(git: Git, view: View, run: Run) -> Hooks:
    """Return the person's own hooks, then the repository's."""
    own = view.own
    theirs = _global_folder(git, view)
    has_own_folder = theirs is not None and theirs.is_absolute()
    folders: list[Path] = []
    if theirs is not None:
        folders.append(own.top / theirs)
    if view.judged.hooks_path:
        # Git would run these only. But an agent may have named them, to get past a person's own.
        named = own.top / os.path.expanduser(view.judged.hooks_path)
        folders = [*(folders if has_own_folder else ()), named]
    elif theirs is None:
        folders.append(own.common / "hooks")
    return Hooks(tuple(dict.fromkeys(folders)), _env(view), run)


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
