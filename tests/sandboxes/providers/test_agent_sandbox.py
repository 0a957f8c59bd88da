"""The ``agent-sandbox`` kind, against a stand-in for the Kubernetes API that checks requests."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime, timedelta

import pytest

from mesh import keys
from sandboxes.providers.agent_sandbox import (
    AgentSandboxProvider,
    Cluster,
    ClusterAway,
    is_ready,
    refusal_of,
)
from sandboxes.providers.base import DispatchRefused, NotOffered, Place, SandboxDown
from tests.sandboxes.providers.conformance import ProviderConformance
from tests.sandboxes.providers.kubernetes_stand_in import KubernetesStandIn
from tests.waiting import auntil

pytestmark = pytest.mark.programs  # the claims are real sandboxes

HANDLE = "main-0123456789abcdef"
PLACE = Place(
    "agent-sandbox", None, HANDLE, repo={"cloneUrl": "https://github.com/acme/app"}, title="Mesh"
)
SCRATCH = Place("agent-sandbox", None, HANDLE)
NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    stand_in = KubernetesStandIn(tmp_path_factory.mktemp("cluster"))
    yield stand_in
    stand_in.close()


@pytest.fixture
def api(tmp_path):
    stand_in = KubernetesStandIn(tmp_path)
    yield stand_in
    stand_in.close()


def provider_of(api, *, now=NOON, **options):
    cluster = Cluster(
        config=api.kubeconfig(**options), namespace="sandboxes", pool="mesh", port=api.port
    )
    return AgentSandboxProvider(cluster, token_of=lambda handle: f"t-{handle}", now=lambda: now)


class TestConformance(ProviderConformance):
    @pytest.fixture
    def provider(self, shared):
        return provider_of(shared)

    @pytest.fixture
    async def place(self, provider):
        await provider.ensure(SCRATCH)
        return SCRATCH

    @pytest.fixture
    def break_sandbox(self, shared):
        return shared.kill


async def test_the_claim_says_all_that_the_sandbox_is_made_from(api):
    await provider_of(api).start(PLACE)

    (claim,) = api.claims.values()
    env = {one["name"]: one["value"] for one in claim["spec"]["env"]}
    assert claim["metadata"]["name"] == claim["metadata"]["labels"]["mesh/handle"] == HANDLE
    assert claim["spec"]["warmPoolRef"] == {"name": "mesh"}
    assert claim["spec"]["lifecycle"] == {
        "shutdownTime": "2026-11-23T12:00:00Z",
        "shutdownPolicy": "Delete",
    }
    assert env["DAEMON_TOKEN"] == f"t-{HANDLE}"
    assert env["DAEMON_SERVER_KEY"] == keys.public_key()
    assert json.loads(env["DAEMON_SPEC"]) == {
        "handle": HANDLE,
        "repo": {"cloneUrl": "https://github.com/acme/app"},
    }


async def test_claiming_again_changes_nothing(api):
    await provider_of(api).start(PLACE)
    await provider_of(api).start(PLACE)

    assert len(api.claims) == 1


@pytest.mark.parametrize(
    ("later", "ends"),
    [(timedelta(hours=11), "2026-11-23T12:00:00Z"), (timedelta(hours=13), "2026-11-24T01:00:00Z")],
)
async def test_a_claim_in_use_is_renewed_but_not_each_time(api, later, ends):
    await provider_of(api).ensure(SCRATCH)
    await provider_of(api, now=NOON + later).ensure(SCRATCH)

    assert api.claims[HANDLE]["spec"]["lifecycle"]["shutdownTime"] == ends


async def test_removing_takes_the_claim_and_is_safe_to_repeat(api):
    provider = provider_of(api)
    await provider.ensure(SCRATCH)

    await provider.remove(SCRATCH)
    await provider.remove(SCRATCH)

    assert api.claims == {}
    with pytest.raises(SandboxDown):
        await provider.request(SCRATCH, "GET", "health")


async def test_it_is_stopped_with_its_files_kept_and_started_again(api):
    provider = provider_of(api)
    await provider.ensure(SCRATCH)
    await provider.request(SCRATCH, "POST", "write", json={"path": "kept", "content": "x"})

    await provider.stop(SCRATCH)
    await provider.stop(SCRATCH)
    with pytest.raises(SandboxDown):
        await provider.request(SCRATCH, "GET", "health")
    assert api.processes == {}

    await provider.ensure(SCRATCH)
    read = await provider.request(SCRATCH, "POST", "read", json={"path": "kept"})
    assert "x" in read.json()["content"]


async def test_one_without_a_volume_can_not_be_stopped(api):
    api.has_volume = False
    provider = provider_of(api)
    await provider.ensure(SCRATCH)

    with pytest.raises(NotOffered, match="no volume"):
        await provider.stop(SCRATCH)
    assert (await provider.request(SCRATCH, "GET", "health")).is_success


async def test_what_is_not_there_is_as_good_as_stopped(api):
    await provider_of(api).stop(SCRATCH)


@pytest.mark.parametrize("has_volume", [True, False])
async def test_one_that_hangs_is_started_again_unless_its_files_would_go(
    api, monkeypatch, has_volume
):
    monkeypatch.setattr(AgentSandboxProvider, "hung_after", 0.5)
    api.has_volume, provider = has_volume, provider_of(api)
    await provider.ensure(SCRATCH)
    (hung,) = api.processes.values()
    api.hang()

    if has_volume:
        await provider.ensure(SCRATCH)
        assert (await provider.request(SCRATCH, "GET", "health")).is_success
        assert hung.poll() is not None
    else:
        with pytest.raises(DispatchRefused, match="hangs"):
            await provider.ensure(SCRATCH)
        hung.kill()


async def test_a_deletion_does_not_wait_for_the_start(api):
    api.ready = False
    provider = provider_of(api)
    starting = asyncio.create_task(provider.ensure(SCRATCH))
    await auntil(lambda: api.claims)

    await provider.remove(SCRATCH)

    with pytest.raises(DispatchRefused) as refused:
        await starting
    assert (refused.value.code, api.claims) == ("sandbox_deleted", {})


async def test_a_claim_that_will_never_be_ready_says_why(api):
    api.ready, api.reason = False, "WarmPoolNotFound"

    with pytest.raises(DispatchRefused, match="because of WarmPoolNotFound"):
        await provider_of(api).ensure(SCRATCH)


async def test_one_that_takes_too_long_says_so(api, monkeypatch):
    api.ready = False
    monkeypatch.setattr(AgentSandboxProvider, "start_limit", 0.3)

    with pytest.raises(DispatchRefused, match="did not answer"):
        await provider_of(api).ensure(SCRATCH)


async def test_who_may_not_claim_is_told_by_the_api_itself(api):
    with pytest.raises(DispatchRefused, match="forbidden") as refused:
        await provider_of(api, token="wrong").ensure(SCRATCH)

    assert refused.value.code == "cluster_refused"


async def test_an_api_that_is_away_may_come_back(api):
    provider = provider_of(api)
    api.server.shutdown()
    api.server.server_close()

    with pytest.raises(ClusterAway):
        await provider.ensure(SCRATCH)


@pytest.mark.parametrize(
    ("claim", "ready", "why"),
    [
        (None, False, ""),
        ({}, False, ""),
        ({"status": {"conditions": "x"}}, False, ""),
        ({"status": {"conditions": [1, {"type": "Ready", "status": "True"}]}}, True, ""),
        ({"status": {"conditions": [{"type": "Ready", "status": "False"}]}}, False, ""),
        (
            {"status": {"conditions": [{"type": "Ready", "reason": "ClaimExpired"}]}},
            False,
            "ClaimExpired",
        ),
    ],
)
def test_what_a_claims_status_means(claim, ready, why):
    assert (is_ready(claim), refusal_of(claim)) == (ready, why)
