"""The set-up of a fresh machine: what it says where it can't, and that it does nothing twice."""

import os
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest

from mesh import bootstrap

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def became(monkeypatch):
    """What this process would have become."""
    seen = []
    monkeypatch.setattr(os, "execv", lambda program, argv: seen.append(argv))
    monkeypatch.setattr(os, "chdir", lambda folder: None)
    return seen


def test_it_starts_without_anything_installed_and_without_our_modules_in_the_way():
    """Run by the bare interpreter, isolated from what is installed here."""
    code = "import sys; sys.argv = ['x', 'run']; from mesh import bootstrap; print(bootstrap.ROOT)"
    answer = subprocess.run(
        [sys.executable, "-S", "-c", code], cwd=ROOT, capture_output=True, text=True
    )

    assert answer.stdout.strip() == str(ROOT), answer.stderr


def test_the_makefile_starts_it_as_a_module():
    assert "-m mesh.bootstrap" in (ROOT / "Makefile").read_text()


def test_an_outdated_python_is_refused_in_words(monkeypatch, capsys):
    monkeypatch.setattr(sys, "version_info", (3, 9, 2))
    monkeypatch.setattr(bootstrap.shutil, "which", lambda name: None)

    assert bootstrap.main() == 1
    assert "Mesh needs Python 3.11 or newer; this is 3.9." in capsys.readouterr().err


def test_a_newer_python_beside_it_is_used(monkeypatch, became):
    monkeypatch.setattr(sys, "version_info", (3, 9, 2))
    monkeypatch.setattr(sys, "argv", ["bootstrap", "run"])
    monkeypatch.setattr(
        bootstrap.shutil, "which", lambda name: f"/usr/bin/{name}" if "3.12" in name else None
    )

    bootstrap.main()

    assert became == [["/usr/bin/python3.12", "-m", "mesh.bootstrap", "run"]]


def test_what_is_set_up_already_is_left_alone(monkeypatch, tmp_path):
    monkeypatch.setattr(bootstrap, "VENV", str(tmp_path))
    monkeypatch.setattr(bootstrap, "PYTHON", sys.executable)
    monkeypatch.setattr(bootstrap, "broken", lambda python: False)
    installed = []
    monkeypatch.setattr(bootstrap, "install", installed.append)

    bootstrap.set_up(development=False)
    bootstrap.set_up(development=False)

    assert installed == [["requirements.txt"]]


def test_new_requirements_are_installed(monkeypatch, tmp_path):
    monkeypatch.setattr(bootstrap, "VENV", str(tmp_path))
    monkeypatch.setattr(bootstrap, "PYTHON", sys.executable)
    monkeypatch.setattr(bootstrap, "broken", lambda python: False)
    installed = []
    monkeypatch.setattr(bootstrap, "install", installed.append)
    bootstrap.set_up(development=True)
    monkeypatch.setattr(bootstrap, "digest", lambda path: "changed")

    bootstrap.set_up(development=True)

    assert len(installed) == 2


@pytest.mark.parametrize(
    ("step", "said"),
    [
        pytest.param(bootstrap.make_venv, "apt install python3-venv", id="no venv"),
        pytest.param(
            partial(bootstrap.install, ["requirements.txt"]), "Check the network", id="no packages"
        ),
    ],
)
def test_a_failure_says_what_to_do(monkeypatch, step, said):
    def fail(*argv):
        return subprocess.CompletedProcess(argv, 1, stdout="", stderr="It went wrong.")

    monkeypatch.setattr(bootstrap, "quietly", fail)

    with pytest.raises(bootstrap.SetUpFailed, match=said):
        step()
