"""Two real server processes over PostgreSQL and Redis; the laptop's socket is at the first."""

import json
import subprocess
import sys

import httpx
import pytest

from tests.links.conftest import DAEMON, ECHO
from tests.servers import cluster
from tests.waiting import PATIENCE, until

pytestmark = pytest.mark.programs


@pytest.fixture(scope="module")
def two(tmp_path_factory):
    """A cluster of two processes, and a token."""
    with cluster(tmp_path_factory.mktemp("cluster")) as made:
        yield made, made.serve("first"), made.serve("second"), made.token()


@pytest.fixture
def laptop(two, tmp_path):
    """A laptop at the first process; its process, to be stopped and continued."""
    made, first, _, _ = two
    (tmp_path / "token").write_text(made.manage("mesh_token", "ada", "--machine", "laptop"))
    given = {
        "server": first,
        "home": str(tmp_path),
        "token_file": str(tmp_path / "token"),
        "command": ECHO,
    }
    process = subprocess.Popen(
        [sys.executable, "-c", DAEMON, json.dumps(given)], stderr=subprocess.DEVNULL
    )
    yield process
    process.kill()
    process.wait()


def ask(method, url, token, path):
    headers = {"Authorization": f"Bearer {token}"}
    return httpx.request(
        method, f"{url}/api/links{path}", headers=headers, trust_env=False, timeout=PATIENCE
    )


def machine(url, token):
    machines = ask("GET", url, token, "").json()["links"]
    return next((one for one in machines if one["state"] == "online"), None)


def test_the_process_that_does_not_hold_the_socket_reaches_the_laptop(two, laptop):
    _, _, second, token = two
    one = until(lambda: machine(second, token), what="online")

    probed = ask("POST", second, token, f"/{one['id']}/probe").json()

    assert probed["state"] == "online"
    assert probed["roundTripMs"] > 0


def test_a_revoked_machine_is_dropped_whichever_process_revokes_it(two, laptop):
    _, first, second, token = two
    one = until(lambda: machine(second, token), what="online")

    assert ask("DELETE", second, token, f"/{one['id']}").status_code == 204

    def reached():
        return ask("POST", first, token, f"/{one['id']}/probe").json()["roundTripMs"]

    until(lambda: reached() is None, what="the socket to be dropped")


def test_a_process_that_starts_clears_what_its_former_self_held(two, laptop):
    made, _, second, token = two
    one = until(lambda: machine(second, token), what="online")
    made.kill("first")
    assert machine(second, token) is not None  # nobody has noticed yet

    made.serve("first")  # at another port, where the laptop does not find it

    found = [m for m in ask("GET", second, token, "").json()["links"] if m["id"] == one["id"]]
    assert [(m["state"], m["cause"]) for m in found] == [("offline", "server_restarted")]
