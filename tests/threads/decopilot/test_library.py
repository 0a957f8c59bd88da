"""The model library takes seconds to import; only its caller waits for it."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from threads.decopilot import library

pytestmark = pytest.mark.programs

ROOT = Path(__file__).resolve().parents[3]

# In a process of its own: here it is loaded already.
SCRIPT = """
import asyncio, gc, sys, django
django.setup()
from threads.decopilot import library, provider
assert {"pydantic_ai", "httpx2", "mcp"}.isdisjoint(sys.modules)

whole = 0

def note(phase, info):
    global whole
    whole += phase == "start" and info["generation"] == 2

async def main():
    ticks = 0
    gc.callbacks.append(note)
    both = asyncio.gather(library.module("engine"), library.module("mcp"))
    while not both.done():
        await asyncio.sleep(0)
        ticks += 1
    engine, mcp = await both
    assert engine.Engine and mcp.Servers
    assert {"pydantic_ai", "mcp"} <= set(sys.modules)
    assert whole == 0, f"everything stood still {whole} times"
    assert gc.isenabled() and gc.get_freeze_count() > 100_000
    print(ticks)

asyncio.run(main())
"""


def test_the_first_use_lets_the_event_loop_run(tmp_path):
    environ = {
        "MESH_HOME": str(tmp_path),
        "DJANGO_SETTINGS_MODULE": "mesh.settings",
        "PYTHONPATH": str(ROOT),
        "PATH": "/usr/bin:/bin",
    }
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        env=environ,
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
    )

    assert done.returncode == 0, done.stderr
    # A loop that is blocked turns a few times at most.
    assert int(done.stdout) > 100


async def test_two_never_load_at_once():
    """Each would find modules that the other has half initialised."""
    both = threading.Barrier(2)

    def meets():
        try:
            both.wait(timeout=0.2)
        except threading.BrokenBarrierError:
            return False
        return True

    assert await asyncio.gather(library.call(meets), library.call(meets)) == [False, False]
