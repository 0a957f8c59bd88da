"""Another tier for a run whose model is not available: named where there is one."""

from __future__ import annotations

import pytest

from agents.core.offers import read_offer
from agents.models import DefaultModel
from threads import services
from threads.models import AgentOptions, Message, Run, Thread
from threads.run.instead import instead_of

SMART = {"tier": "smart", "title": "GPT-5.3 Codex"}
THINKING = {"tier": "thinking", "title": "GPT-5.5"}


@pytest.fixture
def codex(thread, link):
    """Ada's thread, pinned to Codex on her machine."""
    link.capabilities = ["decopilot-sandbox", "codex"]
    link.save()
    pins = {"harness_id": "codex", "sandbox_provider_kind": "remote-user", "link": link}
    Thread.objects.filter(pk=thread.pk).update(**pins)
    thread.refresh_from_db()
    return thread


@pytest.fixture
def fail(codex, say):
    """Return ``fail(code, …)``: a run that has failed with that code."""

    def end(code="model_unavailable", **choice):
        run = say(str(Run.objects.count()), to=codex, **choice)
        services.claim_run(run_id=run.pk)
        services.finish_run(run_id=run.pk, state="failed", code=code)
        return Run.objects.get(pk=run.pk)

    return end


def lists(thread, *models):
    offer = read_offer({"models": [{"id": each, "title": each} for each in models]}).as_json()
    AgentOptions.objects.create(thread=thread, link=thread.link, harness_id="codex", options=offer)


def test_the_answer_and_its_readers_are_told_another_tier_by_name(fail, codex, chunks):
    run = fail(tier="thinking")

    error = Message.objects.get(pk=run.pk).metadata["error"]
    assert error["instead"] == SMART
    assert error["hint"].startswith("Choose “GPT-5.3 Codex”")
    told = [each["data"] for each in chunks(codex) if each["type"] == "data-run-status"]
    assert (told[-1]["instead"], told[-1]["hint"]) == (SMART, error["hint"])


def test_one_whose_model_the_program_does_not_list_is_not_offered(fail, codex):
    lists(codex, "gpt-5.5", "gpt-5.4-mini")

    assert instead_of(fail(tier="fast")) == THINKING


def test_what_was_not_available_before_is_not_offered_again(fail):
    fail(tier="smart")

    assert instead_of(fail(tier="thinking")) == {"tier": "fast", "title": "GPT-5.4 Mini"}
    assert instead_of(fail(tier="fast")) is None


def test_a_model_that_was_picked_leaves_the_tier(fail):
    run = fail(tier="smart", model="gpt-5.4-mini")

    assert instead_of(run) == SMART


def test_the_tier_of_the_model_that_failed_is_not_offered(fail):
    assert instead_of(fail(tier="fast", model="gpt-5.3-codex")) == THINKING


def test_where_nothing_else_is_listed_none_is_named(fail, codex):
    lists(codex, "gpt-5.5")
    run = fail(tier="thinking")

    error = Message.objects.get(pk=run.pk).metadata["error"]
    assert "instead" not in error
    assert error["hint"] == "Choose another tier or model, then send the message again."


def test_other_failures_name_no_tier(fail):
    run = fail("rate_limited", tier="thinking")

    assert "instead" not in Message.objects.get(pk=run.pk).metadata["error"]


def test_decopilot_offers_a_tier_that_has_a_model(thread, say, key):
    run = say(to=thread, tier="thinking")
    Thread.objects.filter(pk=thread.pk).update(harness_id="decopilot")
    run = Run.objects.select_related("thread").get(pk=run.pk)

    assert instead_of(run)["tier"] == "smart"
    DefaultModel.objects.filter(tier="smart").delete()
    assert instead_of(run)["tier"] == "fast"
