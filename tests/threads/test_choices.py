"""Model and effort of a message: offered by the program, chosen by the person, sent to it."""

from __future__ import annotations

import json

import pytest

from agents.core.offers import Offer, read_offer
from agents.harness.base import parse_input
from sandboxes.providers.base import SandboxEvent
from threads import services
from threads.choices import models_of_run, offer_in, offers_on
from threads.errors import EffortUnavailable, ModelUnavailable
from threads.journal.committing import Share, commit
from threads.models import AgentOptions, Thread
from threads.serving.turn_input import harness_input

OFFER = {
    "models": [
        {"id": "gpt-b", "title": "B", "current": True, "efforts": ["low", "ultra"]},
        {"id": "gpt-5.5", "title": "5.5"},
    ],
    "commands": [{"name": "init", "description": "Sets up"}],
}

READY = {"state": "ready", "version": "2.0", "detail": ""}


@pytest.fixture
def codex(thread, link):
    """Ada's thread, pinned to Codex on her machine."""
    link.capabilities, link.harnesses = ["decopilot-sandbox", "codex"], {"codex": READY}
    link.save()
    pins = {"harness_id": "codex", "sandbox_provider_kind": "remote-user", "link": link}
    Thread.objects.filter(pk=thread.pk).update(**pins)
    thread.refresh_from_db()
    return thread


@pytest.fixture
def offered(codex, link):
    """The same, after Codex has said what it offers."""
    tell(codex, link)
    return codex


def tell(thread, link, offer=OFFER):
    row = {"harness_id": "codex", "options": read_offer(offer).as_json()}
    AgentOptions.objects.create(thread=thread, link=link, **row)
    AgentOptions.objects.create(link=link, **row)


def test_what_an_agent_offers_is_kept_for_its_thread_and_its_machine(say, codex, link):
    run = say(to=codex)
    services.claim_run(run_id=run.pk)
    chunk = {"type": "data-agent-options", "data": OFFER, "transient": True}
    event = SandboxEvent(1, {"type": "ui-message-chunk", "chunk": chunk})

    for _ in range(2):
        commit([Share(run.pk, 1, [event])])

    assert [each.id for each in offer_in(codex).models] == ["gpt-b", "gpt-5.5"]
    assert offers_on(link.pk)["codex"] == offer_in(codex)
    assert AgentOptions.objects.count() == 2


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("not_signed_in", "Codex was not signed in when it last ran on adas-laptop."),
        ("cli_missing", "Codex was not found when it last ran on adas-laptop."),
        ("provider_overloaded", ""),
    ],
)
def test_a_run_that_can_not_begin_is_told_in_the_popover(say, client, ada, codex, code, words):
    end(say(to=codex), error={"type": "error", "code": code, "message": "No."})
    client.force_login(ada)

    html = client.get(f"/home/popover?thread={codex.pk}").content.decode()

    assert ("agent__reason--trouble" in html) is bool(words)
    assert words in html


def test_a_run_that_completes_clears_it(say, codex, link):
    end(say(to=codex), error={"type": "error", "code": "not_signed_in", "message": "No."})
    end(say("again", to=codex))

    assert AgentOptions.objects.get(thread=None, link=link).trouble == ""


def end(run, error=None):
    """Play a run: it fails with ``error``, or completes."""
    services.claim_run(run_id=run.pk)
    reason = "error" if error else "stop"
    finish = {"type": "finish", "finishReason": reason}
    bodies = [{"type": "ui-message-chunk", "chunk": {"type": "start", "messageId": str(run.pk)}}]
    bodies += [error] if error else []
    bodies += [{"type": "ui-message-chunk", "chunk": finish}, {"type": "done"}]
    commit([Share(run.pk, 1, [SandboxEvent(n, body) for n, body in enumerate(bodies, 1)])])


def test_what_another_version_offered_is_not_known(offered, link):
    AgentOptions.objects.update(version="1.0")
    link.harnesses = {"codex": {"state": "ready", "version": "2.0"}}
    link.save()

    assert offers_on(link.pk)["codex"] == Offer()


def test_a_choice_is_kept_as_the_threads_and_reaches_the_program(say, offered):
    say(to=offered, model="gpt-b", effort="ultra")
    run = say("and?", to=offered)

    given = parse_input(json.loads(json.dumps(harness_input(run))))

    assert (given.model, given.effort) == ("gpt-b", "ultra")


def test_an_empty_choice_leaves_it_to_the_tier(say, offered):
    say(to=offered, model="gpt-b", effort="ultra")

    run = say("and?", to=offered, model="", effort="", tier="thinking")

    assert (run.model, run.effort) == ("", "")
    assert models_of_run(run)["thinking"]["id"] == "codex:gpt-5.5"


def test_a_tier_never_names_a_model_that_the_program_does_not_list(say, offered):
    run = say(to=offered, tier="fast")

    assert parse_input(harness_input(run)).model == ""


@pytest.mark.parametrize(
    ("fields", "error", "words"),
    [
        ({"model": "gpt-x"}, ModelUnavailable, "It has: gpt-b, gpt-5.5"),
        ({"model": "--yolo"}, ModelUnavailable, "--yolo"),
        ({"model": "gpt-b", "effort": "huge"}, EffortUnavailable, "It has: low, ultra"),
    ],
)
def test_what_the_program_does_not_offer_is_refused_and_stores_nothing(
    say, offered, fields, error, words
):
    with pytest.raises(error, match=words):
        say(to=offered, **fields)

    offered.refresh_from_db()
    assert (offered.model, offered.last_seq) == ("", 0)


def test_before_anything_is_known_a_model_is_taken_at_its_word(say, codex):
    assert say(to=codex, model="gpt-new", effort="high").model == "gpt-new"


def test_an_agent_without_models_takes_none(say, thread):
    Thread.objects.filter(pk=thread.pk).update(harness_id="demo")

    with pytest.raises(ModelUnavailable):
        say(model="gpt-b")


def test_the_api_shows_what_is_offered(client, ada, bob, offered, link):
    client.force_login(ada)
    address = f"/api/home/decopilot/threads/{offered.pk}/agent-options"

    shown = client.get(address).json()
    machine = client.get(
        f"/api/home/decopilot/agent-options?harnessId=codex&linkId={link.pk}"
    ).json()

    assert shown == machine
    assert shown["commands"] == [{"name": "init", "description": "Sets up", "hint": ""}]
    assert shown["models"][0]["efforts"][1] == {"id": "ultra", "title": "Ultra"}


def test_another_persons_machine_is_unknown(client, bob, offered, link):
    client.force_login(bob)

    address = f"/api/home/decopilot/agent-options?harnessId=codex&linkId={link.pk}"

    assert client.get(address).status_code == 404


def test_the_popover_offers_what_the_program_lists(client, ada, offered):
    Thread.objects.filter(pk=offered.pk).update(model="gpt-b", effort="ultra")
    client.force_login(ada)

    html = client.get(f"/home/popover?thread={offered.pk}").content.decode()

    assert "Codex · B · Ultra" in html
    assert html.count("Codex does not offer it here") == 2
    assert 'value="codex:thinking?model=gpt-b"' in html
