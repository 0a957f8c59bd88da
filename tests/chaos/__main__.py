"""python -m tests.chaos [MINUTES [SEED [STEPS]]]: walks from seed to seed; 0 minutes: one walk."""

from __future__ import annotations

import random
import shutil
import sys
import tempfile
import time
import traceback
from pathlib import Path
from statistics import median

from tests.chaos.processes import World
from tests.chaos.schedule import draw
from tests.chaos.walk import Figures, Violation, Walk
from tests.standin import serving_in_thread

LENGTH = 40  # steps


def walk(seed: int, length: int) -> Figures | None:
    """Play one walk; print what it found, and return its figures, or ``None`` if it failed."""
    root = Path(tempfile.mkdtemp(prefix="mesh-chaos-"))
    steps = draw(seed, length)
    world = World(root)
    begun = time.monotonic()
    with serving_in_thread() as standin:
        played = Walk(world, standin)
        try:
            world.start()
            figures = played.play(steps)
        except (Violation, AssertionError) as exc:
            wrong = str(exc) if isinstance(exc, Violation) else traceback.format_exc()
            print(f"seed {seed}: {wrong}\n  its steps, as they went:", flush=True)
            for line in played.log:
                print(f"    {line}")
            print(f"  play it again: make chaos ARGS='0 {seed} {length}'; its files: {root}")
            return None
        finally:
            world.close()
    errors = world.errors()
    shutil.rmtree(root, ignore_errors=True)
    print(
        f"seed {seed}: {figures.faults} faults, {figures.runs} runs, {figures.events} events,"
        f" settled in {figures.recoveries[0]:.1f} s ({time.monotonic() - begun:.0f} s)",
        *(f"\n  logged: {line}" for line in errors),
        flush=True,
    )
    return figures


def main(words: list[str]) -> int:
    """Walk until the minutes are over; return how many walks failed, 100 at most."""
    minutes = float(words[0]) if words else 3
    seed = int(words[1]) if len(words) > 1 else random.randrange(10**6)
    length = int(words[2]) if len(words) > 2 else LENGTH
    until = time.monotonic() + 60 * minutes
    good: list[Figures] = []
    failed = []
    while True:
        figures = walk(seed, length)
        if figures is None:
            failed.append(seed)
        else:
            good.append(figures)
        seed += 1
        if time.monotonic() >= until:
            break
    if good:
        took = [each for figures in good for each in figures.recoveries]
        print(
            f"{len(good)} walks held: {sum(f.faults for f in good)} faults,"
            f" {sum(f.runs for f in good)} runs, {sum(f.events for f in good)} events;"
            f" settled in {median(took):.1f} s (median), {max(took):.1f} s (worst)"
        )
    if failed:
        print(f"{len(failed)} failed: {failed}", file=sys.stderr)
    return min(len(failed), 100)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
