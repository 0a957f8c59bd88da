import pytest
from django.core.exceptions import ImproperlyConfigured

from agents.catalog import load_catalog, load_runnable, models_of
from agents.harness import ADAPTERS
from agents.harness.base import TIERS
from tests.harness.driver import turn


def test_what_can_be_run_is_what_has_an_adapter_and_decopilot():
    assert {kind.kind for kind in load_runnable()} == {*ADAPTERS, "decopilot"}


def test_the_order_is_that_of_the_popover():
    assert [kind.kind for kind in load_catalog()] == [
        "decopilot",
        "claude-code",
        "codex",
        "acp:gemini",
        "acp:opencode",
        "acp:qwen",
        "acp:copilot",
        "acp:vibe",
        "acp:fast-agent",
        "acp:claude-code",
        "acp:codex",
        "demo",
    ]


@pytest.mark.parametrize(
    ("tier", "model"), [("fast", "haiku"), ("smart", "sonnet"), ("thinking", "opus")]
)
def test_the_adapter_gets_the_model_of_the_tier(tier, model):
    models = models_of("claude-code", tier)

    assert turn(models=models).model == model
    assert models["credentialId"] == "laptop:claude-code"


@pytest.mark.parametrize("tier", TIERS)
def test_a_harness_without_models_gets_the_tier(tier):
    assert models_of("acp:opencode", tier)["thinking"]["id"] == f"acp:opencode:{tier}"


@pytest.fixture
def operators_file(tmp_path, settings):
    """Return what writes the operator's file and has it read."""
    caches = (load_catalog, load_runnable)

    def write(text):
        path = tmp_path / "catalog.toml"
        path.write_text(text)
        settings.MESH_CATALOG = str(path)
        for cache in caches:
            cache.cache_clear()

    yield write
    for cache in caches:
        cache.cache_clear()


def test_an_operator_names_another_model(operators_file):
    operators_file("""
        [[agents]]
        kind = "claude-code"
        tiers = [{ key = "thinking", label = "Opus 1M", model_id = "claude-code:opus[1m]" }]
    """)

    assert models_of("claude-code", "thinking")["thinking"]["id"] == "claude-code:opus[1m]"
    assert models_of("claude-code", "fast")["thinking"]["id"] == "claude-code:haiku"


def test_an_operator_brings_an_agent_that_speaks_acp(operators_file):
    operators_file("""
        [[agents]]
        kind = "acp:goose"
        title = "Goose"
        needs = "capability"
        tiers = [{ key = "smart", label = "Its own", description = "", icon = "sparkles" }]
    """)

    assert load_runnable().find("acp:goose").title == "Goose"


@pytest.mark.parametrize("text", ["agents = 1", "= broken", "[[agents]]\nkind = 'x'"])
def test_a_mistake_in_the_file_names_it(operators_file, text):
    operators_file(text)

    with pytest.raises(ImproperlyConfigured, match=r"MESH_CATALOG .*catalog\.toml"):
        load_catalog()


def test_a_file_that_is_not_there_is_a_mistake(settings, operators_file):
    operators_file("")
    settings.MESH_CATALOG = "/nowhere/catalog.toml"

    with pytest.raises(ImproperlyConfigured, match="No such file"):
        load_catalog()
