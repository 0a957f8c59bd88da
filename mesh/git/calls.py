"""One call of git: its program, arguments and environment. Nothing is started here."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

# These ask another machine, or another repository; every other command works without.
OF_NETWORK: Final = frozenset({"clone", "fetch", "ls-remote", "push"})
NO_REDIRECT: Final = "http.followRedirects=false"
PROTOCOLS: Final = ("https", "ssh")
# The person's own choice of an ssh; no other variable of git's is passed on.
_PASSED: Final = frozenset({"GIT_SSH", "GIT_SSH_COMMAND", "GIT_SSH_VARIANT"})
# Nobody would see a question, in a terminal or in a window.
_QUIET: Final = {
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_ASKPASS": "",
    "SSH_ASKPASS_REQUIRE": "never",
    "GIT_EDITOR": ":",
    "GIT_SEQUENCE_EDITOR": ":",
    "GIT_PAGER": "cat",
    "GIT_OPTIONAL_LOCKS": "0",  # a look must not get into the way of what the person does
    "GIT_NO_LAZY_FETCH": "1",
    "LC_ALL": "C.UTF-8",
}
# Above every configuration, the person's own included: what would start a program where nobody
# looks on, and what would make git look into repositories that lie in the working folder.
_SETTINGS: Final = (
    "core.fsmonitor=false",
    "core.hooksPath=/dev/null",
    "core.protectHFS=true",
    "core.protectNTFS=true",
    "safe.bareRepository=explicit",
    "protocol.ext.allow=never",
    "submodule.recurse=false",
    "fetch.recurseSubmodules=false",
    "push.recurseSubmodules=no",
    "diff.submodule=short",
    "diff.ignoreSubmodules=dirty",
    "status.submoduleSummary=false",
    "gc.auto=0",
    "maintenance.auto=false",
    # A dead line is given up.
    "http.lowSpeedLimit=1",
    "http.lowSpeedTime=10",
)


@dataclass(frozen=True, slots=True)
class Call:
    """What is to be started, where, and in which environment."""

    argv: tuple[str, ...]
    env: Mapping[str, str]
    cwd: Path


class GitMissing(Exception):
    """There is no git on this machine."""


def command_of(args: tuple[str, ...]) -> str:
    """Return the command among ``args``; settings (``-c``) for this one call may stand before."""
    at = 0
    while args[at] == "-c":
        at += 2
    return args[at]


def build(
    args: Iterable[str],
    *,
    cwd: Path,
    parent: Mapping[str, str],
    protocols: Iterable[str] = (),
    places: Mapping[str, str] | None = None,
) -> Call:
    """Return a call; ``protocols`` are those by which it may ask others.

    Raises:
        GitMissing: there is no git on the PATH.
    """
    env = _environment(parent) | dict(places or {})
    # An empty list would mean all of them.
    env["GIT_ALLOW_PROTOCOL"] = ":".join(protocols) or "none"
    program = shutil.which("git", path=env["PATH"])
    if program is None:
        raise GitMissing
    given = (word for setting in _SETTINGS for word in ("-c", setting))
    return Call((program, "--no-pager", *given, *args), env, cwd)


def _environment(parent: Mapping[str, str]) -> dict[str, str]:
    kept = {k: v for k, v in parent.items() if not k.startswith("GIT_") or k in _PASSED}
    # A relative folder on the PATH would be one in the agent's folder.
    path = parent.get("PATH", os.defpath).split(os.pathsep)
    kept["PATH"] = os.pathsep.join(folder for folder in path if os.path.isabs(folder))
    return kept | _QUIET


@dataclass(frozen=True, slots=True)
class Outside:
    """Where git works in no repository: it clones, begins one, or reads one file."""

    cwd: Path
    protocols: tuple[str, ...] = PROTOCOLS

    def call(self, args: tuple[str, ...], parent: Mapping[str, str]) -> Call:
        """Return the call; a repository is never looked for."""
        command = command_of(args)
        makes_one = command in ("clone", "init")
        ceiling = {"GIT_CEILING_DIRECTORIES": str(self.cwd.parent)}
        return build(
            args,
            cwd=self.cwd,
            parent=parent,
            protocols=self.protocols if command in OF_NETWORK else (),
            places=ceiling if makes_one else {"GIT_DIR": os.devnull},
        )

    def explain(self, said: str) -> str:
        """Return git's words as a person is to read them."""
        return said


def version_call(parent: Mapping[str, str]) -> Call:
    """Return the call that asks git for its version.

    Raises:
        GitMissing: there is no git on the PATH.
    """
    return build(["--version"], cwd=Path("/"), parent=parent)


def protocols_for(address: str) -> tuple[str, ...]:
    """Return the protocols for a repository whose address a person has given."""
    scheme, mark, _ = address.partition("://")
    if not mark:
        scheme = "file" if address.startswith("/") else "ssh"
    return tuple(dict.fromkeys((*PROTOCOLS, scheme)))
