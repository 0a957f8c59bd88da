"""Which addresses of submodules are fetched; .gitmodules may be anybody's."""

from __future__ import annotations

import pytest

from mesh.lib.submodules import Submodule
from sandboxes.daemon.checkout.submodule_sources import Parent, address_of
from sandboxes.daemon.git import GitFailed

SERVER = "https://git.example/a/app.git"
INSIDE = "https://192.168.1.1/a/app.git"


def address(url, parent=SERVER, *, is_persons=False):
    return address_of(Submodule("lib", "lib", url), Parent(parent, is_persons))


@pytest.mark.parametrize("is_persons", [True, False])
@pytest.mark.parametrize(
    "url",
    [
        pytest.param("ext::touch x", id="a remote helper"),
        pytest.param("file:///srv/lib", id="a file address"),
        pytest.param("/srv/lib", id="a folder"),
        pytest.param("http://git.example/lib", id="without encryption"),
        pytest.param("git://git.example/lib", id="git's own protocol"),
        pytest.param("https://127.0.0.1/lib", id="this machine"),
        pytest.param("https://2130706433/lib", id="this machine as a number"),
        pytest.param("https://169.254.169.254/lib", id="a cloud's metadata"),
        pytest.param("https://192.168.1.1/lib", id="a private network"),
        pytest.param("git@10.0.0.1:lib", id="a private network by ssh"),
        pytest.param("https://intranet/lib", id="a name of this network"),
        pytest.param("../../../../lib", id="beyond the server's top"),
    ],
)
def test_addresses_that_are_never_fetched(url, is_persons):
    with pytest.raises(GitFailed):
        address(url, is_persons=is_persons)


@pytest.mark.parametrize("is_persons", [True, False])
@pytest.mark.parametrize(
    ("parent", "url", "fetched"),
    [
        pytest.param(SERVER, "../lib.git", "https://git.example/a/lib.git", id="beside it"),
        pytest.param(SERVER, "https://8.8.8.8/lib", "https://8.8.8.8/lib", id="a public server"),
        pytest.param(SERVER, "git@host.example:lib.git", "git@host.example:lib.git", id="by ssh"),
        pytest.param(INSIDE, "../lib.git", "https://192.168.1.1/a/lib.git", id="its own network"),
    ],
)
def test_addresses_that_are_fetched(parent, url, fetched, is_persons):
    found = address(url, parent, is_persons=is_persons)

    assert found.url == fetched
    assert found.protocols == ("https", "ssh")
    assert "http.followRedirects=false" in found.limits


@pytest.mark.parametrize(
    ("parent", "url"),
    [
        pytest.param(INSIDE, "https://192.168.1.2/lib", id="another server of the network"),
        pytest.param(INSIDE, "https://192.168.1.1:8443/lib", id="another port"),
        pytest.param(INSIDE, "ssh://git@192.168.1.1/lib", id="another protocol"),
    ],
)
def test_a_private_server_leads_to_no_other(parent, url):
    with pytest.raises(GitFailed):
        address(url, parent)


@pytest.mark.parametrize(
    ("parent", "protocol"),
    [
        pytest.param("/srv/git/app", "file", id="a folder"),
        pytest.param("file:///srv/git/app", "file", id="a file address"),
        pytest.param("http://127.0.0.1:3000/a/app", "http", id="a server on this machine"),
    ],
)
def test_beside_a_person_s_own_repository_its_own_protocol_is_used(parent, protocol):
    assert protocol in address("../lib", parent, is_persons=True).protocols
    with pytest.raises(GitFailed):
        address("../lib", parent, is_persons=False)


@pytest.mark.parametrize("url", ["/srv/git/other", "../../other", "file:///srv/git/other"])
def test_a_folder_of_the_repository_s_choice_is_not_fetched(url):
    with pytest.raises(GitFailed):
        address(url, "/srv/git/app", is_persons=True)
