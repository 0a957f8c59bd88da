"""The origins of previews."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mesh.lib.origins import entry_pattern, origin_pattern, own_origins, preview_sources
from sandboxes.core.preview import handle_of_host, is_entry, origin_of, port_of

PUBLIC = "https://mesh.example"
H = "main-0123456789abcdef"


@pytest.mark.parametrize(
    ("mesh_url", "port", "pattern"),
    [
        (PUBLIC, "", "https://{handle}.preview.mesh.example"),
        ("https://mesh.example:8443", "", "https://{handle}.preview.mesh.example:8443"),
        ("", "8321", "http://{handle}.localhost:8321"),
        ("http://localhost:8321", "", "http://{handle}.localhost:8321"),
        ("http://127.0.0.1:9000", "9001", "http://{handle}.localhost:9001"),
    ],
)
def test_where_a_preview_is(mesh_url, port, pattern):
    assert origin_pattern(mesh_url=mesh_url, port=port) == pattern


@pytest.mark.parametrize(
    ("mesh_url", "port", "pattern"),
    [
        (PUBLIC, "", "https://enter.preview.mesh.example"),
        ("https://mesh.example:443", "", "https://enter.preview.mesh.example"),
        ("https://mesh.example:8443", "", "https://enter.preview.mesh.example:8443"),
        ("", "8321", "http://enter.{handle}.localhost:8321"),
    ],
)
def test_where_a_preview_is_entered(mesh_url, port, pattern):
    assert entry_pattern(mesh_url=mesh_url, port=port) == pattern


@pytest.mark.parametrize(
    ("host", "mesh_url", "is_so"),
    [
        pytest.param("enter.preview.mesh.example", PUBLIC, True, id="public"),
        pytest.param("Enter.Preview.mesh.example:443", PUBLIC, True, id="case and port"),
        pytest.param(f"enter.{H}.localhost:8321", "", True, id="embedded"),
        pytest.param("enter.other-0123456789abcdef.localhost", "", False, id="of another one"),
        pytest.param("enter.localhost", "", False, id="of none"),
        pytest.param(f"{H}.preview.mesh.example", PUBLIC, False, id="the preview itself"),
        pytest.param(f"enter.{H}.preview.mesh.example", PUBLIC, False, id="below it"),
        pytest.param(f"enter.{H}.localhost", PUBLIC, False, id="a local name in public"),
        pytest.param("", "", False, id="none"),
    ],
)
def test_which_host_is_the_entry(host, mesh_url, is_so):
    assert is_entry(host, handle=H, mesh_url=mesh_url) is is_so


@pytest.mark.parametrize(
    ("mesh_url", "name", "kind"),
    [
        (PUBLIC, "__Host-mesh_preview", "SameSite=Lax; Secure"),
        ("http://mesh.example", "mesh_preview", "SameSite=Lax"),
        ("", "mesh_preview", "SameSite=None; Secure; Partitioned"),
    ],
)
def test_the_cookie_of_a_preview(mesh_url, name, kind):
    origin = origin_of(H, mesh_url=mesh_url, host=f"{H}.localhost:8321")

    told = origin.set_cookie("v", lives=60)

    assert told == f"{name}=v; Path=/; HttpOnly; Max-Age=60; {kind}"
    assert origin.cookie_name == name


@pytest.mark.parametrize(
    ("host", "mesh_url", "handle"),
    [
        pytest.param(f"{H}.preview.mesh.example", PUBLIC, H, id="public"),
        pytest.param(f"{H.upper()}.Preview.mesh.example:443", PUBLIC, H, id="case and port"),
        pytest.param(f"{H}.localhost:8321", "", H, id="embedded"),
        pytest.param("mesh.example", PUBLIC, None, id="Mesh itself"),
        pytest.param("localhost:8321", "", None, id="Mesh embedded"),
        pytest.param("127.0.0.1:8321", "", None, id="an address"),
        pytest.param("[::1]:8321", "", None, id="a v6 address"),
        pytest.param(f"{H}.localhost", PUBLIC, None, id="local names mean nothing in public"),
        pytest.param("a.b.preview.mesh.example", PUBLIC, "", id="two labels"),
        pytest.param("-x.localhost", "", "", id="no handle"),
        pytest.param("enter.preview.mesh.example", PUBLIC, "", id="the entry"),
        pytest.param(f"enter.{H}.localhost", "", "", id="the entry, embedded"),
        pytest.param(f"{H}.preview.mesh.example.evil.example", PUBLIC, None, id="suffix"),
        pytest.param("", "", None, id="none"),
    ],
)
def test_whose_preview_a_host_is(host, mesh_url, handle):
    assert handle_of_host(host, mesh_url=mesh_url) == handle


@pytest.mark.parametrize(
    ("mesh_url", "own", "framed"),
    [
        (PUBLIC, "https://mesh.example", "https://*.preview.mesh.example"),
        ("", "http://localhost:* http://127.0.0.1:*", "http://*.localhost:*"),
        (
            "http://127.0.0.1:8321",
            "http://localhost:* http://127.0.0.1:*",
            "http://*.localhost:*",
        ),
    ],
)
def test_who_may_frame_and_what_may_be_framed(mesh_url, own, framed):
    assert own_origins(mesh_url=mesh_url) == own
    assert preview_sources(mesh_url=mesh_url) == framed


@given(host=st.text(max_size=80))
def test_any_host_is_read(host):
    handle_of_host(host, mesh_url=PUBLIC)
    assert port_of(host).isdigit() or port_of(host) == ""
