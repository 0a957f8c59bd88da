"""This server's offer to a new laptop: the wheel, and a one-line command to install and link."""

from __future__ import annotations

import hashlib
import re
import shlex
from dataclasses import dataclass
from functools import lru_cache
from typing import Final
from urllib.parse import urlsplit

from links.dist.wheel import Wheel, build

PREFIX: Final = "/dist/"


@dataclass(frozen=True, slots=True)
class Offer:
    """``uv`` requires only uv; ``pip`` only a Python with venv.

    Both refuse a wheel with another hash than ``sha256``. ``uvx --from`` would be shorter, but does
    not check a hash.
    """

    url: str
    sha256: str
    uv: str
    pip: str


@lru_cache(maxsize=1)
def wheel() -> Wheel:
    """Return the wheel of this process's own code, built on first use."""
    return build()


@lru_cache(maxsize=1)
def _sha256() -> str:
    return hashlib.sha256(wheel().data).hexdigest()


def offer_of(server: str) -> Offer:
    """Return the offer of the server at ``server`` (no trailing slash)."""
    url = f"{server}{PREFIX}{wheel().name}"
    wheel_url = shlex.quote(f"{url}#sha256={_sha256()}")
    # A venv of its own: many system Pythons refuse other packages, and a machine that is linked to
    # two servers needs the program of each.
    name = re.sub(r"[^a-z0-9.]+", "-", urlsplit(server).netloc.lower()).strip("-.")
    venv = f"~/.deco/{name or 'mesh'}"
    link = f"{venv}/bin/{shlex.join(['deco', 'link', server])}"
    return Offer(
        url=url,
        sha256=_sha256(),
        uv=f"uv venv -q --allow-existing {venv} && uv pip install -q -p {venv} {wheel_url} && {link}",
        pip=f"python3 -I -m venv {venv} && {venv}/bin/pip install -qU {wheel_url} && {link}",
    )
