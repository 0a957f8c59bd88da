"""The providers' clients, each with the transport, key and address that it is given."""

from __future__ import annotations

import json
import ssl

import httpx2
import pytest
from pydantic_ai.exceptions import ModelHTTPError
from pydantic_ai.models import ModelRequestParameters

from agents.keys.providers import load_providers
from agents.keys.selectors import Account, Chosen
from threads.decopilot.engine import User, messages_of
from threads.decopilot.provider_clients import make_model

KINDS = ["anthropic", "openai", "openai-compatible", "openrouter", "google"]


@pytest.fixture
def ask():
    """``ask(kind)`` sends one question with the provider's client, and returns its request."""

    async def send(kind):
        sent = []

        def take(request):
            sent.append(request)
            return httpx2.Response(400, json={"error": {"message": "Enough."}})

        async with httpx2.AsyncClient(transport=httpx2.MockTransport(take), timeout=45) as client:
            account = Account(load_providers().find(kind), "http://model.example/v1", "key")
            model = make_model(Chosen("maker/model-x", account), client)
            with pytest.raises(ModelHTTPError):
                await model.request(messages_of([User(("hi",))]), None, ModelRequestParameters())
        (request,) = sent
        return request

    return send


@pytest.mark.parametrize("kind", KINDS)
async def test_the_question_goes_through_the_given_transport(ask, kind):
    request = await ask(kind)

    assert request.url.host == "model.example"
    assert "key" in " ".join(request.headers.values())
    assert "hi" in json.dumps(json.loads(request.content))


@pytest.mark.parametrize("kind", KINDS)
async def test_a_model_may_be_silent_as_long_as_the_transport_allows(ask, kind):
    assert (await ask(kind)).extensions["timeout"]["read"] == 45


@pytest.mark.parametrize("kind", KINDS)
async def test_certificates_are_not_loaded_again(ask, kind, monkeypatch):
    loaded, load = [], ssl.SSLContext.load_verify_locations

    def note(self, *args, **words):
        loaded.append(args)
        return load(self, *args, **words)

    await ask(kind)
    monkeypatch.setattr(ssl.SSLContext, "load_verify_locations", note)
    await ask(kind)

    assert loaded == []
