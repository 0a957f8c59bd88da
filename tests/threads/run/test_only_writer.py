"""``threads/run/transitions.py`` is the only module that writes the state of a run."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
WRITER = ROOT / "threads/run/transitions.py"
PURE = ROOT / "threads/core"  # knows no rows: its parts and pages have states of their own
MAKES = {"create", "bulk_create", "get_or_create", "update_or_create", "acreate"}
CHANGES = {"update", "aupdate", "bulk_update", *MAKES}
SQL = re.compile(r"\b(update\s+|insert\s+into\s+)\"?threads_run\b", re.IGNORECASE)


def modules():
    for app in ("mesh", "links", "agents", "sandboxes", "threads"):
        for path in sorted((ROOT / app).rglob("*.py")):
            if path != WRITER and PURE not in path.parents and "migrations" not in path.parts:
                yield path


def strings(node):
    return {each.value for each in ast.walk(node) if isinstance(each, ast.Constant)}


def is_of_runs(node):
    """Say whether an expression names the model, as ``Run.objects.filter(…)`` does."""
    return any(isinstance(each, ast.Name) and each.id == "Run" for each in ast.walk(node))


def writes_in_call(call):
    name = call.func.attr if isinstance(call.func, ast.Attribute) else ""
    named = {word.arg: word.value for word in call.keywords}
    if isinstance(call.func, ast.Name) and call.func.id == "Run":
        return True
    if name in MAKES and is_of_runs(call.func):
        return True
    if name in CHANGES and ("state" in named or "state" in strings_of_defaults(named)):
        return True
    if name in ("save", "asave", "bulk_update"):
        return any("state" in strings(value) for value in [*call.args, *named.values()])
    is_setattr = isinstance(call.func, ast.Name) and call.func.id == "setattr"
    return is_setattr and "state" in strings(call)


def strings_of_defaults(named):
    return {
        each
        for name in ("defaults", "create_defaults", None)
        if name in named
        for each in strings(named[name])
    }


def writes(source):
    """Return the lines of ``source`` that write, or may write, the state of a run."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Assign | ast.AugAssign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            found += [
                node.lineno
                for target in targets
                for each in ast.walk(target)
                if isinstance(each, ast.Attribute)
                and each.attr == "state"
                and isinstance(each.ctx, ast.Store)
            ]
        elif isinstance(node, ast.Call) and writes_in_call(node):
            found.append(node.lineno)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            found += [node.lineno] * bool(SQL.search(node.value))
    return found


def test_nobody_else_writes_the_state_of_a_run():
    found = {str(path.relative_to(ROOT)): writes(path.read_text()) for path in modules()}

    assert {path: lines for path, lines in found.items() if lines and knows_runs(path)} == {}


def knows_runs(path):
    return path.startswith("threads/") or "threads.models" in (ROOT / path).read_text()


def test_the_writer_is_found_to_write():
    assert len(writes(WRITER.read_text())) >= 5


@pytest.mark.parametrize(
    "line",
    [
        pytest.param("run.state = 'failed'", id="an attribute"),
        pytest.param("run.state, run.answer = 'failed', None", id="one of two attributes"),
        pytest.param("Run.objects.filter(pk=1).update(state='failed')", id="an update"),
        pytest.param("found.update(progress_at=now, state='failed')", id="of a named queryset"),
        pytest.param("run.save(update_fields=['state'])", id="saving the field"),
        pytest.param("Run.objects.bulk_update(runs, ['state'])", id="saving many"),
        pytest.param("Run.objects.create(thread=thread)", id="a new one"),
        pytest.param("Run(thread=thread).save()", id="a new one by hand"),
        pytest.param("Run.objects.update_or_create(pk=1, defaults={'state': 'x'})", id="either"),
        pytest.param("setattr(run, 'state', 'failed')", id="by its name"),
        pytest.param("cursor.execute('UPDATE threads_run SET state = %s')", id="SQL"),
        pytest.param("_SQL = f'UPDATE threads_run SET {columns}'", id="SQL that is put together"),
    ],
)
def test_each_way_to_write_it_is_found(line):
    assert writes(line) == [1]


@pytest.mark.parametrize(
    "line",
    [
        pytest.param("Run.objects.filter(state='failed').update(node='')", id="a condition"),
        pytest.param("run.save(update_fields=['node'])", id="another field"),
        pytest.param("if run.state == 'failed': pass", id="a comparison"),
    ],
)
def test_what_reads_it_is_let_be(line):
    assert writes(line) == []
