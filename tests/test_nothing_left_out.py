"""A test that is left out has failed in CI; shown by a pytest of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.nothing_left_out import NOT_TO_BE_HAD

pytestmark = pytest.mark.programs

HERE = Path(__file__).resolve().parent.parent
WAYS = {
    "in a test": "def test_it(): pytest.skip('no engine')",
    "by a mark": "@pytest.mark.skip(reason='no engine')\ndef test_it(): pass",
    "in a fixture": "@pytest.fixture\ndef f(): pytest.skip('no engine')\ndef test_it(f): pass",
    "as a module": "pytest.skip('no engine', allow_module_level=True)",
}


def run(folder, source, *, ci):
    (folder / "test_it.py").write_text(f"import pytest\n{source}\n")
    options = ["-q", "-c", os.devnull, f"--rootdir={folder}", "-p", "no:cacheprovider"]
    own = {"CI": ci, "PYTHONPATH": str(HERE), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    return subprocess.run(
        [sys.executable, "-m", "pytest", *options, "-p", "tests.nothing_left_out", str(folder)],
        env={**os.environ, **own},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("way", WAYS)
def test_in_ci_what_is_left_out_has_failed(tmp_path, way):
    done = run(tmp_path, WAYS[way], ci="true")

    assert done.returncode in (1, 2), done.stdout
    assert "Left out, which CI does not allow: no engine" in done.stdout


def test_on_a_person_s_machine_it_is_left_out(tmp_path):
    assert run(tmp_path, WAYS["in a test"], ci="").returncode == 0


def test_what_no_set_up_can_give_is_shown(tmp_path):
    done = run(tmp_path, f"def test_it(): pytest.skip({NOT_TO_BE_HAD[0]!r})", ci="true")

    assert done.returncode == 0
    assert f"test_it.py:2: {NOT_TO_BE_HAD[0]}" in done.stdout


def test_what_is_expected_to_fail_may(tmp_path):
    done = run(tmp_path, "@pytest.mark.xfail\ndef test_it(): assert False", ci="true")

    assert done.returncode == 0
