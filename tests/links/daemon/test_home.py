"""Which variable names the state's folder."""

from pathlib import Path

import pytest

from links.daemon.home import home_of
from mesh import env


@pytest.mark.parametrize(
    ("given", "home"),
    [
        pytest.param({}, "~/.mesh", id="none"),
        pytest.param({"MESH_HOME": "/a", "DATA_DIR": "/b"}, "/a", id="ours before theirs"),
        pytest.param({"DATA_DIR": "/b", "DECOCMS_HOME": "/c"}, "/b", id="the newer of theirs"),
        pytest.param({"DECOCMS_HOME": "~/c"}, "~/c", id="the older of theirs"),
    ],
)
def test_home(given, home):
    assert home_of(env.read(given)) == Path(home).expanduser()
