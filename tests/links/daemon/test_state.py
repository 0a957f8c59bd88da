"""What a link says of itself, and who believes it."""

import json
import os
import stat

import pytest

from links.daemon import state
from links.daemon.state import StateFile

SERVER = "https://mesh.example"


@pytest.fixture
def file(tmp_path):
    return StateFile(tmp_path, server=SERVER, name="lap")


def path_of(home):
    (path,) = (home / "link" / "state").iterdir()
    return path


def test_what_was_told_is_read_again(file, tmp_path):
    file.set_phase("waiting", "The server is away.")

    (link,) = state.list_running(tmp_path)

    assert (link.server, link.name, link.pid) == (SERVER, "lap", os.getpid())
    assert (link.phase, link.detail) == ("waiting", "The server is away.")


def test_since_is_when_the_phase_began(file, tmp_path):
    file.set_phase("connected")
    began = state.list_running(tmp_path)[0].since
    file.set_harnesses({"codex": {"state": "absent"}})
    file.set_phase("connected")

    (link,) = state.list_running(tmp_path)

    assert (link.since, link.harnesses) == (began, {"codex": {"state": "absent"}})


def test_two_servers_have_two_files(file, tmp_path):
    file.set_phase("connected")
    StateFile(tmp_path, server="http://127.0.0.1:8321", name="lap").set_phase("connecting")

    assert {link.server for link in state.list_running(tmp_path)} == {
        SERVER,
        "http://127.0.0.1:8321",
    }


def test_only_its_owner_reads_it(file, tmp_path):
    file.set_phase("connected")

    assert stat.S_IMODE(path_of(tmp_path).stat().st_mode) == 0o600


def test_no_link_is_running_once_it_is_closed(file, tmp_path):
    file.set_phase("connected")
    file.close()

    assert state.list_running(tmp_path) == []


@pytest.mark.parametrize("ending", ["closed", "killed"])
def test_the_next_link_knows_what_the_one_before_has_found(file, tmp_path, ending):
    found = {"claude-code": {"state": "ready", "version": "2.1.332", "detail": "Ada"}}
    file.set_harnesses(found)
    if ending == "closed":
        file.close()

    following = StateFile(tmp_path, server=SERVER, name="lap")

    assert following.found_before == found
    assert StateFile(tmp_path, server="https://other.example", name="lap").found_before == {}


def test_the_file_of_a_newer_link_stays(file, tmp_path):
    file.set_phase("connected")
    path = path_of(tmp_path)
    path.write_text(json.dumps(json.loads(path.read_text()) | {"pid": os.getpid() + 1}))

    file.close()

    assert path.exists()


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"started": "long ago"}, id="the number belongs to another by now"),
        pytest.param({"pid": 2**22 + 1}, id="the process is gone"),
        pytest.param({"phase": "dancing"}, id="a phase we don't know"),
        pytest.param({"colour": "red"}, id="a field of another version"),
        pytest.param({"pid": "x"}, id="a pid that is no number"),
    ],
)
def test_what_is_not_so_counts_as_none(file, tmp_path, change):
    file.set_phase("connected")
    path = path_of(tmp_path)
    path.write_text(json.dumps(json.loads(path.read_text()) | change))

    assert state.list_running(tmp_path) == []


def test_a_torn_file_counts_as_none(file, tmp_path):
    file.set_phase("connected")
    path_of(tmp_path).write_text('{"server": ')

    assert state.list_running(tmp_path) == []


def test_a_state_that_cannot_be_written_stops_nothing(tmp_path):
    (tmp_path / "link").write_text("a file where a folder is due")

    StateFile(tmp_path, server=SERVER, name="lap").set_phase("connected")
