"""The image of a cluster, built and run as compose.yaml says: server, worker and beat.

Decopilot answers, with a stand-in for its model: its message is taken by the server's container
and answered by the worker's.
"""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
import tarfile
import tempfile
import threading
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
import yaml
from docker.types import Ulimit

from tests.containers import ROOT, engine
from tests.running import events, say, text_of, until_finish
from tests.servers import Cluster, free_port, listens, postgres, redis
from tests.standin import serving_in_thread
from tests.waiting import PATIENCE, until

SERVICES = yaml.safe_load((ROOT / "compose.yaml").read_text())["services"]
SECRET = "sk-ant-Zq7-never-shown-anywhere"
pytestmark = pytest.mark.containers


@contextlib.contextmanager
def over_tcp(url):
    """Make a PostgreSQL behind a socket file reachable from a container; yield its new URL."""
    folder = parse_qs(urlsplit(url).query)["host"][0]
    loop = asyncio.new_event_loop()

    async def pump(reader, writer):
        with contextlib.suppress(OSError):
            while data := await reader.read(65536):
                writer.write(data)
                await writer.drain()
        writer.close()

    async def relay(reader, writer):
        far_reader, far_writer = await asyncio.open_unix_connection(f"{folder}/.s.PGSQL.5432")
        await asyncio.gather(pump(reader, far_writer), pump(far_reader, writer))

    server = loop.run_until_complete(asyncio.start_server(relay, "127.0.0.1", 0))
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    try:
        port = server.sockets[0].getsockname()[1]
        yield f"postgres://postgres@127.0.0.1:{port}/postgres"
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(5)


class Containers:
    """Those of one engine, run from one image with the cluster's settings."""

    def __init__(self, made, image, cluster):
        self.made, self.image, self.cluster = made, image, cluster
        self.client, self.running = made.client(), {}

    def run(self, name, command, **environ):
        limits = self.made.run.get("ulimits", {})
        ours = ("MESH_", "DATABASE_URL", "REDIS_URL")
        given = {k: v for k, v in self.cluster.environ.items() if k.startswith(ours)}
        given |= {"MESH_HOME": "/var/lib/mesh", "MESH_PRIVATE_HOSTS": "127.0.0.1"}
        self.running[name] = self.client.containers.run(
            self.image,
            command,
            detach=True,
            environment={**given, **environ},
            network_mode="host",
            cap_drop=["ALL"],
            security_opt=["no-new-privileges"],
            ulimits=[Ulimit(name=n, soft=v, hard=v) for n, v in limits.items()],
        )

    def ask(self, name, *words):
        """Run a command in a container; return its exit code and what it said."""
        code, said = self.running[name].exec_run(list(words))
        return code, said.decode(errors="replace")

    def is_well(self, name):
        """Run the health check that compose.yaml has for it."""
        check = SERVICES[name]["healthcheck"]["test"][1].replace("$$", "$")
        return self.ask(name, "sh", "-c", check)[0] == 0

    def log(self, name):
        return self.running[name].logs().decode(errors="replace")

    def stop(self, name):
        """Ask it to end, as compose does; return its exit code."""
        container = self.running.pop(name)
        container.stop(timeout=40)
        code = container.wait(timeout=PATIENCE)["StatusCode"]
        container.remove()
        return code

    def close(self):
        for container in self.running.values():
            container.remove(force=True)


@pytest.fixture(scope="module")
def image():
    tracked = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True
    )
    ours = ("mesh/", "links/", "agents/", "sandboxes/", "threads/", "templates/")
    others = ("Dockerfile", "manage.py", "pyproject.toml", "requirements.txt")
    names = [n for n in tracked.stdout.splitlines() if n.startswith(ours) or n in others]
    files = {name: ROOT / name for name in names if (ROOT / name).is_file()}
    with engine() as made:
        yield made, made.build("localhost/mesh:test", dockerfile="Dockerfile", files=files)


@pytest.fixture(scope="module")
def containers(image, tmp_path_factory):
    """Migrated, and server, worker and beat started, each as compose.yaml starts it."""
    made, tag = image
    with postgres() as by_socket, over_tcp(by_socket) as url, redis() as doorbells:
        running = Containers(made, tag, Cluster(tmp_path_factory.mktemp("home"), url, doorbells))
        try:
            running.run("migrate", SERVICES["migrate"]["command"])
            ended = running.running["migrate"].wait(timeout=120)
            assert ended["StatusCode"] == 0, running.log("migrate")
            for name in ("worker", "beat"):
                running.run(name, SERVICES[name]["command"])
            yield running
        finally:
            running.close()


