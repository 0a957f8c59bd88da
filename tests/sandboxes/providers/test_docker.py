"""The ``docker`` kind, in real containers of an image built from our Dockerfile."""

from __future__ import annotations

import asyncio
import io
import tarfile
from pathlib import Path

import pytest
from asgiref.sync import sync_to_async
from docker.errors import APIError
from docker.models.containers import Container

from mesh.lib.addresses import parse_allowed
from mesh.version import VERSION
from sandboxes.providers.base import DispatchRefused, Place, SandboxDown
from sandboxes.providers.docker import (
    COMMAND,
    DockerProvider,
    Engine,
    EngineAway,
    name_of,
    packed,
)
from tests import containers
from tests.sandboxes.daemon.sandbox import turn_input
from tests.sandboxes.providers.conformance import ProviderConformance
from tests.standin import serving
from tests.threads.decopilot.conftest import Reader, add_key, make_run
from tests.waiting import auntil
from threads.decopilot.provider import DecopilotProvider
from threads.serving.turn_input import harness_input

ROOT = Path(__file__).resolve().parents[3]
PLACE = Place("docker", None, "main-0123456789abcdef", title="Mesh")
# What an agent may leave behind: programs of its own, under the names that ours are looked for by.
PLANT = """
user=$(/opt/mesh/bin/python -c 'import site; print(site.getusersitepackages())')
for folder in /sandbox /sandbox/repo /tmp "$HOME" "$user"; do
    mkdir -p "$folder" && cd "$folder" || continue
    for name in mesh sandboxes agents json asyncio sitecustomize usercustomize; do
        echo 'open("/sandbox/taken", "w")' > $name.py
    done
    echo 'import os; open("/sandbox/taken", "w")' > trap.pth
    printf '#!/bin/sh\ntouch /sandbox/taken\n' > git && chmod +x git && cp git python
done
ls /sandbox/mesh.py "$HOME/mesh.py" "$user/trap.pth"
"""
WITH_TESTS = "FROM localhost/mesh-sandbox\nCOPY tests /opt/code/tests\nENV PYTHONPATH=/opt/code\n"
pytestmark = pytest.mark.containers


@pytest.fixture(scope="module")
def engine():
    with containers.engine() as engine:
        yield engine


@pytest.fixture(scope="module")
def image(engine, tmp_path_factory):
    """The image of our Dockerfile, and on top of it the harness of the tests."""
    names = ["pyproject.toml", "requirements.txt", "README.md", "agents", "links", "mesh"]
    files = {name: ROOT / name for name in [*names, "sandboxes"]}
    engine.build("localhost/mesh-sandbox", dockerfile="sandboxes/Dockerfile", files=files)
    more = tmp_path_factory.mktemp("context") / "Dockerfile"
    more.write_text(WITH_TESTS)
    needed = ["tests/__init__.py", "tests/sandboxes/__init__.py", "tests/sandboxes/daemon"]
    files = {"Dockerfile": more, **{name: ROOT / name for name in needed}}
    return engine.build("localhost/mesh-sandbox-tests", dockerfile="Dockerfile", files=files)


def provider_of(engine, image, **options):
    command = ("python", "-m", "tests.sandboxes.daemon.sandbox_main")
    facts = {"url": engine.url, "image": image, "command": command, **engine.run, **options}
    return DockerProvider(Engine(**facts), token_of=lambda handle: f"token of {handle}")


@pytest.fixture
def provider(engine, image):
    return provider_of(engine, image)


@pytest.fixture
async def model(settings):
    settings.MESH_PRIVATE_HOSTS = parse_allowed("127.0.0.1")
    async with serving() as running:
        yield running


@pytest.fixture
def container(engine):
    """What the engine itself says of the sandbox's container."""
    client = engine.client()
    return lambda: client.containers.get(name_of(PLACE.handle))


class TestConformance(ProviderConformance):
    @pytest.fixture
    def provider(self, engine, image):
        return provider_of(engine, image)

    @pytest.fixture
    async def place(self, provider):
        await provider.ensure(PLACE)
        return PLACE

    @pytest.fixture
    def break_sandbox(self, container):
        return lambda: container().kill()


