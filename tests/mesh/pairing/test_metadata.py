"""The well-known paths, exactly, and nothing beside them."""

import pytest
from django.test import override_settings
from django.urls import reverse

from mesh.lib import oauth


@pytest.mark.parametrize("name", ["openid-configuration", "oauth-authorization-server"])
def test_the_server_describes_itself(client, name):
    told = client.get(f"/.well-known/{name}").json()

    assert told["issuer"] == "http://testserver"
    assert told["token_endpoint"] == f"http://testserver/{oauth.TOKEN}"
    assert told["device_authorization_endpoint"] == f"http://testserver/{oauth.DEVICE_CODE}"
    assert told["revocation_endpoint"] == f"http://testserver/{oauth.REVOKE}"
    assert told["grant_types_supported"] == [oauth.DEVICE_GRANT, oauth.REFRESH_GRANT]
    assert "authorization_endpoint" not in told


def test_the_api_says_whose_tokens_it_takes(client):
    told = client.get("/.well-known/oauth-protected-resource").json()

    assert told["resource"] == "http://testserver"
    assert told["authorization_servers"] == ["http://testserver"]


@override_settings(MESH_URL="https://mesh.example")
def test_behind_a_proxy_the_public_address_counts(client):
    assert client.get("/.well-known/oauth-protected-resource").json()["resource"] == (
        "https://mesh.example"
    )


def test_every_advertised_address_exists(client, db):
    told = client.get("/.well-known/oauth-authorization-server").json()

    for name, url in told.items():
        if name.endswith("_endpoint"):
            assert client.post(url.removeprefix("http://testserver")).status_code != 404


def test_the_names_that_allauth_looks_for_are_ours():
    assert reverse("idp:oidc:device_authorization") == f"/{oauth.DEVICE_PAGE}"


@pytest.mark.parametrize(
    "path",
    [
        "/.well-known/",
        "/.well-known/jwks.json",
        "/.well-known/openid-configuration/",
        "/.well-known/openid-configuration/x",
        "/.well-known/openid-configurations",
        "/.well-known/oauth-authorization-server/home",
        "/.well-known/oauth-protected-resource/api",
        "/.well-known/oauth-client",
        "/home/.well-known/openid-configuration",
        "/identity/o/",
        "/identity/o/authorize",
        "/identity/o/logout",
        "/identity/o/device/",
        "/identity/o/device/code",
        "/identity/o/api/",
        "/identity/o/api/userinfo",
        "/identity/o/api/introspect",
        "/identity/o/api/clients",
        "/identity/o/api/token/",
    ],
)
def test_neighbours_are_not_there(client, db, path):
    assert client.get(path).status_code == 404
    assert client.post(path).status_code == 404


@pytest.mark.parametrize("name", ["openid-configuration", "oauth-protected-resource"])
def test_they_are_only_read(client, name):
    assert client.post(f"/.well-known/{name}").status_code == 405


def test_a_refusal_names_the_metadata(client, db):
    answer = client.get("/api/links", headers={"Authorization": "Bearer x"})

    assert answer.status_code == 401
    assert (
        'resource_metadata="http://testserver/.well-known/oauth-protected-resource"'
        in answer["WWW-Authenticate"]
    )
