"""Whatever the history of a chat is, each provider accepts the request that is made of it."""

from __future__ import annotations

import asyncio
import base64
import json

import httpx2
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic_ai.exceptions import ModelHTTPError
from pydantic_ai.models import ModelRequestParameters

from agents.harness.decopilot.memory import SETTLED, fit, turns_of
from agents.harness.decopilot.valid_turns import valid
from agents.keys.providers import load_providers
from agents.keys.selectors import Account, Chosen
from tests.pictures import picture
from tests.standin.rules import complaint_of
from threads.decopilot.engine import messages_of
from threads.decopilot.provider_clients import make_model

PIXEL = base64.b64encode(picture("PNG", (1, 1))).decode()
TEXTS = st.sampled_from(["", " ", "\n", "hi", "a\ud800b", "nul\0", "\udfff", "x" * 300]) | st.text()
IDS = st.sampled_from(["toolu_1", "functions.bash:0", "", "call|fc_1", "c" * 70, "ü", "a b"])
NAMES = st.sampled_from(["bash", "read", "mcp__a__b", "no.such/tool", "", "9lives", "n" * 90])
JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=5,
)


def part(**fields):
    return st.fixed_dictionaries(fields)


CALLS = part(
    type=st.just("dynamic-tool") | NAMES.map("tool-{}".format),
    toolName=NAMES,
    toolCallId=IDS,
    state=st.sampled_from([*SETTLED, "input-available", "approval-requested"]),
    input=JSON,
    output=JSON,
    errorText=TEXTS,
)
# A picture is read before it is stored (``threads.core.pictures``), so it is one.
FILES = st.sampled_from(
    [
        ("image/png", f"data:image/png;base64,{PIXEL}"),
        ("image/png", "/api/home/decopilot/files/gone"),
        ("text/plain", "data:,hi"),
        ("text/plain", "data:,"),
        ("application/pdf", "data:,%ff"),
    ]
).flatmap(
    lambda file: part(
        type=st.just("file"), mediaType=st.just(file[0]), url=st.just(file[1]), filename=TEXTS
    )
)
PARTS = st.one_of(
    part(type=st.just("text"), text=TEXTS),
    part(type=st.just("reasoning"), text=TEXTS),
    part(type=st.just("step-start")),
    part(type=st.just("data-notice"), data=JSON),
    CALLS,
    FILES,
)
MESSAGES = part(
    role=st.sampled_from(["user", "assistant", "system"]), parts=st.lists(PARTS, max_size=5)
)


def request_for(kind, turns):
    """Return path and body of the request that the provider's own client makes of the turns."""
    sent = []

    def take(request):
        sent.append((request.url.path, json.loads(request.content)))
        return httpx2.Response(400, json={"error": {"message": "Enough."}})

    async def ask():
        async with httpx2.AsyncClient(transport=httpx2.MockTransport(take), timeout=60) as client:
            account = Account(load_providers().find(kind), "http://model.example/v1", "key")
            model = make_model(Chosen("model-x", account), client)
            with pytest.raises(ModelHTTPError):
                await model.request(messages_of(turns), None, ModelRequestParameters())

    asyncio.run(ask())
    ((path, body),) = sent
    return path, body


@pytest.mark.parametrize("kind", ["anthropic", "openai", "openai-compatible", "google"])
@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None, max_examples=60)
@given(history=st.lists(MESSAGES, max_size=8), said=st.lists(PARTS, max_size=2))
def test_any_history_makes_a_request_that_the_provider_accepts(kind, history, said):
    messages = [*history, {"role": "user", "parts": said}]

    path, body = request_for(kind, valid(fit(turns_of(messages), limit=2_000)))

    assert complaint_of(path, body) == ""
    assert "\\u0000" not in json.dumps(body)
