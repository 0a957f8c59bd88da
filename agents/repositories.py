"""Decides which repositories an agent may use: those on public hosts, or on hosts allowed here."""

from __future__ import annotations

from django.conf import settings

from agents.core.source import BadRepository, Repository, read_repository
from mesh.egress import AddressRefused, Guard
from mesh.lib.addresses import first_refused, is_odd_number, parse_address
from mesh.lib.errors import AppError
from mesh.lib.repositories import CloneUrl, Unclonable, is_local_name, parse_clone_url


class RepositoryRefused(AppError):
    code = "repository_refused"
    text = "This repository is on a private host, which this server's operator has not allowed."
    hint = "Use a public address, or ask the operator to add the host to MESH_PRIVATE_HOSTS."


def allowed_repository(text: str) -> Repository:
    """Return the repository that a person means by ``text``.

    Raises:
        BadRepository: git could not clone it, or it contains a secret.
        RepositoryRefused: its host is private, and not allowed by the operator.
    """
    repository = read_repository(text)
    check_clone_url(repository.url)
    return repository


def check_clone_url(url: str) -> CloneUrl:
    """Check an agent's stored address, and return its parts.

    Raises:
        BadRepository, RepositoryRefused
    """
    try:
        parts = parse_clone_url(url)
    except Unclonable as exc:
        raise BadRepository(str(exc)) from exc
    if is_odd_number(parts.host):
        raise BadRepository("The host is a number in a form that not all programs read alike.")
    allowed = settings.MESH_PRIVATE_HOSTS
    address = parse_address(parts.host)
    if address is not None:
        if first_refused(parts.host, [address], parts.port, allowed) is not None:
            raise RepositoryRefused
    elif is_local_name(parts.host) and not allowed.names(parts.host, parts.port):
        raise RepositoryRefused
    return parts


async def check_from_here(url: str) -> None:
    """Check the address as this server resolves it, because containers clone from its network.

    Raises:
        BadRepository, RepositoryRefused
    """
    parts = check_clone_url(url)
    guard = Guard(allowed=settings.MESH_PRIVATE_HOSTS, plain=True)
    try:
        await guard.addresses(parts.scheme, parts.host, parts.port)
    except AddressRefused as exc:
        raise RepositoryRefused from exc
