"""The source of an agent's files, from its metadata, and the parsing of repository addresses.

Metadata keeps the reference's shape (``githubRepo.url``), so it is not trusted: a value of the
wrong type counts as missing (chat-ui.md §1).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Final, Literal
from urllib.parse import unquote

from mesh.lib.errors import AppError
from mesh.lib.repositories import CloneUrl, Unclonable, parse_clone_url

# none: it needs no files, so there is nothing for a program on a machine to work on.
SourceKind = Literal["repository", "folder", "scratch", "none"]

LENGTH_LIMIT: Final = 500  # characters of an address or a folder
_SHORT: Final = re.compile(r"(?P<owner>\w[\w.-]*)/(?P<name>\w[\w.-]*|\.[\w-][\w.-]*)")
# A page of a repository, copied from the browser: git could not clone from it.
_PAGE: Final = re.compile(
    # GitHub has nothing but pages below an owner's repository, and no service calls one “-”.
    r"(?P<github>https://(?:www\.)?github\.com/[^/?#]+/[^/?#]+)(?:/[^?#]+)"
    r"|(?P<dash>https://[^/?#]+(?:/[^/?#]+){2,})/-/.*"
    r"|(?P<other>https://[^/?#]+/[^/?#]+/[^/?#]+)/(?:tree|blob|src|commit|pulls?)/.*(?<!\.git)",
    re.IGNORECASE,
)
_SECRET: Final = re.compile(r"token|secret|password|key", re.IGNORECASE)


class BadRepository(AppError):
    code = "bad_repository"
    text = "This is not the address of a repository."
    hint = "Give an address such as https://github.com/acme/app."


_WITHOUT_SECRETS: Final = (
    "The address contains a user name or a token. Leave it out: each person's machine "
    "clones with its own sign-in."
)


class BadFolder(AppError):
    code = "bad_folder"
    text = "This is not a folder of a machine."
    hint = "Give its whole path, such as /home/ada/code/app or ~/code/app."


@dataclass(frozen=True, slots=True)
class Source:
    """``link_id`` names the machine that has the folder; empty: any that allows it."""

    kind: SourceKind
    url: str = ""
    folder: str = ""
    link_id: str = ""

    @property
    def has_files(self) -> bool:
        """Whether there are files for a program on a machine."""
        return self.kind != "none"

    @property
    def has_branches(self) -> bool:
        """Whether a chat can be on a branch of its own choosing."""
        return self.kind in ("repository", "folder")


@dataclass(frozen=True, slots=True)
class Repository:
    """An address that git can clone from, without anybody's secret in it."""

    url: str
    owner: str
    name: str

    def as_metadata(self) -> dict[str, str]:
        return {"url": self.url, "owner": self.owner, "name": self.name}


def source_of(metadata: dict[str, Any]) -> Source:
    """Return where the files of an agent with this metadata come from.

    A repository takes precedence over a folder; an agent with neither has an empty folder for each
    chat, unless its metadata says that it needs none.
    """
    if url := _clone_url(metadata):
        return Source("repository", url=url)
    if folder := _text(metadata.get("folder")):
        return Source("folder", folder=folder, link_id=_text(metadata.get("folderLink")))
    return Source("none" if metadata.get("files") == "none" else "scratch")


def _clone_url(metadata: dict[str, Any]) -> str:
    repo = metadata.get("githubRepo")
    return _text(repo.get("url")) if isinstance(repo, dict) else ""


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def read_repository(text: str) -> Repository:
    """Return the repository that a person means by ``text``.

    Accepted is what git clones over https or ssh, unchanged. For people's convenience, also
    ``owner/name`` for GitHub, and the address of a page within a repository. A password or token
    in the address is refused, not dropped: the person must learn that it is not stored and not
    needed.

    Raises:
        BadRepository: git could not clone it, or it contains a secret.
    """
    text = text.strip()
    if not text or len(text) > LENGTH_LIMIT:
        raise BadRepository
    if _SHORT.fullmatch(text):
        text = f"https://github.com/{text}"
    url = _without_page(text)
    try:
        parts = parse_clone_url(url)
    except Unclonable as exc:
        raise BadRepository(str(exc)) from exc
    if parts.user and parts.scheme == "https":
        raise BadRepository(_WITHOUT_SECRETS)
    owner, name = _owner_and_name(parts)
    return Repository(url, owner, name)


def _without_page(text: str) -> str:
    """Return the repository's address of one that was copied from a browser."""
    if not text.startswith("https://"):
        return text
    url, mark, query = text.replace("#", "?", 1).partition("?")
    if mark and _SECRET.search(query):
        raise BadRepository(_WITHOUT_SECRETS)
    found = _PAGE.fullmatch(url)
    return next(filter(None, found.groups()), url) if found else url


def _owner_and_name(parts: CloneUrl) -> tuple[str, str]:
    """Return the folders (a group may have groups) and the name of a repository, as people see
    them."""
    path = parts.path if parts.scheme == "ssh" else unquote(parts.path)
    owner, _, name = path.strip("/").removesuffix(".git").rpartition("/")
    if parts.host in ("github.com", "www.github.com") and not owner.strip("/"):
        raise BadRepository("The address names an account of GitHub, but no repository of it.")
    return owner, name or parts.host


def read_folder(text: str) -> str:
    """Return the path of a folder on a machine; only the machine can check whether it exists.

    Raises:
        BadFolder: it is not an absolute path.
    """
    text = text.strip()
    is_whole = text.startswith(("/", "~/")) or re.match(r"[A-Za-z]:[\\/]", text)
    if not is_whole or len(text) > LENGTH_LIMIT or not text.isprintable():
        raise BadFolder
    if ".." in re.split(r"[\\/]", text):
        raise BadFolder
    return text.rstrip("/") or "/"
