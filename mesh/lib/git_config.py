"""Which settings of a repository's own configuration Mesh's calls of git may use. Pure.

An agent can write that configuration, and many of its keys name a program. So git never gets it
as it is: Mesh reads it as data, and copies only the settings listed below into its own
configuration. The person's global settings are not touched.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass

Pair = tuple[str, str]
_Check = Callable[[str], object]


@dataclass(frozen=True, slots=True)
class Judged:
    """The settings that are kept, and the keys that are left out.

    ``hooks_path`` is the folder of hooks that they name; git never gets it.
    """

    kept: tuple[Pair, ...] = ()
    left_out: tuple[str, ...] = ()
    hooks_path: str = ""

    @property
    def filters(self) -> tuple[str, ...]:
        """The names of the filters whose programs are left out."""
        names = (key.split(".", 1)[1].rpartition(".") for key in self.left_out if _is_filter(key))
        return tuple(sorted({name for name, _, what in names if what != "required"}))

    @property
    def is_partial(self) -> bool:
        """Whether objects may be missing, which git fetches when it needs them."""
        return any(key.endswith(".promisor") and value == "true" for key, value in self.kept)

    @property
    def addresses(self) -> tuple[str, ...]:
        """The addresses of all remotes."""
        return tuple(value for key, value in self.kept if _OF_REMOTE(key))

    def value(self, key: str) -> str:
        """Return the last value of a key; empty if there is none."""
        return next((value for name, value in reversed(self.kept) if name == key), "")


_OF_REMOTE = re.compile(r"remote\..*\.(push)?url", re.DOTALL).fullmatch


def _any(_: str) -> bool:
    return True


_SWITCH: _Check = re.compile(r"true|false|yes|no|on|off|\d*", re.IGNORECASE).fullmatch
_WORD: _Check = re.compile(r"[A-Za-z0-9][\w.,-]*").fullmatch
_NAME: _Check = re.compile(r"[\w.][\w./-]*").fullmatch
_REF: _Check = re.compile(r"refs/[^\s:]+").fullmatch
_REFSPEC: _Check = re.compile(r"[+^]?[\w*][^\s:]*(:[\w*][^\s:]*)?").fullmatch
_NO_OPTION: _Check = re.compile(r"[^-].*", re.DOTALL).fullmatch
# Not an option, and not a remote helper (“ext::…”): those start programs.
_ADDRESS: _Check = re.compile(
    r"(https?|ssh|git|file|git\+ssh|ssh\+git)://[^-\s].*"
    r"|([\w.+@-]+@)?(\w[\w.-]*|\[[0-9A-Fa-f:.]+\]):(?!//)[^:\s-].*|/\S.*"
).fullmatch

# By section, and by name within it; the subsection between them may be anything.
_INERT: dict[str, dict[str, _Check]] = {
    "core": {
        **dict.fromkeys(("repositoryformatversion", "compression", "abbrev", "eol"), _WORD),
        **dict.fromkeys(("autocrlf", "safecrlf", "checkstat", "sharedrepository"), _WORD),
        **dict.fromkeys(("logallrefupdates", "untrackedcache"), _WORD),
        **dict.fromkeys(("bare", "filemode", "ignorecase", "precomposeunicode"), _SWITCH),
        **dict.fromkeys(("symlinks", "trustctime", "sparsecheckout"), _SWITCH),
        **dict.fromkeys(("sparsecheckoutcone", "splitindex", "preloadindex"), _SWITCH),
        **dict.fromkeys(("multipackindex", "commitgraph"), _SWITCH),
    },
    "index": dict.fromkeys(("version", "threads", "sparse", "skiphash"), _SWITCH),
    "feature": dict.fromkeys(("manyfiles", "experimental"), _SWITCH),
    "user": {"name": _any, "email": _any, "useconfigonly": _SWITCH, "signingkey": _NO_OPTION},
    "branch": {"remote": _NAME, "pushremote": _NAME, "merge": _REF, "description": _any},
    "remote": {
        **{"url": _ADDRESS, "pushurl": _ADDRESS, "fetch": _REFSPEC, "tagopt": _any},
        **{"prune": _SWITCH, "promisor": _SWITCH, "partialclonefilter": _any},
        **dict.fromkeys(("skipdefaultupdate", "skipfetchall"), _SWITCH),
    },
    "merge": {"conflictstyle": _WORD},
    "lfs": {
        **{"repositoryformatversion": _SWITCH, "url": _ADDRESS, "pushurl": _ADDRESS},
        **{"fetchinclude": _any, "fetchexclude": _any, "access": _WORD},
    },
}
# What “git lfs install --local” writes: the program is the person's own.
_LFS = {
    "clean": ("git-lfs clean -- %f",),
    "smudge": ("git-lfs smudge -- %f", "git-lfs smudge --skip -- %f"),
    "process": ("git-lfs filter-process", "git-lfs filter-process --skip"),
    "required": ("true",),
}


def parse(listing: str) -> tuple[Pair, ...]:
    """Parse the output of ``git config --list -z``; a key without a value is a switch."""
    pairs = (record.partition("\n") for record in listing.split("\0") if record)
    return tuple((key, value if mark else "true") for key, mark, value in pairs)


def judge(pairs: Iterable[Pair], *, origin: str = "") -> Judged:
    """Return which of a repository's settings are harmless.

    With ``origin``, it is a clone that Mesh made: it has only that remote, at that address,
    whatever the settings say now.
    """
    kept: list[Pair] = []
    left_out: dict[str, None] = {}
    hooks_path = ""
    for key, value in pairs:
        if key == "core.hookspath":
            hooks_path = value
        if origin and key == "remote.origin.url":
            kept.append((key, origin))
        elif not _is_inert(key, value) or (origin and _is_of_another(key)):
            left_out[key] = None
        else:
            kept.append((key, value))
    return Judged(tuple(kept), tuple(left_out), hooks_path)


def _is_inert(key: str, value: str) -> bool:
    section, _, rest = key.partition(".")
    middle, _, name = rest.rpartition(".")
    if "\n" in key or "\0" in value:
        return False
    if section == "extensions":
        # They say how the repository is stored; git refuses unknown ones.
        return not middle and name != "worktreeconfig"
    if key == "remote.pushdefault":
        return _NAME(value) is not None
    if (section, middle) == ("filter", "lfs"):
        return value in _LFS.get(name, ())
    check = _INERT.get(section, {}).get(name)
    has_middle = section in ("branch", "remote") or (section == "lfs" and name == "access")
    return check is not None and bool(middle) == has_middle and bool(check(value))


def _is_of_another(key: str) -> bool:
    """Return whether a setting is of a remote that a clone made by Mesh does not have."""
    own = ("remote.origin.fetch", "remote.origin.prune", "remote.origin.tagopt")
    return key.startswith("remote.") and key not in own


def _is_filter(key: str) -> bool:
    return key.startswith("filter.") and key.count(".") >= 2


def text_of(pairs: Iterable[Pair]) -> str:
    """Return a configuration file with these settings."""
    lines = []
    for key, value in pairs:
        section, _, rest = key.partition(".")
        middle, _, name = rest.rpartition(".")
        head = f'{section} "{_escaped(middle)}"' if middle else section
        quoted = _escaped(value).replace("\n", "\\n").replace("\t", "\\t")
        lines.append(f'[{head}]\n\t{name} = "{quoted}"\n')
    return "".join(lines)


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"')
