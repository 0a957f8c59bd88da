"""What tells a machine's files from a copy of them."""

from __future__ import annotations

import shutil

import pytest

from links.daemon import installation as module
from links.daemon.config import machine_id
from links.daemon.installation import installation


@pytest.fixture
def home(tmp_path):
    machine_id(tmp_path / "home")
    return tmp_path / "home"


def test_it_stays_the_same(home):
    assert installation(home) == installation(home)
    assert len(installation(home)) == 32


def test_a_copy_in_another_folder_has_another(home, tmp_path):
    copied = shutil.copytree(home, tmp_path / "copy")

    assert machine_id(copied) == machine_id(home)
    assert installation(copied) != installation(home)


def test_so_has_a_clone_of_the_whole_disk_which_was_started_by_itself(home, tmp_path, monkeypatch):
    before = installation(home)
    (tmp_path / "boot_id").write_text("another start\n")
    monkeypatch.setattr(module, "_BOOT", tmp_path / "boot_id")
    monkeypatch.setattr(module.sys, "platform", "linux")

    assert installation(home) != before


def test_a_system_that_names_no_start_has_one_too(home, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "_BOOT", tmp_path / "nothing")
    monkeypatch.setattr(module.sys, "platform", "linux")

    assert len(installation(home)) == 32
