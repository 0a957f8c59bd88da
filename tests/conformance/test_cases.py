"""The table of the contract's cases is whole, and the tests that it names exist."""

import ast
import tomllib
from functools import cache
from pathlib import Path

import pytest

TESTS = Path(__file__).resolve().parents[1]
CASES = tomllib.loads(Path(__file__).with_name("cases.toml").read_text())
GAPS = {19, 21, 37, 41, 60, 61, 62, 87, 88, 98, 101, *range(117, 122), 128, 134}
NUMBERS = [
    *(f"S{n}" for n in range(1, 82) if n not in GAPS),
    *(f"S{n}" for n in range(83, 125) if n not in GAPS),
    *(f"S{n}" for n in range(125, 145) if n not in GAPS),
    *(f"D-CP{n}" for n in range(1, 5)),
    *(f"D-HM{n}" for n in (1, 3, 5)),
    *(f"D-AU{n}" for n in range(1, 6)),
    *(f"D-CA{n}" for n in range(1, 6)),
    *(f"D-IN{n}" for n in range(1, 7)),
    *(f"D-PV{n}" for n in range(1, 7)),
    *(f"D-SB{n}" for n in range(1, 11)),
    *(f"D-WS{n}" for n in range(1, 6)),
    *(f"D-OR{n}" for n in range(1, 5)),
    *(f"D-HN{n}" for n in range(1, 9)),
    *(f"D-LH{n}" for n in range(1, 6)),
    *(f"D-RL{n}" for n in range(1, 7)),
    *(f"D-OB{n}" for n in range(1, 10)),
    *(f"D-DS{n}" for n in range(1, 6)),
    *(f"U-A{n}" for n in range(1, 9)),
    *(f"U-C{n}" for n in range(1, 6)),
    *(f"U-D{n}" for n in range(1, 4)),
    *(f"U-E{n}" for n in range(1, 6)),
    *(f"U-K{n}" for n in (1, 3, 5, 6, 7, 8, 9)),
    *(f"U-{letter}" for letter in "FGILMNOPRS"),
    "M1",
]


@cache
def names_of(path):
    tree = ast.parse((TESTS / path).read_text())
    kinds = ast.FunctionDef | ast.AsyncFunctionDef
    return {node.name for node in ast.walk(tree) if isinstance(node, kinds)}


def test_every_case_is_in_the_table():
    assert sorted(CASES) == sorted(NUMBERS)


@pytest.mark.parametrize("case", NUMBERS)
def test_the_tests_of_a_case_exist(case):
    assert CASES[case]["tests"]
    for named in CASES[case]["tests"]:
        path, _, name = named.partition("::")
        assert names_of(path)
        assert not name or name in names_of(path), named
