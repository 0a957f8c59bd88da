"""Reads ``.gitmodules``: which submodules a repository names, and their addresses. Pure.

The file is content of the repository, so anybody may have written it. What git itself refuses in
it is refused here too, whatever the version of git: names that lead out of git's folder, and
addresses that git would take for an option.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from mesh.lib.git_config import parse
from mesh.lib.git_names import is_in_git


@dataclass(frozen=True, slots=True)
class Submodule:
    """A submodule as ``.gitmodules`` describes it; ``url`` may be relative.

    ``is_wanted`` says whether it is to be filled: not with ``update = none``.
    """

    name: str
    path: str
    url: str
    is_shallow: bool = False
    is_wanted: bool = True


def read_gitmodules(listing: str) -> tuple[Submodule, ...]:
    """Return the submodules in the output of ``git config --file .gitmodules --list -z``.

    Leaves out those that git would not fill either: without a path or an address, or with one that
    is dangerous.
    """
    found: dict[str, dict[str, str]] = {}
    for key, value in parse(listing):
        section, _, rest = key.partition(".")
        name, _, what = rest.rpartition(".")
        if section == "submodule" and name:
            found.setdefault(name, {})[what] = value
    by_path: dict[str, Submodule] = {}
    for name, values in found.items():
        path, url = values.get("path", "").rstrip("/"), values.get("url", "")
        if _is_name(name) and _is_path(path) and _is_url(url):
            is_shallow = values.get("shallow", "").lower() in ("true", "yes", "on", "1")
            is_wanted = values.get("update") != "none"
            by_path.setdefault(path, Submodule(name, path, url, is_shallow, is_wanted))
    return tuple(by_path.values())


def is_relative(url: str) -> bool:
    """Return whether git takes an address as relative to the repository's own."""
    return url.startswith(("./", "../"))


def resolve_url(base: str, url: str) -> str | None:
    """Return a submodule's address as git does, from the one of the repository that names it.

    ``None`` if the relative address leads beyond the top of ``base``, or there is no ``base``.
    """
    if not is_relative(url):
        return url
    rest, left, mark = url, base.rstrip("/"), "/"
    if not left:
        return None
    while rest.startswith(("./", "../")):
        if rest.startswith("./"):
            rest = rest[2:]
            continue
        rest = rest[3:]
        if "/" in left:
            left, mark = left.rpartition("/")[0], "/"
        elif ":" in left:
            left, mark = left.rpartition(":")[0], ":"
        else:
            return None
    if left.endswith((":/", ":")) or not left:
        return None  # nothing is left of the server's name
    return f"{left}{mark}{rest}".rstrip("/")


def _is_name(name: str) -> bool:
    return _is_text(name) and ".." not in _parts(name) and not name.startswith(("-", "/"))


def _is_path(path: str) -> bool:
    is_inside = not path.startswith(("-", "/")) and not {"", ".", ".."} & set(path.split("/"))
    return _is_text(path) and is_inside and not is_in_git(path)


def _is_url(url: str) -> bool:
    return _is_text(url) and not url.startswith("-")


def _is_text(text: str) -> bool:
    return bool(text) and not any(char in text for char in "\0\n\r")


def _parts(name: str) -> Iterable[str]:
    return name.replace("\\", "/").split("/")
