import pytest

from agents.catalog import load_catalog, load_runnable, models_of
from agents.harness import ADAPTERS
from agents.harness.base import TIERS
from tests.harness.driver import turn


def test_what_can_be_run_is_what_has_an_adapter():
    assert {kind.kind for kind in load_runnable()} == set(ADAPTERS)


def test_the_order_is_that_of_the_popover():
    assert [kind.kind for kind in load_catalog()] == [
        "decopilot",
        "claude-code",
        "codex",
        "acp:gemini",
        "acp:opencode",
        "demo",
    ]


@pytest.mark.parametrize(
    ("tier", "model"), [("fast", "haiku"), ("smart", "sonnet"), ("thinking", "opus")]
)
def test_the_adapter_is_told_the_model_of_the_tier(tier, model):
    models = models_of("claude-code", tier)

    assert turn(models=models).model == model
    assert models["credentialId"] == "laptop:claude-code"


@pytest.mark.parametrize("tier", TIERS)
def test_a_harness_without_models_is_told_the_tier(tier):
    assert models_of("acp:opencode", tier)["thinking"]["id"] == f"acp:opencode:{tier}"
