"""The table of a sandbox's routes that the server forwards."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

STEPS: Final = ("clone", "install", "start")
# The only files of an app that a page may fetch; the rest is on the preview's own origin.
FETCHED: Final = ("/.decofile", "/live/_meta")
_NAME: Final = r"[^/]+"


@dataclass(frozen=True, slots=True)
class VmRoute:
    """``gone_on_404``: a 404 of this route means that the sandbox no longer exists."""

    pattern: str
    methods: tuple[str, ...]
    gone_on_404: bool = False


ROUTES: Final = (
    VmRoute("write", ("POST",)),
    VmRoute("read", ("POST",)),
    VmRoute("glob", ("POST",)),
    VmRoute(rf"exec/{_NAME}", ("POST",)),
    VmRoute(rf"exec/{_NAME}/kill", ("POST",)),
    VmRoute("config", ("GET", "PUT"), gone_on_404=True),
    VmRoute(rf"setup/{_NAME}", ("POST",), gone_on_404=True),
    VmRoute("scripts", ("GET",)),
    VmRoute("events", ("GET",)),
    VmRoute("preview-fetch", ("GET",)),
    VmRoute("preview", ("POST",)),
)
_SPLIT: Final = re.compile(
    rf"(?P<branch>.+)/(?P<route>{'|'.join(f'(?:{one.pattern})' for one in ROUTES)})", re.DOTALL
)


@dataclass(frozen=True, slots=True)
class VmRequest:
    """A branch, and the route of its sandbox. ``rule`` is ``None`` if it may not be requested."""

    branch: str
    route: str
    rule: VmRoute | None


def parse_rest(rest: str) -> VmRequest | None:
    """Parse the part of the address after the agent; ``None`` without a branch or a route.

    Both may have slashes; the branch is as long as possible.
    """
    if found := _SPLIT.fullmatch(rest):
        route = found["route"]
        rule = next(one for one in ROUTES if re.fullmatch(one.pattern, route))
        return VmRequest(found["branch"], route, rule)
    branch, slash, route = rest.rpartition("/")
    return VmRequest(branch, route, None) if branch and slash and route else None


def is_step(route: str) -> bool:
    """Return whether ``setup/<step>`` names an existing step."""
    return route.removeprefix("setup/") in STEPS
