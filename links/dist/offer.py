"""What this server offers a new laptop: its wheel, and the one line that installs and links."""

from __future__ import annotations

import hashlib
import shlex
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from links.dist.wheel import Wheel, build

PREFIX: Final = "/dist/"


@dataclass(frozen=True, slots=True)
class Offer:
    """``uvx`` needs nothing installed but uv; ``pip`` only a Python with venv."""

    url: str
    sha256: str
    uvx: str
    pip: str


@lru_cache(maxsize=1)
def wheel() -> Wheel:
    """Return the wheel of this process's own code, built when it is first asked for."""
    return build()


@lru_cache(maxsize=1)
def _sha256() -> str:
    return hashlib.sha256(wheel().data).hexdigest()


def offer_of(server: str) -> Offer:
    """Return the offer of the server at ``server`` (no slash at its end)."""
    url = f"{server}{PREFIX}{wheel().name}"
    link = shlex.join(["deco", "link", server])
    # A venv of its own: many systems' Pythons refuse to have anything else installed.
    pip = f"python3 -I -m venv ~/.deco && ~/.deco/bin/pip install -qU {shlex.quote(url)}"
    return Offer(
        url=url,
        sha256=_sha256(),
        uvx=f"uvx --from {shlex.quote(url)} {link}",
        pip=f"{pip} && ~/.deco/bin/{link}",
    )
