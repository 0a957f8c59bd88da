"""The benchmarks themselves: nobody runs them every day, so a renamed module breaks them unseen."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

BENCHES = sorted(path.stem for path in Path(__file__).parent.glob("bench_*.py"))


@pytest.mark.programs
@pytest.mark.parametrize("name", BENCHES)
def test_each_benchmark_finds_what_it_imports(name):
    command = [sys.executable, "-c", f"import tests.bench.{name}"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
