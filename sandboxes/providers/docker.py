"""Sandboxes in containers of a Docker-compatible engine, such as Docker or Podman.

One container per handle; its name, labels and token are derived from the handle, so that each
server process finds the containers of the others. A sandbox exits after half an hour of being
idle, and its container stops; files stay in the container until it is removed.
"""

from __future__ import annotations

import asyncio
import io
import json
import tarfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from mesh import keys
from sandboxes.providers.base import DispatchRefused, Json, Place, StreamCut
from sandboxes.providers.direct import PORT, DirectProvider
from sandboxes.providers.sandbox_client import spec_of

ROOT: Final = "/sandbox"  # made by the image and owned by its user
STOP_WAIT: Final = 8  # seconds from SIGTERM to SIGKILL; the sandbox itself takes five
LOG_LINES: Final = 20
LOG_TRIES: Final = 4
START_TRIES: Final = 20  # for a container that another process may be starting
POLL_EVERY: Final = 0.3  # seconds
LABEL: Final = "mesh.handle"
# -I: the image's modules only, because agents can write into their home and folder.
COMMAND: Final = ("python", "-I", "-m", "sandboxes.daemon")
HOST: Final = "host"


@dataclass(frozen=True, slots=True, kw_only=True)
class Engine:
    """The engine, and the options of its containers.

    ``network`` empty: the container's port is published on this machine's loopback. "host": the
    container shares this machine's network. Else the name of a network that the server is on.
    ``init``: the engine's init process reaps what agents leave behind; Podman needs catatonit.
    """

    url: str = ""
    image: str = "mesh-sandbox"
    network: str = ""
    command: Sequence[str] = COMMAND
    memory: str = ""
    init: bool = True
    ulimits: Mapping[str, int] = field(default_factory=dict)


class EngineAway(StreamCut):
    """The engine can't be reached; the caller may retry."""

    code = "engine_unreachable"
    text = "The container engine can't be reached."
    hint = "Check that it is running, and check the server's DOCKER_HOST."


