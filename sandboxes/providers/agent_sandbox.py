"""Sandboxes in a Kubernetes cluster that has the agent-sandbox controller (SIG Apps).

One SandboxClaim per handle requests a pod of a warm pool, whose template runs our image with
``--root /sandbox --listen 0.0.0.0:9000`` and lets claims set its environment. A claim that was
unused for a day expires, even if no server is left to delete it. Stopping a sandbox suspends the
Sandbox behind its claim: the pod is deleted, and the volume of its template stays.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from mesh import keys
from sandboxes.providers.base import DispatchRefused, Json, NotOffered, Place, StreamCut
from sandboxes.providers.direct import POLL_EVERY, PORT, DirectProvider
from sandboxes.providers.sandbox_client import spec_of

GROUP: Final = "extensions.agents.x-k8s.io"
SANDBOX_GROUP: Final = "agents.x-k8s.io"
RUNNING: Final = "Running"
SUSPENDED: Final = "Suspended"
VERSION: Final = "v1beta1"
PLURAL: Final = "sandboxclaims"
LIVES: Final = timedelta(hours=24)  # of a claim, after the last ensure that renewed it
RENEWS: Final = timedelta(hours=12)  # renewed no more often, so that not every ensure writes
REPLY_LIMIT: Final = 10  # seconds for a response of the API
NOTICED_WITHIN: Final = 30.0  # seconds within which the controller notices a suspension


@dataclass(frozen=True, slots=True, kw_only=True)
class Cluster:
    """The cluster and the namespace. ``config`` is a kubeconfig file; empty: the pod's own."""

    config: str = ""
    namespace: str = "mesh-sandboxes"
    pool: str = "mesh"
    port: int = PORT


class ClusterAway(StreamCut):
    """The Kubernetes API can't be reached; the caller may retry."""

    code = "cluster_unreachable"
    text = "The Kubernetes API can't be reached."
    hint = "Check that it is running, and check the server's KUBECONFIG."


class NoVolume(NotOffered):
    """Stopping the sandbox would delete its files."""

    text = "This cluster sandbox has no volume, so it can only be deleted together with its files."
    hint = "Add a volumeClaimTemplate at /sandbox to the pool's template (docs/sandbox-kinds.md)."


