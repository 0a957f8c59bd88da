"""The table of ``docs/agents.md``: its cells are declared beside the tests that make them true.

Write it anew: python -m tests.harness.agents_table
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import pytest

from mesh import agent_programs

PAGE = Path(__file__).resolve().parents[2] / "docs/agents.md"
BEGIN = "<!-- made by tests/harness/agents_table.py: do not edit -->\n"
END = "<!-- end -->\n"
COLUMNS = {
    "plan": "Plan only",
    "ask": "Ask before edit",
    "auto": "Auto approve",
    "stop": "Stop",
    "background": "In the background",
    "output": "Output of tools",
    "resume": "Resume",
    "models": "Models",
    "words": "Words and commands",
    "mcp": "MCP",
    "usage": "Usage",
    "failures": "Failures",
}
UNTESTED = "–"


class Cell(NamedTuple):
    """What a test asserts of an agent, in words for people."""

    agent: str
    column: str
    sentence: str


def cell(agent: str, column: str, sentence: str) -> Callable[[Any], Any]:
    """Declare what the decorated test, or class of tests, asserts of ``agent``."""
    assert column in COLUMNS, column
    agent_programs.get(agent)
    found = Cell(agent, column, sentence)

    def declare(test: Any) -> Any:
        # Decorators are applied from the last line up: the first line comes first in the table.
        test.cells = (found, *vars(test).get("cells", ()))
        return test

    return declare


def cells(column: str, by_agent: Mapping[str, str]) -> Callable[[Any], Any]:
    """Declare what the decorated test asserts of each agent, and run it for each as ``kind``."""

    def declare(test: Any) -> Any:
        for agent, sentence in by_agent.items():
            test = cell(agent, column, sentence)(test)
        return pytest.mark.parametrize("kind", list(by_agent))(test)

    return declare


def collect() -> list[Cell]:
    """Return the cells of all tests beside this file, in the order of the files' names."""
    here = Path(__file__).parent
    modules = []
    for path in sorted(here.rglob("test_*.py")):
        if "agents_table import" in path.read_text():
            name = path.relative_to(here).with_suffix("").as_posix().replace("/", ".")
            modules.append(importlib.import_module(f"tests.harness.{name}"))
    return [found for module in modules for found in _cells_of(module)]


def _cells_of(module: ModuleType) -> Iterator[Cell]:
    for name, value in vars(module).items():
        # What pytest doesn't run makes no cell.
        if getattr(value, "__module__", "") != module.__name__:
            continue
        if name.startswith("Test"):
            yield from vars(value).get("cells", ())
            for method, test in vars(value).items():
                if method.startswith("test_"):
                    yield from vars(test).get("cells", ())
        elif name.startswith("test_"):
            yield from vars(value).get("cells", ())


def table(found: list[Cell]) -> str:
    """Return the table as Markdown; an agent has a row as soon as it has a cell."""
    said: dict[tuple[str, str], list[str]] = {}
    for agent, column, sentence in found:
        sentences = said.setdefault((agent, column), [])
        if sentence not in sentences:
            sentences.append(sentence)
    rows = [["Agent", *COLUMNS.values()], ["---"] * (len(COLUMNS) + 1)]
    for program in agent_programs.load():
        if any(agent == program.kind for agent, _ in said):
            version = program.npm_version or program.pypi_version
            row = [f"**{program.title}** {version}"]
            row += [" ".join(said.get((program.kind, key), [UNTESTED])) for key in COLUMNS]
            rows.append(row)
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def written(page: str, found: list[Cell]) -> str:
    """Return the page with the table between its marks made anew."""
    head, _, rest = page.partition(BEGIN)
    _, _, tail = rest.partition(END)
    return f"{head}{BEGIN}\n{table(found)}\n{END}{tail}"


if __name__ == "__main__":
    PAGE.write_text(written(PAGE.read_text(), collect()))
