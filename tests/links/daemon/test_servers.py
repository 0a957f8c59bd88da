"""Which server is meant, and what counts as an address."""

import pytest

from links.daemon.servers import checked_server, only_server
from links.daemon.state import StateFile


@pytest.mark.parametrize(
    ("given", "server"),
    [
        ("https://mesh.example/", "https://mesh.example"),
        ("http://127.0.0.1:8321", "http://127.0.0.1:8321"),
        ("https://example.org/mesh/", "https://example.org/mesh"),
    ],
)
def test_an_address_loses_its_last_slash(given, server):
    assert checked_server(given) == server


@pytest.mark.parametrize(
    "given",
    [
        pytest.param("mesh.example", id="no scheme"),
        pytest.param("ftp://mesh.example", id="another scheme"),
        pytest.param("https://", id="no host"),
        pytest.param("https://mesh.example:port", id="a port in letters"),
        pytest.param("https://ada:secret@mesh.example", id="a password in it"),
        pytest.param("https://mesh.example/?token=x", id="a query"),
    ],
)
def test_what_is_no_address(given):
    with pytest.raises(ValueError, match="not an address"):
        checked_server(given)


def test_the_environment_names_it(tmp_path, monkeypatch):
    monkeypatch.setenv("MESH_CLUSTER_URL", "https://mesh.example")

    assert only_server(tmp_path) == "https://mesh.example"


def test_the_only_one_that_is_linked_is_meant(tmp_path):
    StateFile(tmp_path, server="https://mesh.example", name="lap").set_phase("connected")

    assert only_server(tmp_path) == "https://mesh.example"


def test_of_several_one_must_be_named(tmp_path):
    for server in ("https://a.example", "https://b.example"):
        StateFile(tmp_path, server=server, name="lap").set_phase("connected")

    with pytest.raises(ValueError, match=r"https://a\.example, https://b\.example"):
        only_server(tmp_path)


def test_where_there_is_none_it_must_be_named(tmp_path):
    with pytest.raises(ValueError, match="Name the server"):
        only_server(tmp_path)