class AgentSandboxProvider(DirectProvider):
    """``agent-sandbox``: one SandboxClaim per sandbox. It can only be stopped if its pool's
    template has a volume; otherwise its files would be deleted with the pod."""

    start_limit = 90.0  # the cluster may have to pull the image, or add a machine

    def __init__(
        self,
        cluster: Cluster,
        *,
        token_of: Callable[[str], str],
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        super().__init__(token_of=token_of)
        self._cluster = cluster
        self._now = now
        self._api: Any = None

    async def ensure(self, place: Place) -> None:
        await super().ensure(place)
        await self._in_thread(self._renew, place.handle)

    async def restart(self, place: Place) -> None:
        await self._in_thread(self._suspend, place.handle)
        # Resumed before the controller notices the suspension, the old pod would stay.
        async with asyncio.timeout(NOTICED_WITHIN):
            while True:
                if not await self.address_of(place.handle):
                    break
                await asyncio.sleep(POLL_EVERY)
        await self.start(place)

    async def address_of(self, handle: str) -> str:
        claim = await self._in_thread(self._find, handle)
        if not is_ready(claim):
            return ""
        addresses = _object(_object(_object(claim).get("status")).get("sandbox")).get("podIPs")
        if not isinstance(addresses, list) or not addresses:
            return ""
        host = str(addresses[0])
        return f"[{host}]:{self._cluster.port}" if ":" in host else f"{host}:{self._cluster.port}"

    async def start(self, place: Place) -> None:
        await self._in_thread(self._claim, place)
        await self._in_thread(self._resume, place.handle)

    async def take_down(self, place: Place, *, removes: bool) -> None:
        await self._in_thread(self._delete if removes else self._suspend, place.handle)

    async def failure_reason(self, handle: str) -> str:
        claim = await self._in_thread(self._find, handle)
        return "its claim was removed." if claim is None else refusal_of(claim)

    async def _in_thread(self, work: Callable[..., Any], *args: Any) -> Any:
        """Call the API on a worker thread.

        Raises:
            ClusterAway: it can't be reached.
            DispatchRefused: it refuses the request.
        """
        from kubernetes.client.exceptions import ApiException
        from kubernetes.config import ConfigException
        from urllib3.exceptions import HTTPError

        try:
            return await asyncio.to_thread(work, *args)
        except ApiException as exc:
            if exc.status is not None and exc.status >= 500:
                raise ClusterAway from exc
            raise DispatchRefused("cluster_refused", _said(exc), "") from exc
        except (HTTPError, OSError, ConfigException) as exc:
            raise ClusterAway from exc

    # The methods below run on worker threads.

    def _claims(self) -> Any:
        if self._api is None:
            # Imported at first use, because that takes over a second.
            from kubernetes import client, config

            settings = client.Configuration()
            if self._cluster.config:
                config.load_kube_config(self._cluster.config, client_configuration=settings)
            else:
                config.load_incluster_config(client_configuration=settings)
            self._api = client.CustomObjectsApi(client.ApiClient(settings))
        return self._api

    def _where(self, handle: str = "") -> Json:
        name = {"name": name_of(handle)} if handle else {}
        return {
            "group": GROUP,
            "version": VERSION,
            "namespace": self._cluster.namespace,
            "plural": PLURAL,
            "_request_timeout": REPLY_LIMIT,
            **name,
        }

    def _find(self, handle: str) -> Any:
        from kubernetes.client.exceptions import ApiException

        try:
            return self._claims().get_namespaced_custom_object(**self._where(handle))
        except ApiException as exc:
            if exc.status == 404:
                return None
            raise

    def _claim(self, place: Place) -> None:
        from kubernetes.client.exceptions import ApiException

        try:
            self._claims().create_namespaced_custom_object(**self._where(), body=self.body(place))
        except ApiException as exc:
            if exc.status != 409:  # it exists: made before, or by another server process
                raise

    def body(self, place: Place) -> Json:
        """Return the SandboxClaim for ``place``."""
        spec = {"handle": place.handle, **spec_of(place)}
        return {
            "apiVersion": f"{GROUP}/{VERSION}",
            "kind": "SandboxClaim",
            "metadata": {
                "name": name_of(place.handle),
                "labels": {"app.kubernetes.io/managed-by": "mesh", "mesh/handle": place.handle},
                "annotations": {"mesh/title": place.title},
            },
            "spec": {
                "warmPoolRef": {"name": self._cluster.pool},
                "lifecycle": {"shutdownTime": self._until(), "shutdownPolicy": "Delete"},
                "env": [
                    {"name": "DAEMON_TOKEN", "value": self.token_of(place.handle)},
                    {"name": "DAEMON_SERVER_KEY", "value": keys.public_key()},
                    {"name": "DAEMON_SPEC", "value": json.dumps(spec)},
                ],
            },
        }

    def _renew(self, handle: str) -> None:
        claim = self._find(handle)
        lifecycle = _object(_object(_object(claim).get("spec")).get("lifecycle"))
        until = _time(lifecycle.get("shutdownTime"))
        if claim is None or (until is not None and until - self._now() > RENEWS):
            return
        change = {
            "spec": {"lifecycle": {"shutdownTime": self._until(), "shutdownPolicy": "Delete"}}
        }
        self._claims().patch_namespaced_custom_object(**self._where(handle), body=change)

    def _delete(self, handle: str) -> None:
        from kubernetes.client.exceptions import ApiException

        try:
            self._claims().delete_namespaced_custom_object(**self._where(handle))
        except ApiException as exc:
            if exc.status != 404:
                raise

    def _suspend(self, handle: str) -> None:
        """Delete the pod and keep its volume."""
        sandbox = self._sandbox(handle)
        if sandbox is None:
            return  # it does not exist yet, or no longer
        if not _object(sandbox.get("spec")).get("volumeClaimTemplates"):
            raise NoVolume
        self._set_mode(sandbox, SUSPENDED)

    def _resume(self, handle: str) -> None:
        sandbox = self._sandbox(handle)
        if sandbox is not None and _object(sandbox.get("spec")).get("operatingMode") == SUSPENDED:
            self._set_mode(sandbox, RUNNING)

    def _set_mode(self, sandbox: Json, mode: str) -> None:
        where = self._where_sandbox(_object(sandbox["metadata"])["name"])
        body = {"spec": {"operatingMode": mode}}
        self._claims().patch_namespaced_custom_object(**where, body=body)

    def _sandbox(self, handle: str) -> Json | None:
        """Return the Sandbox bound to the claim; its name may be one of the pool's."""
        from kubernetes.client.exceptions import ApiException

        name = _object(_object(_object(self._find(handle)).get("status")).get("sandbox")).get(
            "name"
        )
        if not name:
            return None
        try:
            return _object(
                self._claims().get_namespaced_custom_object(**self._where_sandbox(str(name)))
            )
        except ApiException as exc:
            if exc.status == 404:
                return None
            raise

    def _where_sandbox(self, name: str) -> Json:
        return {**self._where(name), "group": SANDBOX_GROUP, "plural": "sandboxes", "name": name}

    def _until(self) -> str:
        return (self._now() + LIVES).strftime("%Y-%m-%dT%H:%M:%SZ")


def name_of(handle: str) -> str:
    """Return the claim's name; a handle is a valid host name label, as Kubernetes requires."""
    return handle


def is_ready(claim: object) -> bool:
    """Return whether the claim's condition ``Ready`` is true."""
    return any(
        one.get("type") == "Ready" and one.get("status") == "True" for one in _conditions_of(claim)
    )


def refusal_of(claim: object) -> str:
    """Return why a claim will never be ready, or "" while it still may be."""
    final = {"TemplateNotFound", "WarmPoolNotFound", "InvalidClaim", "ClaimExpired"}
    for one in _conditions_of(claim):
        if one.get("type") == "Ready" and one.get("reason") in final:
            return str(one.get("message") or one.get("reason"))
    return ""


def _conditions_of(claim: object) -> list[Json]:
    conditions = _object(_object(claim).get("status")).get("conditions")
    return [c for c in conditions if isinstance(c, dict)] if isinstance(conditions, list) else []


def _object(value: object) -> Json:
    return value if isinstance(value, dict) else {}


def _time(value: object) -> datetime | None:
    try:
        return datetime.fromisoformat(str(value)) if value else None
    except ValueError:
        return None


def _said(error: Any) -> str:
    """Return the API's own message."""
    try:
        return str(json.loads(error.body)["message"])
    except (TypeError, ValueError, KeyError):
        return f"The Kubernetes API answered {error.status}."
