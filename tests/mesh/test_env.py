"""The one reader of the environment is typed and loud."""

import os
import subprocess
import sys
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


NUMBERS = [one for one in fields(env.Env) if type(one.default) is int]


@pytest.mark.parametrize("one", [pytest.param(one, id=one.name) for one in NUMBERS])
def test_every_number_has_a_range_of_its_own(one):
    name, (least, most) = one.metadata["name"], one.metadata["between"]

    for good in (least, one.default, most):
        assert getattr(env.read({name: str(good)}), one.name) == good
    for bad in (str(least - 1), str(most + 1), "1.5", "1e3", "many", "9" * 5_000):
        with pytest.raises(env.BadEnvironment, match=f"{name} is .* from {least} to {most}"):
            env.read({name: bad})
    assert getattr(env.read({name: ""}), one.name) == one.default


def test_a_token_may_live_for_a_day():
    assert env.read({"MESH_TOKEN_SECONDS": "86400"}).token_seconds == 86_400


CLUSTER = {
    "DATABASE_URL": "postgres://mesh@db/mesh",
    "REDIS_URL": "redis://redis:6379/0",
    "MESH_SECRET_KEY": "s",
    "MESH_ENCRYPTION_KEYS": "k",
    "MESH_URL": "https://mesh.example",
    "MESH_INTERNAL_ADDRESS": "a:8010",
}


def without(name, **others):
    return {key: value for key, value in {**CLUSTER, **others}.items() if key != name}


@pytest.mark.parametrize(
    "given",
    [
        pytest.param({}, id="embedded"),
        pytest.param(CLUSTER, id="a cluster"),
        pytest.param(without("REDIS_URL", MESH_INTERNAL_ADDRESS=""), id="one server, PostgreSQL"),
    ],
)
def test_what_is_whole_is_taken(given):
    env.refuse_halves(env.read(given))


@pytest.mark.parametrize(
    ("given", "said"),
    [
        pytest.param(without("MESH_SECRET_KEY"), "needs MESH_SECRET_KEY\\.", id="no secret"),
        pytest.param(without("MESH_ENCRYPTION_KEYS"), "needs MESH_ENCRYPTION_KEYS", id="no keys"),
        pytest.param(without("MESH_URL"), "needs MESH_URL", id="no address"),
        pytest.param(without("REDIS_URL"), "REDIS_URL is not", id="several, but no doorbells"),
        pytest.param(without("DATABASE_URL"), "DATABASE_URL is not", id="several, but no store"),
        pytest.param(
            {**CLUSTER, "DATABASE_URL": "mysql://x"}, "takes postgres", id="no PostgreSQL"
        ),
        pytest.param({**CLUSTER, "REDIS_URL": "localhost"}, "takes redis", id="no Redis"),
    ],
)
def test_half_a_configuration_is_refused_by_name(given, said):
    with pytest.raises(env.BadEnvironment, match=said):
        env.refuse_halves(env.read(given))


@pytest.mark.programs
@pytest.mark.parametrize("command", [["manage.py", "check"], ["-m", "celery", "-A", "mesh.celery"]])
def test_every_command_says_it_and_ends(command, tmp_path):
    words = [sys.executable, *command, *(["worker"] if "celery" in command else [])]
    given = without("MESH_URL", MESH_HOME=str(tmp_path), PATH=os.environ["PATH"])
    ended = subprocess.run(words, cwd=ROOT, env=given, capture_output=True, text=True)

    assert ended.returncode != 0
    assert "With DATABASE_URL set, Mesh also needs MESH_URL." in ended.stdout + ended.stderr


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
