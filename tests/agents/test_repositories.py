"""Which repositories an agent may have."""

from __future__ import annotations

import pytest

from agents.core.source import BadRepository
from agents.repositories import (
    RepositoryRefused,
    allowed_repository,
    check_clone_url,
    check_from_here,
)
from mesh.lib.addresses import parse_allowed

PRIVATE = [
    pytest.param("https://169.254.169.254/a/b", id="metadata"),
    pytest.param("https://10.0.0.1/a/b", id="private"),
    pytest.param("https://[::1]/a/b", id="this machine"),
    pytest.param("https://[::ffff:10.0.0.1]/a/b", id="mapped"),
    pytest.param("https://localhost/a/b", id="this machine by its name"),
    pytest.param("https://metadata.google.internal/a/b", id="metadata by its name"),
    pytest.param("ssh://git@192.168.0.1/a/b", id="private, by ssh"),
    pytest.param("git@intranet:a/b", id="a name of one network"),
    pytest.param("git@10.0.0.1:a/b", id="private, by ssh's short form"),
]


@pytest.mark.parametrize("address", PRIVATE)
def test_a_private_host_is_refused(settings, address):
    settings.MESH_PRIVATE_HOSTS = parse_allowed("")

    for check in (allowed_repository, check_clone_url):
        with pytest.raises(RepositoryRefused):
            check(address)


@pytest.mark.parametrize(
    ("allowed", "address"),
    [
        ("git.corp.internal", "https://git.corp.internal/a/b"),
        ("*.internal", "ssh://git@git.corp.internal/a/b"),
        ("intranet:22", "git@intranet:a/b"),
        ("10.0.0.0/8", "https://10.0.0.1/a/b"),
        ("", "https://github.com/a/b"),
    ],
)
def test_a_public_one_and_one_that_the_operator_named_are_taken(settings, allowed, address):
    settings.MESH_PRIVATE_HOSTS = parse_allowed(allowed)

    assert allowed_repository(address).url == address


@pytest.mark.parametrize(
    "address", ["http://github.com/a/b", "https://127.1/a/b", "git@-host:a/b", "https://-h/a/b"]
)
def test_an_address_of_another_form_is_none(address):
    with pytest.raises(BadRepository):
        allowed_repository(address)


async def test_a_name_that_leads_into_this_network_is_not_cloned_from_here(settings, monkeypatch):
    async def lead_inside(self, host, port, **options):
        return [(0, 0, 0, "", ("10.0.0.7", port))]

    monkeypatch.setattr("asyncio.base_events.BaseEventLoop.getaddrinfo", lead_inside)
    settings.MESH_PRIVATE_HOSTS = parse_allowed("")
    with pytest.raises(RepositoryRefused):
        await check_from_here("https://git.example/a/b")

    settings.MESH_PRIVATE_HOSTS = parse_allowed("git.example")
    await check_from_here("https://git.example/a/b")
