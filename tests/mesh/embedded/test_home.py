"""What ``make run`` finds and leaves under MESH_HOME."""

import json
import os
import subprocess
import sys
from dataclasses import replace

import pytest

from agents.models import Agent
from links.daemon.session import read_session
from mesh import processes, services
from mesh.embedded import companions, home
from mesh.models import User
from mesh.tokens import find_sign_in
from tests.tokens import find_user_by_token


@pytest.fixture
def mesh_home(settings, tmp_path):
    settings.MESH_HOME = tmp_path / "home"
    return settings.MESH_HOME


@pytest.fixture
def sleeper():
    """A process that only waits; its pid and start time."""
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    yield process.pid, processes.started_at(process.pid)
    process.kill()
    process.communicate()


def test_the_first_has_the_lock_and_the_second_is_told_where(mesh_home):
    first = home.lock()
    first.write({"pid": 1, "port": 8321})

    with pytest.raises(home.AlreadyRunning, match=r"http://127\.0\.0\.1:8321/"):
        home.lock()
    os.close(first.file)


def test_a_link_that_a_killed_server_left_is_ended(mesh_home, sleeper):
    pid, started = sleeper
    mesh_home.mkdir()
    (mesh_home / "run.json").write_text(
        json.dumps({"port": 1, "link": {"pid": pid, "started": started}})
    )

    os.close(home.lock().file)

    assert not processes.is_same(pid, started)


@pytest.mark.parametrize(
    "left",
    [
        pytest.param("", id="empty"),
        pytest.param("{", id="cut off"),
        pytest.param("[]", id="no object"),
        pytest.param('{"link": {"pid": "1"}}', id="pid is text"),
        pytest.param('{"link": {"pid": 1, "started": "before"}}', id="another has the number"),
    ],
)
def test_what_a_power_cut_left_does_no_harm(mesh_home, left):
    mesh_home.mkdir()
    (mesh_home / "run.json").write_text(left)

    os.close(home.lock().file)


def test_preparing_twice_makes_one_owner_and_one_agent(mesh_home, db, settings):
    settings.STATIC_ROOT = mesh_home / "static"

    assert home.prepare() == home.prepare() == User.objects.get()
    assert Agent.objects.get().slug == "default"


def test_the_links_token_is_kept_while_it_works(mesh_home, ada):
    path = home.link_token(ada)
    first = path.read_text()

    assert home.link_token(ada).read_text() == first
    assert path.stat().st_mode & 0o777 == 0o600
    assert find_user_by_token(first.strip()) == ada


def test_an_invalid_token_is_replaced(mesh_home, ada):
    home.link_token(ada).write_text("revoked")

    assert find_user_by_token(home.link_token(ada).read_text().strip()) == ada


def test_the_links_token_is_this_machine_s_and_no_more(mesh_home, ada):
    found = find_sign_in(home.link_token(ada).read_text().strip())

    assert found.is_machine
    assert found.machine_id == (mesh_home / "machine-id").read_text().strip()


def test_a_person_s_token_of_an_older_install_is_replaced_and_revoked(mesh_home, ada):
    old = services.make_token(user=ada, name="link of this machine")
    path = mesh_home / "link" / "token"
    path.parent.mkdir(parents=True)
    path.write_text(old)

    new = home.link_token(ada).read_text().strip()

    assert find_sign_in(old) is None
    assert find_sign_in(new).is_machine


def test_a_lost_copy_of_an_older_token_is_revoked_too(mesh_home, ada):
    old = services.make_token(user=ada, name="link of this machine")
    home.link_token(ada)

    assert find_sign_in(old) is None


def test_other_tokens_of_the_owner_stay(mesh_home, ada):
    kept = services.make_token(user=ada, name="mesh_token")
    home.link_token(ada)

    assert find_sign_in(kept)


def test_a_token_of_a_machine_whose_id_was_lost_is_replaced(mesh_home, ada):
    old = home.link_token(ada).read_text().strip()
    (mesh_home / "machine-id").unlink()

    assert home.link_token(ada).read_text().strip() != old
    assert find_sign_in(old) is None


def test_sandboxes_are_ended_and_others_left_alone(mesh_home, sleeper):
    pid, started = sleeper
    for handle, facts in {
        "mine": {"pid": pid, "started": started},
        "gone": {"pid": pid, "started": "earlier"},
        "half": {"pid": pid},
    }.items():
        (mesh_home / "sandboxes" / handle).mkdir(parents=True)
        (mesh_home / "sandboxes" / handle / "pid").write_text(json.dumps(facts))

    assert companions.end_sandboxes(mesh_home) == 1
    assert not processes.is_same(pid, started)


def test_the_default_agent_works_in_the_chosen_folder(mesh_home, db, settings, tmp_path):
    settings.STATIC_ROOT = mesh_home / "static"

    home.prepare(folder=str(tmp_path))
    assert Agent.objects.get().metadata == {"folder": str(tmp_path)}

    home.prepare()
    assert Agent.objects.get().metadata == {}


@pytest.mark.parametrize(
    "given", [pytest.param("nowhere/at/all", id="missing"), pytest.param("file", id="no folder")]
)
def test_a_folder_that_is_none_is_refused(settings, tmp_path, monkeypatch, given):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").touch()
    settings.ENV = replace(settings.ENV, folder=given)

    with pytest.raises(home.NoSuchFolder, match="is not a folder"):
        home.chosen_folder()


def test_a_folder_is_named_by_its_real_path(settings, tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    settings.ENV = replace(settings.ENV, folder=str(tmp_path / "link"))

    assert home.chosen_folder() == str(tmp_path / "real")


@pytest.mark.django_db
def test_the_session_of_a_development_link(mesh_home):
    owner = services.make_home(username="ada")

    path = home.mint_session(owner, address="http://127.0.0.1:8321")

    found = read_session(mesh_home)
    assert (found.target, found.path) == ("http://127.0.0.1:8321", path)
    assert path.stat().st_mode & 0o777 == 0o600
    assert find_user_by_token(json.loads(path.read_text())["accessToken"]) == owner
