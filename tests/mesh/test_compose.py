"""The compose file and the Dockerfile, as far as they can be read without an engine."""

import json
import re
from dataclasses import fields

import pytest
import yaml

from mesh.develop import ROOT
from mesh.env import Env
from mesh.management.commands import mesh_serve

COMPOSE = yaml.safe_load((ROOT / "compose.yaml").read_text())
SERVICES = COMPOSE["services"]
OURS = [name for name, service in SERVICES.items() if service["image"] == "mesh:local"]
DOCKERFILE = (ROOT / "Dockerfile").read_text()


@pytest.mark.parametrize("name", OURS)
def test_only_settings_that_exist_are_set(name):
    known = {one.metadata["name"] for one in fields(Env)}

    assert set(SERVICES[name]["environment"]) <= known


def test_no_secret_has_a_default():
    text = (ROOT / "compose.yaml").read_text()

    for secret in ["MESH_SECRET_KEY", "MESH_ENCRYPTION_KEYS", "POSTGRES_PASSWORD"]:
        assert set(re.findall(rf"\$\{{{secret}(..)", text)) == {":?"}


def test_the_servers_differ_in_name_and_address():
    servers = [SERVICES[name]["environment"] for name in OURS if "ports" in SERVICES[name]]

    assert len({one["MESH_NODE"] for one in servers}) == len(servers) == 2
    assert len({one["MESH_INTERNAL_ADDRESS"] for one in servers}) == 2


def test_no_port_is_open_to_the_network():
    ports = [port for service in SERVICES.values() for port in service.get("ports", [])]

    assert all(port.startswith("127.0.0.1:") for port in ports)


def test_everything_that_stays_has_a_health_check():
    built_in = {"server-a", "server-b"}  # the Dockerfile's

    checked = {
        name for name, service in SERVICES.items() if "test" in service.get("healthcheck", {})
    }
    assert checked | built_in == set(SERVICES) - {"migrate"}
    assert "HEALTHCHECK" in DOCKERFILE


def test_the_image_does_not_run_as_root():
    last_user = re.findall(r"^USER (.*)", DOCKERFILE, re.MULTILINE)[-1]

    assert int(last_user) > 0


def test_the_image_serves_with_our_own_limits():
    command = re.search(r"^CMD (\[.*?\])\s*\Z", DOCKERFILE, re.MULTILINE | re.DOTALL)[1]
    python, manage, name, *words = json.loads(command.replace("\\\n", ""))

    assert (python, manage, name) == ("python", "manage.py", "mesh_serve")
    assert mesh_serve.Command().create_parser(manage, name).parse_args(words).port == 8000


def test_the_proxy_on_the_host_is_counted():
    servers = [SERVICES[name]["environment"] for name in OURS if "ports" in SERVICES[name]]

    assert {one["MESH_PROXIES"] for one in servers} == {"${MESH_PROXIES:-1}"}