async def test_several_who_ensure_at_once_get_one_container(engine, image, container):
    await provider_of(engine, image).remove(PLACE, force=True)
    several = [provider_of(engine, image) for _ in range(3)]

    await asyncio.gather(*(one.ensure(PLACE) for one in several))

    assert len(engine.client().containers.list(all=True)) == 1
    assert container().labels["mesh.handle"] == PLACE.handle


async def test_an_engine_that_refuses_while_another_process_starts_it_is_asked_again(
    engine, image, container, monkeypatch
):
    """As Podman does: it takes no files for a container that starts at that moment."""
    await provider_of(engine, image).remove(PLACE, force=True)
    put, refusals = Container.put_archive, iter(["500 Server Error"])

    def refused_once(self, *args):
        for refusal in refusals:
            raise APIError(refusal)
        return put(self, *args)

    monkeypatch.setattr(Container, "put_archive", refused_once)

    await provider_of(engine, image).ensure(PLACE)

    assert container().status == "running"


@pytest.fixture(params=["a published port", "a network"])
def on_a_network(request, engine, image):
    """A provider whose containers do not share this machine's network, as most don't."""
    engine.needs_networks()
    network = "" if request.param == "a published port" else engine.network
    return provider_of(engine, image, network=network)


async def test_a_container_with_a_network_of_its_own_is_reached(on_a_network, engine, container):
    place, provider = PLACE, on_a_network
    await provider.remove(place, force=True)
    await provider.ensure(place)
    asked = {"harness_id": "plain", "fence": 1, "input": turn_input("net", ["say", "hi"])}
    async with provider.dispatch(place, **asked) as events:
        said = [event async for event in events]

    assert said[-1].is_last
    bound = (container().attrs["NetworkSettings"]["Ports"] or {}).get("9000/tcp") or []
    assert {one["HostIp"] for one in bound} <= {"127.0.0.1"}
    await provider.remove(place, force=True)


async def test_one_that_does_not_answer_is_got_going_again(provider, container, monkeypatch):
    monkeypatch.setattr(DockerProvider, "hung_after", 1.0)
    monkeypatch.setattr("sandboxes.providers.docker.STOP_WAIT", 1)
    await provider.ensure(PLACE)
    container().exec_run(["touch", "/sandbox/kept"], user="10001")

    for trouble in (lambda: container().pause(), lambda: container().kill(signal="SIGSTOP")):
        trouble()  # the second: alive, its port open, and silent
        await provider.ensure(PLACE)
        assert (await provider.request(PLACE, "GET", "health")).is_success

    assert container().exec_run(["ls", "/sandbox/kept"]).exit_code == 0


async def test_stopping_keeps_the_files_and_removing_does_not(provider, container):
    await provider.ensure(PLACE)
    container().exec_run(["touch", "/sandbox/kept"], user="10001")

    await provider.stop(PLACE)
    with pytest.raises(SandboxDown):
        await provider.request(PLACE, "GET", "health")
    await provider.ensure(PLACE)
    assert container().exec_run(["ls", "/sandbox/kept"]).exit_code == 0

    await provider.remove(PLACE)
    await provider.remove(PLACE)
    await provider.ensure(PLACE)
    assert container().exec_run(["ls", "/sandbox/kept"]).exit_code != 0


async def test_no_process_of_the_sandboxs_user_can_read_its_token(provider, container):
    await provider.ensure(PLACE)
    look = (
        "ls /sandbox; cat /sandbox/token; env; for p in /proc/[0-9]*; do"
        " cat $p/environ $p/cmdline $p/mem; done 2>&1"
    )

    seen = container().exec_run(["sh", "-c", look], user="10001").output.decode(errors="replace")

    assert "spec.json" in seen
    assert "token of" not in seen
    assert "Permission denied" in seen


