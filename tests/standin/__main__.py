"""python -m tests.standin [--port N]: serve until Ctrl-C, and print how to use it."""

from __future__ import annotations

import argparse
import asyncio
import contextlib

from tests.standin.scripts import HELP
from tests.standin.server import serving


async def main(port: int) -> None:
    async with serving(port=port) as standin:
        print(HELP)
        print(f"ANTHROPIC_BASE_URL={standin.url} ANTHROPIC_API_KEY=standin claude", flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=0)
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(main(parser.parse_args().port))
