"""One table of failures: what happened, by kind, in words that help."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agents.harness.failures import CODES, SPOILING, Facts, classify, crashed, plain, redact
from tests.examples import up_to
from tests.harness.cli import ROOT

FACTS = Facts("Parrot", "Run parrot login.", model="big-1")
KEY = "sk-ant-api03-abcdefghijklmnop"


@pytest.mark.parametrize(
    ("told", "code", "words"),
    [
        pytest.param(
            {"words": "Please run `auggie login`, or log in first."},
            "not_signed_in",
            "`auggie login`",
            id="the agent's own command",
        ),
        pytest.param(
            {"words": "Missing API key for mistral provider. Set MISTRAL_API_KEY."},
            "not_signed_in",
            "Set MISTRAL_API_KEY",
            id="a missing variable",
        ),
        pytest.param(
            {"words": "Authentication required", "name": "auth_required"},
            "not_signed_in",
            "Run parrot login.",
            id="by its name",
        ),
        pytest.param(
            {"words": "You've hit your session limit · resets 3pm · /login for another account"},
            "usage_limit",
            "resets 3pm",
            id="a plan's limit that mentions /login",
        ),
        pytest.param(
            {"words": "Claude AI usage limit reached|1764500000", "status": 429},
            "usage_limit",
            "resets 2025-11-30 10:53 UTC",
            id="a plan's limit with a time in seconds",
        ),
        pytest.param(
            {"words": "insufficient_quota", "status": 429}, "usage_limit", "plan", id="quota"
        ),
        pytest.param({"words": "no", "status": 401}, "agent_key_refused", "(status 401)", id="401"),
        pytest.param({"words": "no", "status": 403}, "agent_key_refused", "key", id="403"),
        pytest.param(
            {"words": "This would exceed your rate limit.", "status": 429},
            "rate_limited",
            "no more requests",
            id="429",
        ),
        pytest.param({"words": "busy", "status": 503}, "provider_overloaded", "busy", id="503"),
        pytest.param(
            {"words": "API Error: 529 Overloaded", "name": "server_error"},
            "provider_overloaded",
            "overloaded",
            id="529 in the words",
        ),
        pytest.param({"status": 500}, "provider_failed", "(status 500)", id="500"),
        pytest.param(
            {"words": "prompt is too long: 2 tokens > 1", "status": 400},
            "context_too_long",
            "too long",
            id="context",
        ),
        pytest.param(
            {"words": "no", "name": "contextWindowExceeded"}, "context_too_long", "", id="by name"
        ),
        pytest.param(
            {"words": '{"error": {"message": "model_not_found: gone"}}', "status": 404},
            "model_unavailable",
            "The model big-1 is not available",
            id="model",
        ),
        pytest.param(
            {"words": "This request violates our Usage Policy."}, "model_refused", "", id="refused"
        ),
        pytest.param(
            {"words": "Sonnet 5's safeguards flagged this message."}, "model_refused", "", id="flag"
        ),
        pytest.param(
            {"words": "400: Could not process image", "status": 400}, "file_refused", "", id="file"
        ),
        pytest.param(
            {"words": "Invalid 'input[3].content[1].image_url'. It is an unsupported image."},
            "file_refused",
            "refused a picture",
            id="file of OpenAI",
        ),
        pytest.param(
            {"words": "No endpoints found that support image input", "status": 404},
            "file_refused",
            "",
            id="a blind model",
        ),
        pytest.param(
            {"words": "big-9 requires a newer version of Parrot"}, "harness_too_old", "", id="old"
        ),
        pytest.param({"words": "ENOSPC: write"}, "disk_full", "disk", id="disk"),
        pytest.param(
            {"words": "getaddrinfo ENOTFOUND api.example"}, "provider_unreachable", "", id="dns"
        ),
        pytest.param(
            {"words": "self-signed certificate in chain"}, "provider_unreachable", "", id="tls"
        ),
        pytest.param({"words": "as told", "status": 400}, "model_api_error", "as told", id="400"),
        pytest.param(
            {"words": "exception TypeError: fetch failed sending request", "status": 500},
            "provider_unreachable",
            "could not reach",
            id="Node's own words under a status",
        ),
        pytest.param(
            {"words": "high demand", "name": "internalServerError", "is_provider": True},
            "provider_failed",
            "high demand",
            id="a vague name",
        ),
        pytest.param(
            {"words": "no", "name": "httpConnectionFailed", "status": 400, "is_provider": True},
            "model_api_error",
            "no",
            id="a status says more than a vague name",
        ),
        pytest.param(
            {"words": "no", "name": "responseStreamConnectionFailed", "is_provider": True},
            "provider_unreachable",
            "could not reach",
            id="a connection",
        ),
        pytest.param({"words": "Oops", "is_provider": True}, "model_api_error", "Oops", id="said"),
        pytest.param({"words": "Oops"}, "harness_failed", "Parrot stopped. It said: Oops", id="?"),
        pytest.param({"status": True, "words": ""}, "harness_failed", "Parrot stopped.", id="{}"),
    ],
)
def test_a_failure_is_named_by_its_kind(told, code, words):
    failure = classify(FACTS, **told)

    assert failure.code == code
    assert words in failure.sentence


@pytest.mark.parametrize(
    ("compacts", "code"), [(True, "context_full"), (False, "context_too_long")]
)
def test_what_to_do_about_a_long_conversation_depends_on_the_agent(compacts, code):
    facts = Facts("Parrot", compacts=compacts)

    assert classify(facts, words="prompt is too long").code == code


@pytest.mark.parametrize(
    ("status", "spoils"), [(401, True), (403, True), (429, False), (529, False), (400, False)]
)
def test_only_sign_in_and_settings_spoil_a_program(status, spoils):
    assert classify(FACTS, words="no", status=status).spoils_program is spoils
    assert set(CODES) >= SPOILING


WORDS = st.sampled_from(
    ["/login", "usage limit|9999999999", "{", "}", '{"error":', "529", "HTTP 401", "\ud800"]
)


@settings(max_examples=up_to(300), deadline=None)
@given(
    words=st.lists(WORDS | st.text(max_size=30)).map(" ".join),
    status=st.none() | st.integers() | st.booleans() | st.text() | st.floats(),
    name=st.text(max_size=20),
)
def test_no_words_and_no_status_raise(words, status, name):
    failure = classify(FACTS, words=words, status=status, name=name)

    assert failure.code in CODES
    failure.sentence.encode()


KEYS = st.sampled_from(
    [
        KEY,
        "sk-proj-" + "a1B2" * 10,
        "AIza" + "Sy_0-9" * 6,
        "ghp_" + "a1" * 18,
        "github_pat_" + "a1" * 20,
        "Bearer abcdef0123456789",
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln",
        "https://ada:secret12@proxy.example/",
        "https://x.example/?key=secret1234",
    ]
)


@settings(max_examples=up_to(200), deadline=None)
@given(before=st.text(max_size=20), key=KEYS, after=st.text(max_size=20), status=st.integers())
def test_no_key_is_quoted(before, key, after, status):
    words = f"{before} {key} {after}"
    secret = key.removeprefix("Bearer ").removeprefix("https://ada:").partition("@")[0][-10:]

    assert secret not in classify(FACTS, words=words, status=status).sentence
    assert secret not in crashed("Parrot", 1, words).sentence


@pytest.mark.parametrize(
    "harmless", ["Missing API key: MISTRAL_API_KEY", "ask-anything-else", "task sk- short"]
)
def test_what_is_no_key_stays(harmless):
    assert redact(harmless) == harmless


@pytest.mark.parametrize(
    ("given_words", "shown"),
    [
        pytest.param('{"error": {"message": "As told."}}', "As told.", id="a body"),
        pytest.param('400 {"error":{"message":"no"}}', "400: no", id="words before a body"),
        pytest.param('{"message": "{\\"error\\": \\"inner\\"}"}', "inner", id="a body in a body"),
        pytest.param("<html><title>502 Bad Gateway</title>", "502 Bad Gateway", id="a page"),
        pytest.param("<html>", "a page of HTML", id="a page without a title"),
        pytest.param('{"error": 1}', '{"error": 1}', id="an odd body"),
        pytest.param("x" * 2_000, "x" * 1_000 + "…", id="long"),
    ],
)
def test_the_providers_words_without_the_wrapping(given_words, shown):
    assert plain(given_words) == shown


@pytest.mark.parametrize(
    ("code", "stderr", "named", "words"),
    [
        pytest.param(3, "one\n\x1b[31mtwo\x1b[0m\n", "harness_crashed", "words: two", id="words"),
        pytest.param(-9, "", "harness_crashed", "by a signal", id="a signal"),
        pytest.param(None, "", "harness_crashed", "by a signal", id="unknown"),
        pytest.param(1, "No space left on device\nbye", "disk_full", "disk", id="disk"),
    ],
)
def test_a_crash_is_told_with_its_last_words(code, stderr, named, words):
    failure = crashed("Parrot", code, stderr)

    assert (failure.code, words in failure.sentence) == (named, True)


def test_the_page_about_the_agents_has_every_code():
    page = (ROOT / "docs/agents.md").read_text()

    assert [code for code in CODES if f"`{code}`" not in page] == []
