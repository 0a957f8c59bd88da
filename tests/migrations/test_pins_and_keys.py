"""The reference's 083, 085 and 088 on our tables."""

import pytest

from tests.migrations.conftest import Chain

pytestmark = pytest.mark.thorough


@pytest.fixture
def threads(transactional_db):
    chain = Chain("threads")
    yield chain
    chain.newest()


@pytest.fixture
def agents(transactional_db):
    chain = Chain("agents")
    yield chain
    chain.newest()


def columns(chain):
    return {field.name for field in chain.model("threads.Thread")._meta.get_fields()}


def test_run_locally_comes_and_goes_and_a_thread_lives_through_both(threads, ada, agent):
    threads.to("0008_hand_messages_over")
    thread = threads.model("threads.Thread").objects.create(
        organization_id=agent.organization_id, owner_id=ada.pk, agent_id=agent.pk, title="kept"
    )
    threads.to("0009_add_run_locally")
    assert threads.model("threads.Thread").objects.get(pk=thread.pk).run_locally is False

    threads.to("0010_drop_run_locally")
    assert "run_locally" not in columns(threads)

    threads.to("0009_add_run_locally")
    assert threads.model("threads.Thread").objects.get(pk=thread.pk).run_locally is False


def keys(chain):
    return chain.model("agents.ProviderKey").objects


@pytest.mark.parametrize(
    ("providers", "left"),
    [
        pytest.param(["claude-code", "codex", "openai"], ["openai"], id="S122 S123"),
        pytest.param(["openai"], ["openai"], id="S124"),
        pytest.param([], [], id="no keys"),
    ],
)
def test_088_purges_marks_of_any_organization_and_label(agents, providers, left):
    agents.to("0003_keep_provider_keys")
    for slug in ("acme", "other"):
        org = agents.model("mesh.Organization").objects.create(slug=slug, name=slug)
        for provider in providers:
            keys(agents).create(organization_id=org.pk, provider=provider, label=slug)

    agents.to("0004_purge_cli_sentinels")

    assert sorted(keys(agents).values_list("provider", flat=True)) == left * 2
    agents.to("0003_keep_provider_keys")
    agents.to("0004_purge_cli_sentinels")
    assert keys(agents).count() == len(left) * 2
