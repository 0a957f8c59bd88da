"""Each door is tried at both ways that Mesh is run. The processes are shared: nobody kills them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.doors.front import Embedded, Front, LinkedLaptop, Proxied
from tests.running import RunningMesh
from tests.servers import Proxy, cluster


def pytest_collection_modifyitems(items):
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.whole)


@pytest.fixture(scope="session", params=["embedded", "proxied"])
def front(request, tmp_path_factory) -> Iterator[Front]:
    """A running Mesh with Ada's laptop online; see ``Front`` for what a test asks of it."""
    start = embedded if request.param == "embedded" else proxied
    with start(tmp_path_factory.mktemp(request.param)) as front:
        front.online()
        yield front


@contextmanager
def embedded(folder: Path) -> Iterator[Front]:
    running = RunningMesh(folder / "home")
    try:
        yield Embedded(running.start())
    finally:
        running.close()


@contextmanager
def proxied(folder: Path) -> Iterator[Front]:
    proxy = Proxy(folder)
    with cluster(folder / "servers", MESH_URL=proxy.url, MESH_PROXIES="1") as servers:
        servers.log = folder / "servers.log"
        servers.manage("collectstatic", "--noinput", "-v", "0")
        urls = [servers.serve(name) for name in ("A", "B")]
        laptop = None
        try:
            proxy.start(*urls)
            front = Proxied(servers, proxy, folder / "laptop")
            token = front.manage("mesh_token", front.ada.name, "--machine", "laptop")
            laptop = LinkedLaptop(front.laptop_home, server=front.client_url, token=token)
            yield front
        finally:
            if laptop is not None:
                laptop.close()
            proxy.close()
