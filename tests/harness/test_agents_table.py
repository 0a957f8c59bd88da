"""The page about the agents says what the tests assert, and nothing else."""

from __future__ import annotations

import pytest

from tests.harness import agents_table
from tests.harness.agents_table import BEGIN, END, PAGE, Cell, cell, cells, collect, table, written


def test_the_page_has_the_cells_of_the_tests():
    page = PAGE.read_text()

    assert page == written(page, collect()), "run: python -m tests.harness.agents_table"


def test_a_cell_is_what_a_test_asserts():
    @cell("codex", "stop", "The command ends.")
    @cell("codex", "stop", "It says so.")
    def test_it(): ...

    assert test_it.cells == (
        Cell("codex", "stop", "The command ends."),
        Cell("codex", "stop", "It says so."),
    )
    assert "| The command ends. It says so. |" in table(list(test_it.cells))


def test_a_test_of_many_agents_runs_for_each_that_has_a_cell():
    @cells("resume", {"codex": "Yes.", "acp:qwen": "No."})
    def test_it(kind): ...

    (mark,) = test_it.pytestmark
    assert mark.args == ("kind", ["codex", "acp:qwen"])
    assert {found.agent for found in test_it.cells} == {"codex", "acp:qwen"}


@pytest.mark.parametrize(("agent", "column"), [("acp:nobody", "stop"), ("codex", "colour")])
def test_a_cell_needs_a_known_agent_and_column(agent, column):
    with pytest.raises((KeyError, AssertionError)):
        cell(agent, column, "Words.")


def test_what_is_not_tested_is_not_claimed():
    row = table([Cell("codex", "stop", "Yes.")]).splitlines()[2]

    assert row.count(agents_table.UNTESTED) == len(agents_table.COLUMNS) - 1


def test_the_rest_of_the_page_stays():
    page = f"# A\n{BEGIN}old\n{END}after\n"

    assert written(page, []).startswith("# A\n")
    assert written(page, []).endswith(f"{END}after\n")
    assert "old" not in written(page, [])
