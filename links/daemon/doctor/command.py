"""``deco_link doctor [SERVER]``: check everything a link needs, and suggest fixes.

Exit codes: 0 nothing failed (there may be warnings); 1 something failed; 2 wrong use.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

from links.daemon import probe
from links.daemon.clock import Clock
from links.daemon.config import Config
from links.daemon.doctor import machine, server, service
from links.daemon.doctor.finding import Finding
from links.daemon.home import home_of
from links.daemon.servers import checked_server, only_server
from links.daemon.terminal import Parser, say
from links.daemon.tokens import TokenSource, source_of

DESCRIPTION = "Check everything that a link needs, and suggest fixes. No secret is shown."


def main(argv: Sequence[str]) -> int:
    """Run the command; return its exit code."""
    parser = Parser(prog="deco_link doctor", description=DESCRIPTION)
    parser.add_argument("server", nargs="?", help="may be omitted if there is only one")
    parser.add_argument("--token-file", type=Path, metavar="FILE", help="as for deco_link")
    given = parser.parse_args(argv)
    home = home_of()
    try:
        address = checked_server(given.server or only_server(home))
    except ValueError as exc:
        parser.error(str(exc))
    config = Config(server=address, home=home, name="", token_file=given.token_file)
    return asyncio.run(_print_all(config))


async def _print_all(config: Config) -> int:
    failed = warned = 0
    async for finding in examine(config, source_of(config, Clock())):
        say(finding)
        failed += finding.state == "fail"
        warned += finding.state == "warn"
    say(f"\n{_summary(failed, warned)}")
    return 1 if failed else 0


async def examine(config: Config, tokens: TokenSource) -> AsyncIterator[Finding]:
    """Yield every finding; the local checks run even if the server is unavailable."""
    programs = asyncio.create_task(probe.look())
    try:
        async for finding in server.examine(config.server, tokens):
            yield finding
        for finding in machine.judge_programs(probe.PROBES, await programs):
            yield finding
    finally:
        programs.cancel()
    yield machine.check_git()
    for finding in machine.check_home(config.home):
        yield finding
    for finding in await asyncio.to_thread(_of_service, config):
        yield finding
    yield machine.check_link(config.home, config.server)


def _of_service(config: Config) -> list[Finding]:
    return list(service.check_service(config.home, config.server, probe.PROBES))


def _summary(failed: int, warned: int) -> str:
    if failed:
        return f"{failed} failed, {warned} warnings."
    return f"Nothing failed, {warned} warnings." if warned else "Everything works."