async def test_what_an_agent_leaves_behind_is_not_the_program_of_the_next_start(
    engine, image, container
):
    provider = provider_of(engine, "localhost/mesh-sandbox", command=COMMAND)
    await provider.remove(PLACE, force=True)
    await provider.ensure(PLACE)
    planted = container().exec_run(["sh", "-c", PLANT], user="10001")
    assert planted.exit_code == 0, planted.output

    await provider.stop(PLACE)
    await provider.ensure(PLACE)

    assert (await provider.request(PLACE, "GET", "health")).json()["version"] == VERSION
    assert (await provider.request(PLACE, "GET", "git/status")).status_code in (200, 409)
    assert container().exec_run(["ls", "/sandbox/taken"]).exit_code != 0
    await provider.remove(PLACE, force=True)


async def test_it_runs_without_any_privilege(provider, container):
    await provider.ensure(PLACE)

    status = container().exec_run(["cat", "/proc/self/status"]).output.decode()

    assert "CapEff:\t0000000000000000" in status
    assert "NoNewPrivs:\t1" in status
    assert container().exec_run(["id", "-u"]).output.strip() == b"10001"


@pytest.mark.django_db(transaction=True)
async def test_decopilot_s_tools_work_in_the_container(provider, container, ada, org, agent, model):
    """Its loop is in this process; the container is there from the first tool on."""
    await provider.remove(PLACE, force=True)
    decopilot = DecopilotProvider(lambda kind: provider)

    async def ask(text):
        def make():
            return harness_input(make_run(ada, org, agent, text, approval_level="readonly"))

        given = await sync_to_async(make)()
        return await Reader(decopilot, given, decision="allow").follow()

    await sync_to_async(add_key)(ada, model)
    talk = await ask("say: nothing to do there")
    assert (talk.text, provider._find(PLACE.handle)) == ("nothing to do there", None)
    write = await ask('tool: write {"file_path": "a.txt", "content": "one"}')
    shell = await ask("bash: id -u; cat a.txt")

    assert write.of("tool-output-available")[0]["output"] == "Wrote 3 bytes to a.txt."
    assert shell.of("tool-output-available")[0]["output"] == "10001\none"
    assert container().status == "running"


async def test_a_busy_sandbox_is_ended_by_force_only(provider):
    await provider.ensure(PLACE)
    asked = {"harness_id": "plain", "fence": 1, "input": turn_input("busy", ["silence"])}
    async with provider.dispatch(PLACE, **asked) as events:
        await anext(events)
        await auntil(lambda: provider._is_at_work(PLACE))

        with pytest.raises(DispatchRefused) as refused:
            await provider.stop(PLACE)

    assert refused.value.code == "sandbox_busy"
    await provider.stop(PLACE, force=True)


async def test_one_that_can_not_start_says_why(engine, image):
    # It lives on for a while: Podman 4.3 may lose what is said in a container's last moment.
    says = "[print('no luck', flush=True) or time.sleep(0.3) for _ in range(8)]"
    fails = f"import time; {says}; raise SystemExit(1)"
    provider = provider_of(engine, image, command=("python", "-c", fails))
    place = Place("docker", None, "broken-0123456789abcdef")

    with pytest.raises(DispatchRefused, match="no luck") as refused:
        await provider.ensure(place)

    assert refused.value.code == "sandbox_failed"
    await provider.remove(place)


async def test_an_image_that_is_missing_says_how_to_build_it(engine):
    provider = provider_of(engine, "localhost/nothing")

    with pytest.raises(DispatchRefused) as refused:
        await provider.ensure(Place("docker", None, "none-0123456789abcdef"))

    assert refused.value.code == "no_image"
    assert "docker build" in refused.value.hint


async def test_an_engine_that_is_away_may_come_back(tmp_path):
    provider = DockerProvider(Engine(url=f"unix://{tmp_path}/none.sock"), token_of=str)

    with pytest.raises(EngineAway):
        await provider.ensure(PLACE)


def test_what_is_put_into_a_container_is_its_users_alone():
    with tarfile.open(fileobj=io.BytesIO(packed({"token": "t"}))) as tar:
        (info,) = tar.getmembers()

    assert (info.mode, info.uid, info.name) == (0o600, 10001, "token")