class DockerProvider(DirectProvider):
    """``docker``: one container per sandbox. Calls of the engine run on worker threads."""

    def __init__(self, engine: Engine, *, token_of: Callable[[str], str]) -> None:
        super().__init__(token_of=token_of)
        self._engine = engine
        self._docker: Any = None

    async def address_of(self, handle: str) -> str:
        return str(await self._in_thread(self._address, handle))

    async def start(self, place: Place) -> None:
        await self._in_thread(self._run, place)

    async def take_down(self, place: Place, *, removes: bool) -> None:
        await self._in_thread(self._take_down, place.handle, removes)

    async def failure_reason(self, handle: str) -> str:
        return str(await self._in_thread(self._failure_reason, handle))

    async def _in_thread(self, work: Callable[..., Any], *args: Any) -> Any:
        """Call the engine on a worker thread.

        Raises:
            EngineAway: it can't be reached.
            DispatchRefused: it refuses the request.
        """
        from docker.errors import APIError, DockerException, ImageNotFound
        from requests.exceptions import RequestException

        try:
            return await asyncio.to_thread(work, *args)
        except ImageNotFound as exc:
            image = self._engine.image
            raise DispatchRefused(
                "no_image",
                f"The engine does not have the image “{image}”.",
                f"Build it with: docker build -f sandboxes/Dockerfile -t {image} .",
            ) from exc
        except APIError as exc:
            raise DispatchRefused("engine_refused", exc.explanation or str(exc), "") from exc
        except (DockerException, RequestException, OSError) as exc:
            raise EngineAway from exc

    # The methods below run on worker threads.

    def _client(self) -> Any:
        if self._docker is None:
            import docker

            # Imported at first use, because that alone takes a third of a second.
            url = self._engine.url
            self._docker = docker.DockerClient(base_url=url) if url else docker.from_env()
        return self._docker

    def _find(self, handle: str) -> Any:
        from docker.errors import NotFound

        try:
            return self._client().containers.get(name_of(handle))
        except NotFound:
            return None

    def _run(self, place: Place) -> None:
        from docker.errors import APIError

        container, is_ours = self._find(place.handle), False
        if container is None:
            container, is_ours = self._create(place)
        for tries_left in reversed(range(START_TRIES)):
            container.reload()
            # The process that created it also starts it: an engine refuses files for a container
            # that is just starting. If that process died, another one takes over.
            is_anothers = container.status == "created" and not is_ours
            if is_anothers and tries_left > START_TRIES // 2:
                time.sleep(POLL_EVERY)
                continue
            try:
                self._wake(container, place)
            except APIError:
                if not tries_left:
                    raise
                time.sleep(POLL_EVERY)  # another process may be starting it
            else:
                return

    def _wake(self, container: Any, place: Place) -> None:
        if container.status == "running":
            return
        if container.status == "paused":
            container.unpause()
            return
        container.put_archive(ROOT, self._files(place))
        container.start()

    def _create(self, place: Place) -> tuple[Any, bool]:
        """Return the container, and whether this call created it."""
        from docker.errors import APIError
        from docker.types import Ulimit

        engine = self._engine
        port = _free_port() if engine.network == HOST else PORT
        # Only this machine can reach a container on the host network, or a published port.
        listen = f"127.0.0.1:{port}" if engine.network == HOST else f"0.0.0.0:{port}"
        options: Json = {
            "name": name_of(place.handle),
            "command": [*engine.command, "--root", ROOT, "--listen", listen],
            "labels": {
                LABEL: place.handle,
                "mesh.kind": place.kind,
                "mesh.title": place.title,
                "mesh.port": str(port),
            },
            "working_dir": "/",
            "init": engine.init,
            "cap_drop": ["ALL"],
            "security_opt": ["no-new-privileges"],
            "ulimits": [Ulimit(name=n, soft=v, hard=v) for n, v in engine.ulimits.items()],
        }
        if engine.memory:
            options["mem_limit"] = engine.memory
        if engine.network:
            options["network"] = engine.network
        else:
            options["ports"] = {f"{PORT}/tcp": ("127.0.0.1", None)}
        try:
            return self._client().containers.create(engine.image, **options), True
        except APIError:
            # Another server process may have been faster: Docker answers 409, Podman 500.
            if (container := self._find(place.handle)) is not None:
                return container, False
            raise

    def _files(self, place: Place) -> bytes:
        """Return a tar of the startup files; the sandbox deletes token and key after reading."""
        spec = {"handle": place.handle, **spec_of(place)}
        return packed(
            {
                "token": self.token_of(place.handle),
                "server-key": keys.public_key(),
                "spec.json": json.dumps(spec),
            }
        )

    def _address(self, handle: str) -> str:
        """Return host:port of a running container's sandbox, or ""."""
        container = self._find(handle)
        if container is None or container.status != "running":
            return ""
        if self._engine.network == HOST:
            return f"127.0.0.1:{container.labels['mesh.port']}"
        facts = container.attrs["NetworkSettings"]
        if self._engine.network:
            address = facts["Networks"][self._engine.network]["IPAddress"]
            return f"{address}:{PORT}" if address else ""
        bound = (facts.get("Ports") or {}).get(f"{PORT}/tcp") or []
        return f"127.0.0.1:{bound[0]['HostPort']}" if bound else ""

    def _take_down(self, handle: str, removes: bool) -> None:
        container = self._find(handle)
        if container is None:
            return
        if container.status == "paused":
            container.unpause()  # else it could not react to SIGTERM
        if container.status in {"running", "paused"}:
            container.stop(timeout=STOP_WAIT)
        if removes:
            container.remove(force=True, v=True)

    def _failure_reason(self, handle: str) -> str:
        container = self._find(handle)
        if container is None:
            return "its container was removed."
        if container.status in {"running", "restarting", "created"}:
            return ""
        for _ in range(LOG_TRIES):
            if text := container.logs(tail=LOG_LINES).decode(errors="replace").strip():
                return str(text)
            time.sleep(POLL_EVERY)  # an engine may report the exit before it has the last output
        return "it exited without any output."


def name_of(handle: str) -> str:
    """Return the container's name."""
    return f"mesh-{handle}"


def packed(files: Mapping[str, str], *, uid: int = 10001) -> bytes:
    """Return a tar of ``files``, readable by the image's user alone."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, text in files.items():
            data = text.encode()
            info = tarfile.TarInfo(name)
            info.size, info.mode, info.uid, info.gid = len(data), 0o600, uid, uid
            tar.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


def _free_port() -> int:
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
