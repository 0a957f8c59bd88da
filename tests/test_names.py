"""Names that are the same in every module."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.mark.parametrize("app", ["mesh", "links", "agents", "sandboxes", "threads"])
def test_a_module_s_logger_is_called_logger(app):
    made = re.compile(r"^(\w+) = logging\.getLogger\(__name__\)", re.MULTILINE)
    texts = (path.read_text("utf-8") for path in (ROOT / app).rglob("*.py"))

    assert {name for text in texts for name in made.findall(text)} <= {"logger"}
