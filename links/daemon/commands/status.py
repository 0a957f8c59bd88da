"""``deco_link status``: the state of this machine's links, and its sandboxes.

Exit codes: 0 a link is connected; 1 one runs, but is not connected; 2 wrong use; 3 none runs.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from links.daemon import sandbox_list, state
from links.daemon.home import home_of
from links.daemon.state import LinkState
from links.daemon.terminal import Parser, in_line, say

DESCRIPTION = "Show the state of this machine's links, and its sandboxes."


def main(argv: Sequence[str]) -> int:
    """Run the command; return its exit code."""
    parser = Parser(prog="deco_link status", description=DESCRIPTION)
    parser.add_argument("--json", action="store_true", help="print JSON, for programs")
    given = parser.parse_args(argv)
    home = home_of()
    links = state.list_running(home)
    found = asyncio.run(sandbox_list.list_sandboxes(home / "sandboxes"))
    if given.json:
        facts = {"links": [asdict(one) for one in links], "sandboxes": [asdict(r) for r in found]}
        sys.stdout.write(json.dumps(facts, indent=2) + "\n")  # of ASCII alone
    else:
        say("\n\n".join([*_paragraphs(home, links), sandbox_list.table(found)]))
    if not links:
        return 3
    return 0 if any(one.phase == "connected" for one in links) else 1


def _paragraphs(home: Path, links: list[LinkState]) -> list[str]:
    if not links:
        return [f"No link is running on this machine (state under {home})."]
    return [describe(one, now=time.time()) for one in links]


def describe(link: LinkState, *, now: float) -> str:
    """Return the lines about one link."""
    phase = f"{link.phase} for {sandbox_list.duration(now - link.since)}"
    rows = [
        ("server", link.server),
        ("machine", link.name),
        ("link", f"{phase}, pid {link.pid}, version {link.version}"),
        ("why", link.detail),
        *((name, _words(report)) for name, report in link.harnesses.items()),
    ]
    return "\n".join(f"{in_line(name):<18}{in_line(text)}" for name, text in rows if text)


def _words(report: dict[str, str]) -> str:
    words = [report.get("state", "").replace("_", " "), report.get("version", "")]
    detail = report.get("detail", "")
    return " ".join(filter(None, words)) + (f": {detail}" if detail else "")
