"""The test of a provider's key: one small request that costs nothing."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from typing import Any, Final

import httpx
from django.conf import settings

from agents.core.providers import Speaks, clean_sentence, sentence_of
from agents.keys.selectors import Account
from agents.models import Outcome
from mesh.egress import AddressRefused, guarded_client
from mesh.http_client import MIB, Limits

LIMITS: Final = Limits(body=2 * MIB, stream=2 * MIB)  # a router lists several hundred models
WAIT: Final = 10.0  # seconds for each step
WHOLE_WAIT: Final = 30.0  # seconds for all of it
MODELS_LIMIT: Final = 1_000

# Each API's list of models. OpenRouter's list is public, so its key endpoint is used instead.
_PATHS: Final[dict[Speaks, str]] = {
    "anthropic": "/v1/models?limit=1000",
    "openai": "/models",
    "chat": "/models",
    "openrouter": "/key",
    "google": "/v1beta/models?pageSize=1000",
}


@dataclass(frozen=True, slots=True)
class Result:
    """The result of a test; ``said`` is the provider's own message, without any key."""

    outcome: Outcome
    said: str = ""
    models: tuple[str, ...] = ()


async def check(account: Account) -> Result:
    """Return whether the provider accepts the key, with its message if it does not.

    Never raises because of the provider's behaviour.
    """
    url = account.address + _PATHS[account.provider.speaks]
    try:
        async with (
            asyncio.timeout(WHOLE_WAIT),
            guarded_client(
                allowed=settings.MESH_PRIVATE_HOSTS,
                limits=LIMITS,
                timeout=WAIT,
                headers=headers_of(account),
            ) as client,
        ):
            answer = await client.get(url)  # a redirect is an answer, not followed
    except AddressRefused as exc:
        return Result(Outcome.REFUSED, str(exc))
    except httpx.TimeoutException:
        return Result(Outcome.UNREACHABLE, f"There was no answer within {WAIT:.0f} seconds.")
    except TimeoutError:
        return Result(Outcome.UNREACHABLE, f"It took longer than {WHOLE_WAIT:.0f} seconds.")
    except (httpx.HTTPError, httpx.InvalidURL) as exc:
        return Result(Outcome.UNREACHABLE, clean_sentence(str(exc), secret=account.secret))
    status, body = answer.status_code, _json(answer.content)
    if status == 200:
        return Result(Outcome.WORKS, models=_models(body))
    said = clean_sentence(sentence_of(body), secret=account.secret)
    if status >= 500:
        return Result(Outcome.UNREACHABLE, said or f"The server answered {status}.")
    return Result(Outcome.REFUSED, said or f"The server answered {status}.")


def headers_of(account: Account) -> dict[str, str]:
    """Return the headers that contain the key, in the provider's form."""
    if account.provider.speaks == "anthropic":
        return {"x-api-key": account.secret, "anthropic-version": "2023-06-01"}
    if account.provider.speaks == "google":
        return {"x-goog-api-key": account.secret}
    return {"authorization": f"Bearer {account.secret}"} if account.secret else {}


def _json(body: bytes) -> Any:
    """Return the JSON of a body; ``None`` if it is not JSON."""
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None


def _models(body: Any) -> tuple[str, ...]:
    """Return the names in a list of models; Google writes ``models/NAME``."""
    rows = body.get("data", body.get("models")) if isinstance(body, dict) else None
    found = []
    for row in rows if isinstance(rows, list) else ():
        name = row.get("id") or row.get("name") if isinstance(row, dict) else None
        if isinstance(name, str):
            found.append(name.removeprefix("models/"))
    return tuple(found[:MODELS_LIMIT])
