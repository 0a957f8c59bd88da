"""The providers' own clients behind our transport, each as a model of pydantic-ai."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import httpx2
from pydantic_ai.models import Model

from agents.keys.selectors import Account, Chosen
from mesh.egress import ssl_context

RETRIES: Final = 2  # of a request that failed temporarily, by the provider's own client


def make_model(chosen: Chosen, client: httpx2.AsyncClient) -> Model:
    """Return the library's model; each provider's client is loaded when it is first used."""
    return _MODELS[chosen.account.provider.speaks](chosen.model_id, chosen.account, client)


def _anthropic(name: str, account: Account, client: httpx2.AsyncClient) -> Model:
    from anthropic import AsyncAnthropic
    from pydantic_ai.models.anthropic import AnthropicModel
    from pydantic_ai.providers.anthropic import AnthropicProvider

    sdk = AsyncAnthropic(
        api_key=account.secret,
        base_url=account.address,
        http_client=client,
        max_retries=RETRIES,
    )
    return AnthropicModel(name, provider=AnthropicProvider(anthropic_client=sdk))


def _openai_client(account: Account, client: httpx2.AsyncClient) -> Any:
    from openai import AsyncOpenAI

    return AsyncOpenAI(
        api_key=account.secret or "none",  # a self-hosted server may ignore it, but requires one
        base_url=account.address,
        http_client=client,
        max_retries=RETRIES,
    )


def _openai(name: str, account: Account, client: httpx2.AsyncClient) -> Model:
    from pydantic_ai.models.openai import OpenAIResponsesModel
    from pydantic_ai.providers.openai import OpenAIProvider

    sdk = _openai_client(account, client)
    return OpenAIResponsesModel(name, provider=OpenAIProvider(openai_client=sdk))


def _chat(name: str, account: Account, client: httpx2.AsyncClient) -> Model:
    from pydantic_ai.models.openai import OpenAIChatModel
    from pydantic_ai.providers.openai import OpenAIProvider

    sdk = _openai_client(account, client)
    return OpenAIChatModel(name, provider=OpenAIProvider(openai_client=sdk))


def _openrouter(name: str, account: Account, client: httpx2.AsyncClient) -> Model:
    from pydantic_ai.models.openrouter import OpenRouterModel, OpenRouterModelSettings
    from pydantic_ai.providers.openrouter import OpenRouterProvider

    sdk = _openai_client(account, client)
    settings = OpenRouterModelSettings(openrouter_usage={"include": True})
    return OpenRouterModel(name, provider=OpenRouterProvider(openai_client=sdk), settings=settings)


def _google(name: str, account: Account, client: httpx2.AsyncClient) -> Model:
    from google.genai import Client
    from google.genai.types import HttpOptions
    from pydantic_ai.models.google import GoogleModel
    from pydantic_ai.providers.google import GoogleProvider

    # For connections of its own, which it never makes, the SDK would load all certificates twice:
    # 80 ms in which the event loop does nothing else.
    tls = ssl_context()
    options = HttpOptions(
        base_url=account.address,
        httpx_async_client=client,
        client_args={"verify": tls},
        async_client_args={"verify": tls, "ssl": tls},
        # Without one the SDK turns the client's own limits off. Milliseconds.
        timeout=int((client.timeout.read or 0) * 1000) or None,
    )
    sdk = Client(vertexai=False, api_key=account.secret, http_options=options)
    return GoogleModel(name, provider=GoogleProvider(client=sdk))


_MODELS: Final[dict[str, Callable[[str, Account, httpx2.AsyncClient], Model]]] = {
    "anthropic": _anthropic,
    "openai": _openai,
    "chat": _chat,
    "openrouter": _openrouter,
    "google": _google,
}
