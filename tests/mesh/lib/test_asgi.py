"""The types are written once."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
ALIAS = re.compile(r"^(?:Receive|Send|ASGIApp) = Callable\[", re.MULTILINE)


@pytest.mark.parametrize("app", ["mesh", "links", "agents", "sandboxes", "threads"])
def test_no_module_writes_its_own(app):
    found = [path for path in (ROOT / app).rglob("*.py") if ALIAS.search(path.read_text("utf-8"))]

    assert found == ([ROOT / "mesh/lib/asgi.py"] if app == "mesh" else [])
