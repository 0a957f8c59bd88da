"""Testing a key: works, refused or unreachable, in the provider's own words."""

from __future__ import annotations

import gzip

import pytest

from agents.core.providers import sentence_of
from agents.keys.check import check
from agents.keys.providers import load_providers
from agents.keys.selectors import Account
from mesh.http_client import Limits
from tests.agents.keys.conftest import SECRET

pytestmark = pytest.mark.django_db


def account(url, kind="anthropic", secret=SECRET):
    return Account(load_providers().find(kind), url, secret)


@pytest.mark.parametrize(
    ("kind", "path", "header"),
    [
        ("anthropic", "/v1/models", "x-api-key"),
        ("openai", "/models", "authorization"),
        ("openai-compatible", "/models", "authorization"),
        ("openrouter", "/key", "authorization"),
        ("google", "/v1beta/models", "x-goog-api-key"),
    ],
)
async def test_each_provider_is_asked_in_its_own_way(provider, kind, path, header):
    result = await check(account(provider.url, kind))

    asked, headers = provider.asked[0]
    assert asked.partition("?")[0] == path
    assert SECRET in {name.lower(): value for name, value in headers.items()}[header]
    assert (result.outcome, SECRET in asked) == ("works", False)


async def test_a_list_of_models_is_kept(provider):
    provider.body = {"models": [{"name": "models/gemini-x"}, {"id": "b"}, {"odd": 1}, "text"]}

    assert (await check(account(provider.url, "google"))).models == ("gemini-x", "b")


@pytest.mark.parametrize(
    ("status", "body", "outcome", "said"),
    [
        pytest.param(
            401,
            {"type": "error", "error": {"message": "invalid x-api-key"}},
            "refused",
            "invalid x-api-key",
            id="refused",
        ),
        pytest.param(
            401,
            {"error": {"message": f"Incorrect API key provided: {SECRET}"}},
            "refused",
            "Incorrect API key provided: …",
            id="the sentence has the key in it",
        ),
        pytest.param(403, [{"error": {"message": "no"}}], "refused", "no", id="in a list"),
        pytest.param(429, {}, "refused", "The server answered 429.", id="no words"),
        pytest.param(302, b"", "refused", "The server answered 302.", id="a redirect"),
        pytest.param(404, b"<html>", "refused", "The server answered 404.", id="a page"),
        pytest.param(529, {"error": "Overloaded"}, "unreachable", "Overloaded", id="overloaded"),
    ],
)
async def test_the_provider_s_own_sentence(provider, status, body, outcome, said):
    provider.status, provider.body = status, body

    result = await check(account(provider.url))
    assert (result.outcome, result.said) == (outcome, said)


@pytest.mark.parametrize(
    ("packing", "times"), [("gzip, gzip", 2), ("gzip, gzip, gzip", 3), ("br", 0)]
)
async def test_an_answer_in_several_packings_is_not_unpacked(provider, packing, times):
    provider.body = b'{"data": [{"id": "x"}]}'
    for _ in range(times):
        provider.body = gzip.compress(provider.body)
    provider.headers = {"content-encoding": packing}

    assert (await check(account(provider.url))).outcome == "unreachable"
    assert provider.asked[0][1]["accept-encoding"] == "identity"


async def test_a_packed_answer_has_the_limit_of_any_other(provider, monkeypatch):
    monkeypatch.setattr("agents.keys.check.LIMITS", Limits(body=10_000))
    provider.body = gzip.compress(b'{"data": ["' + b"x" * 20_000 + b'"]}')
    provider.headers = {"content-encoding": "gzip"}

    result = await check(account(provider.url))
    assert (result.outcome, "larger than" in result.said) == ("unreachable", True)


async def test_json_that_is_nested_too_deep_says_nothing(provider):
    provider.body = b"[" * 50_000

    assert (await check(account(provider.url))).models == ()


async def test_nobody_there_is_unreachable(provider):
    provider.close()

    assert (await check(account(provider.url))).outcome == "unreachable"


async def test_a_private_address_is_refused_also_when_it_was_allowed_once(settings, provider):
    from mesh.lib.addresses import parse_allowed

    settings.MESH_PRIVATE_HOSTS = parse_allowed("")
    result = await check(account(provider.url))

    assert (result.outcome, "not public" in result.said) == ("refused", True)
    assert provider.asked == []


@pytest.mark.parametrize("body", [None, 1, "text", [], {"error": 5}, {"error": {"message": 5}}])
def test_any_body_has_a_sentence_or_none(body):
    assert isinstance(sentence_of(body), str)
