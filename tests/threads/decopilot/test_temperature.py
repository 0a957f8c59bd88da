"""A message's temperature reaches the model, or the run says that it can't."""

from __future__ import annotations

import pytest
from asgiref.sync import sync_to_async

from agents.models import DefaultModel
from tests.harness.shapes import check_chunks
from tests.threads.decopilot.conftest import add_key, make_run
from tests.threads.decopilot.test_loop import started
from threads.serving.orders import harness_input

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.mark.parametrize("kind", ["anthropic", "openai-compatible", "openrouter", "google"])
async def test_it_is_sent_to_the_provider(transactional_db, ada, org, agent, standin, ask, kind):
    def make():
        add_key(ada, standin, provider=kind)
        return harness_input(make_run(ada, org, agent, "say: hi", temperature=0.25))

    run = await ask(await started(make))
    body = standin.messages[-1].body

    assert run.text == "hi"
    assert body.get("temperature", body.get("generationConfig", {}).get("temperature")) == 0.25


async def test_without_one_the_provider_s_own_counts(runs, ask, standin):
    await ask(await started(runs, "say: hi"))

    assert "temperature" not in standin.messages[-1].body


async def test_a_model_that_takes_none_is_not_asked(runs, ask, standin):
    given = await started(runs, 'say: {"temperature": 1}', temperature=0.25)
    await sync_to_async(DefaultModel.objects.update)(model_id="claude-opus-4-7")
    run = await ask(given)

    check_chunks(run.chunks)
    assert (run.error["code"], standin.messages) == ("temperature_unsupported", [])
