"""How tests wait."""

from __future__ import annotations

import re
from pathlib import Path

HERE = Path(__file__).resolve().parent
# Our content security policy refuses the first, now and then; the second waits for no condition.
REFUSED = re.compile(r"wait_for_(?:function\(|timeout\([1-9])")


def test_browser_tests_wait_with_until():
    found = [
        f"{path.relative_to(HERE)}: {line.strip()}"
        for path in HERE.rglob("*.py")
        if path != Path(__file__)
        for line in path.read_text().splitlines()
        if REFUSED.search(line)
    ]
    assert found == []
