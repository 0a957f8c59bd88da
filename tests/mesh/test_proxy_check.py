"""An operator is told of a proxy that nobody named."""

import pytest

from mesh.lib.proxies import parse_proxies
from mesh.proxy_check import lacks_proxies, name_the_proxies


@pytest.mark.parametrize(
    ("url", "proxies", "lacks"),
    [
        pytest.param("https://mesh.example", "", True, id="public, none named"),
        pytest.param("https://mesh.example", "1", False, id="public, counted"),
        pytest.param("https://mesh.example", "10.0.0.1", False, id="public, named"),
        pytest.param("http://mesh.example", "", False, id="no TLS, so no proxy need be there"),
        pytest.param("https://localhost:8000", "", False, id="this machine"),
        pytest.param("", "", False, id="embedded"),
    ],
)
def test_a_public_server_names_its_proxies(url, proxies, lacks):
    assert lacks_proxies(mesh_url=url, proxies=parse_proxies(proxies)) is lacks


def test_the_check_says_what_to_set(settings):
    settings.MESH_URL, settings.MESH_PROXIES = "https://mesh.example", parse_proxies("")

    (warning,) = name_the_proxies(None)

    assert (warning.id, "MESH_PROXIES" in warning.hint) == ("mesh.W013", True)
