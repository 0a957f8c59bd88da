"""The kinds of sandbox: one class each, found by the kind's name."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

from django.conf import settings

from mesh import keys
from mesh.lib.errors import AppError
from sandboxes.core.kinds import AGENT_SANDBOX, DOCKER, KINDS, REMOTE_USER
from sandboxes.providers.agent_sandbox import AgentSandboxProvider, Cluster
from sandboxes.providers.base import SandboxProvider
from sandboxes.providers.docker import DockerProvider, Engine
from sandboxes.providers.remote_user import RemoteUserProvider


class UnknownKind(AppError):
    code = "unknown_kind"
    text = "There is no such kind of sandbox."
    hint = "Use “remote-user” or a kind that the operator has enabled."


def offered_kinds() -> tuple[str, ...]:
    """Return the kinds that this server can start: the operator's, and each person's machine."""
    on = {REMOTE_USER, settings.STUDIO_SANDBOX_RUNNER, *settings.MESH_SANDBOX_KINDS}
    return tuple(kind for kind in KINDS if kind in on)


def provider_for(kind: str) -> SandboxProvider:
    """Return the provider of ``kind``, one for the whole process.

    Raises:
        UnknownKind: there is no such kind, or it is not enabled.
    """
    if kind not in offered_kinds():
        raise UnknownKind
    return _made(kind)


@cache
def _made(kind: str) -> SandboxProvider:
    return _MAKERS[kind]()


def _docker() -> SandboxProvider:
    env = settings.ENV
    engine = Engine(
        url=env.docker_host,
        image=env.sandbox_image,
        network=env.sandbox_network,
        memory=env.sandbox_memory,
    )
    return DockerProvider(engine, token_of=token_of)


def _agent_sandbox() -> SandboxProvider:
    env = settings.ENV
    cluster = Cluster(config=env.kubeconfig, namespace=env.sandbox_namespace, pool=env.sandbox_pool)
    return AgentSandboxProvider(cluster, token_of=token_of)


def token_of(handle: str) -> str:
    """Return the token of a sandbox that the server starts; it is derived, not stored, so that each
    process of the server has it."""
    return keys.derive(f"token of sandbox {handle}")


_MAKERS: dict[str, Callable[[], SandboxProvider]] = {
    REMOTE_USER: RemoteUserProvider,
    DOCKER: _docker,
    AGENT_SANDBOX: _agent_sandbox,
}
