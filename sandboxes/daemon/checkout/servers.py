"""What a server answers, where git itself does not say it: read from git's own trace. Blocking.

git takes any answer with status 200 for the list of references of an old kind of server. So a
sign-in page looks like a repository without commits. And of a redirect that it does not follow it
only tells the status.
"""

from __future__ import annotations

import re
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import urljoin, urlsplit

from mesh.git.calls import Outside
from mesh.git.failures import redact, visible
from sandboxes.daemon.git import Git

WITHIN: Final = 30.0  # seconds
_LONGEST: Final = 300  # characters of an address that a sentence names
_HEADER: Final = re.compile(r"<= Recv header: (content-type|location): (.*)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Answer:
    """A server's answer: whether it speaks git's protocol, and where else it sends git."""

    is_git: bool
    location: str = ""


def answer_of(address: str, cwd: Path, git: Git, limits: tuple[str, ...]) -> Answer:
    """Ask the server of an https address again, and return what it answered."""
    # The trace has no credentials: git itself leaves them out.
    with tempfile.TemporaryDirectory(prefix=".trace-", dir=cwd) as folder:
        trace = Path(folder) / "curl"
        asked = (*limits, "ls-remote", "--", address, "HEAD")
        git.code(Outside(cwd, trace=trace), *asked, within=WITHIN)
        try:
            text = trace.read_text(encoding="utf-8", errors="replace")
        except OSError:
            return Answer(is_git=False)
    headers = [(found[1].lower(), found[2].strip()) for found in _HEADER.finditer(text)]
    types = [value for name, value in headers if name == "content-type"]
    places = [value for name, value in headers if name == "location"]
    return Answer(
        any(value.startswith("application/x-git-") for value in types),
        _shown(address, places[0]) if places else "",
    )


def _shown(address: str, location: str) -> str:
    """Return where a redirect leads, without its query: that may contain secrets."""
    try:
        parts = urlsplit(urljoin(address, location))
    except ValueError:
        return ""
    path = parts.path.removesuffix("/info/refs")
    return visible(redact(f"{parts.scheme}://{parts.netloc}{path}"))[:_LONGEST]