@pytest.fixture(scope="module")
def server(containers):
    """The address of the server, which is run by the image's own command but for the port."""
    port = str(free_port())
    command = containers.client.images.get(containers.image).attrs["Config"]["Cmd"]
    containers.run("server", [word.replace("8000", port) for word in command], MESH_NODE="one")
    until(lambda: listens(int(port)), within=90, what="the server")
    code, said = containers.ask("server", "python", "-m", "mesh.health", port)
    assert code == 0, said
    return f"http://127.0.0.1:{port}"


@pytest.fixture(scope="module")
def api(containers, server):
    """A client of the API, of somebody whose organization has a key for the stand-in."""
    containers.cluster.session()  # makes the person's organization
    headers = {"Authorization": f"Bearer {containers.cluster.token()}"}
    common = {"headers": headers, "timeout": 30, "trust_env": False}
    with serving_in_thread() as standin, httpx.Client(base_url=server, **common) as client:
        given = {"provider": "anthropic", "baseUrl": standin.url, "key": SECRET}
        assert client.post("/api/home/ai-keys", json=given).status_code == 201
        client.base_url = f"{server}/api/home/decopilot"
        yield client


def post(api, thread, text):
    answer = say(api, thread, text, harnessId="decopilot")
    assert answer.status_code == 202, answer.text
    return answer.json()["runId"]


@pytest.fixture
def thread(api):
    return api.post("/threads", json={}).json()["id"]


def test_a_message_is_answered(containers, api, thread):
    run = post(api, thread, "say: hello from the worker")
    try:
        seen = until_finish(events(api, thread, run=run))
    except AssertionError:
        pytest.fail(containers.log("worker"))

    assert text_of(seen) == "hello from the worker"


def test_each_is_nobody_special_and_well(containers, server):
    for name in ("server", "worker", "beat"):
        assert containers.ask(name, "id", "-u") == (0, "10001\n")
    for name in ("worker", "beat"):
        until(lambda name=name: containers.is_well(name), within=90, what=f"{name} to be well")


def test_the_pages_find_their_files(server):
    page = httpx.get(f"{server}/accounts/login/", trust_env=False, timeout=PATIENCE)
    style = page.text.partition('rel="stylesheet" href="')[2].partition('"')[0]

    assert httpx.get(f"{server}{style}", trust_env=False, timeout=PATIENCE).status_code == 200


def test_no_layer_of_the_image_keeps_a_key(image):
    """Collecting the pages' files makes a Mesh with keys: not even a layer below may keep it."""
    made, tag = image
    found = made.client().images.get(tag)
    with tempfile.TemporaryFile() as saved:
        for piece in found.save():
            saved.write(piece)
        saved.seek(0)
        names = [name for layer in layers_of(saved) for name in layer]

    assert "opt/mesh/manage.py" in names
    kept = ("/secret-key", "/encryption-key", "/mesh.sqlite3")
    assert [n for n in names if n.startswith("tmp/build") or n.endswith(kept)] == []
    ours = [one for one in found.attrs["Config"]["Env"] if "MESH" in one]
    assert ours == ["MESH_HOME=/var/lib/mesh"]


def layers_of(saved):
    """Yield the names in each layer of a saved image."""
    with tarfile.open(fileobj=saved) as outer:
        for member in outer:
            if member.name.endswith(".tar") and member.isfile():
                with tarfile.open(fileobj=outer.extractfile(member)) as layer:
                    yield [name.removeprefix("./") for name in layer.getnames()]


def test_the_worker_does_what_beat_asks(containers, server):
    until(lambda: "links.expire" in containers.log("worker"), within=60, what="a task of beat's")


def test_an_orderly_stop_loses_nothing(containers, api, thread):
    """What the worker had goes on with the next one, what waited is answered in its turn."""
    first = post(api, thread, "slow 60 50")
    with contextlib.closing(events(api, thread, run=first)) as seen:
        until(lambda: next(seen)[1]["type"] == "text-delta", what="the first word")

    assert containers.stop("worker") == 0
    second = post(api, thread, "say: and then this")
    containers.run("worker", SERVICES["worker"]["command"])

    for run, text in [(first, "59 60"), (second, "and then this")]:
        assert text in text_of(until_finish(events(api, thread, run=run)))
    assert containers.stop("beat") == 0
    assert containers.stop("server") in (0, 143)  # by the signal, and not killed after it
