"""What tells a machine's files from a copy of them."""

from __future__ import annotations

import shutil
from types import SimpleNamespace

import pytest

from links.daemon import installation as module
from links.daemon.config import machine_id, separate
from links.daemon.installation import copy_name, installation


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


def test_a_copy_that_was_noticed_keeps_an_id_of_its_own(home, tmp_path):
    copied = shutil.copytree(home, tmp_path / "copy")

    own = separate(copied)

    assert machine_id(copied) == own != machine_id(home)
    assert [path.stat().st_mode & 0o777 for path in copied.glob("machine-ids/*")] == [0o600]


def test_a_copy_of_the_copy_is_not_taken_for_it(home, tmp_path):
    copied = shutil.copytree(home, tmp_path / "copy")
    separate(copied)
    again = shutil.copytree(copied, tmp_path / "again")

    assert machine_id(again) == machine_id(home)  # until it is noticed, too


@pytest.mark.parametrize("platform", ["linux", "darwin"])
def test_two_systems_that_share_a_home_have_one_id_each(home, tmp_path, monkeypatch, platform):
    monkeypatch.setattr(module.sys, "platform", platform)
    told = SimpleNamespace(stdout='  "IOPlatformUUID" = "first"')
    monkeypatch.setattr(module.subprocess, "run", lambda *args, **named: told)
    monkeypatch.setattr(module, "_SYSTEM", tmp_path / "system")
    (tmp_path / "system").write_text("first\n")
    first = machine_id(home)
    (tmp_path / "system").write_text("second\n")
    told.stdout = '  "IOPlatformUUID" = "second"'
    second = separate(home)

    assert machine_id(home) == second
    (tmp_path / "system").write_text("first\n")
    told.stdout = '  "IOPlatformUUID" = "first"'
    assert machine_id(home) == first


def test_a_system_without_an_id_has_a_copy_s_name_too(home, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "_SYSTEM", tmp_path / "nothing")
    monkeypatch.setattr(module.sys, "platform", "linux")

    assert len(copy_name(home)) == 32
