"""Which routes of a sandbox the server passes on, and what their refusals become. A table."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

STEPS: Final = ("clone", "install", "start")
# A page may ask an app for these and no others; the rest it sees on the preview's own origin.
FETCHED: Final = ("/.decofile", "/live/_meta")
_NAME: Final = r"[^/]+"


@dataclass(frozen=True, slots=True)
class VmRoute:
    """``goes``: a sandbox that does not know the handle is gone for good, as far as we know."""

    pattern: str
    methods: tuple[str, ...]
    goes: bool = False


ROUTES: Final = (
    VmRoute("write", ("POST",)),
    VmRoute("read", ("POST",)),
    VmRoute("glob", ("POST",)),
    VmRoute(rf"exec/{_NAME}", ("POST",)),
    VmRoute(rf"exec/{_NAME}/kill", ("POST",)),
    VmRoute("config", ("GET", "PUT"), goes=True),
    VmRoute(rf"setup/{_NAME}", ("POST",), goes=True),
    VmRoute("scripts", ("GET",)),
    VmRoute("events", ("GET",)),
    VmRoute("preview-fetch", ("GET",)),
    VmRoute("preview", ("POST",)),
)
_SPLIT: Final = re.compile(
    rf"(?P<branch>.+)/(?P<route>{'|'.join(f'(?:{one.pattern})' for one in ROUTES)})", re.DOTALL
)


@dataclass(frozen=True, slots=True)
class Asked:
    """A branch, and what is asked of its sandbox. ``rule`` is empty for what nobody may ask."""

    branch: str
    route: str
    rule: VmRoute | None


def parse_rest(rest: str) -> Asked | None:
    """Return what stands behind the agent in the address; ``None`` without branch or route.

    A branch may have slashes, and so may a route: the branch takes as much as it can.
    """
    if found := _SPLIT.fullmatch(rest):
        route = found["route"]
        rule = next(one for one in ROUTES if re.fullmatch(one.pattern, route))
        return Asked(found["branch"], route, rule)
    branch, slash, route = rest.rpartition("/")
    return Asked(branch, route, None) if branch and slash and route else None


def is_step(route: str) -> bool:
    """Say whether ``setup/<step>`` names a step there is."""
    return route.removeprefix("setup/") in STEPS
