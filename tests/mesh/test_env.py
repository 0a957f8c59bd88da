"""The one reader of the environment is typed and loud."""

from dataclasses import fields
from pathlib import Path

import pytest

from mesh import env

ROOT = Path(__file__).resolve().parents[2]


def test_an_empty_environment_is_an_embedded_mesh():
    given = env.read({})

    assert (given.port, given.open_browser, given.database_url) == (8321, True, "")
    assert given.home == Path("~/.mesh")


@pytest.mark.parametrize(
    ("variable", "field", "value"),
    [
        pytest.param({"MESH_PORT": "9000"}, "port", 9000, id="number"),
        pytest.param({"MESH_OPEN_BROWSER": "0"}, "open_browser", False, id="switch off"),
        pytest.param({"MESH_DEBUG": "True"}, "debug", True, id="switch on, in words"),
        pytest.param({"MESH_DEBUG": ""}, "debug", False, id="empty means default"),
        pytest.param({"MESH_HOME": "/srv/mesh"}, "home", Path("/srv/mesh"), id="path"),
    ],
)
def test_reads(variable, field, value):
    assert getattr(env.read(variable), field) == value


@pytest.mark.parametrize(
    ("given", "said"),
    [
        pytest.param({"MESH_PORT": "http"}, "MESH_PORT", id="no number"),
        pytest.param({"MESH_PORT": "70000"}, "65535", id="no port"),
        pytest.param({"MESH_DEBUG": "maybe"}, "takes 1 or 0", id="no switch"),
        pytest.param({"REDIS_URL": "redis://r"}, "DATABASE_URL", id="half a cluster"),
        pytest.param({"MESH_SECRET_KEY_FILE": "/nowhere"}, "can't be read", id="no such file"),
        pytest.param({"STUDIO_SANDBOX_RUNNER": "host"}, "agent-sandbox", id="no such kind"),
    ],
)
def test_refuses_in_words(given, said):
    with pytest.raises(env.BadEnvironment, match=said):
        env.read(given)


def test_a_secret_may_come_from_a_file(tmp_path):
    (tmp_path / "key").write_text("s3cret\n")

    assert env.read({"MESH_SECRET_KEY_FILE": str(tmp_path / "key")}).secret_key == "s3cret"


def test_a_secret_does_not_come_twice(tmp_path):
    (tmp_path / "key").write_text("s3cret")
    with pytest.raises(env.BadEnvironment, match="not both"):
        env.read({"MESH_SECRET_KEY": "a", "MESH_SECRET_KEY_FILE": str(tmp_path / "key")})


@pytest.mark.parametrize("name", [one.metadata["name"] for one in fields(env.Env)])
def test_every_setting_stands_in_the_readme(name):
    assert f"`{name}`" in (ROOT / "README.md").read_text()
