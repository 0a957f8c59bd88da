"""S18–S22, D-HM1, D-HM3, D-HM5, and the reference's vectors."""

import hashlib
import json
from contextlib import nullcontext
from pathlib import Path

import pytest

from links.wire.errors import BadSignature, MissingHeaders, NonceReplay, TimestampDrift
from links.wire.nonces import Nonces
from links.wire.signing import (
    DIGEST,
    MAX_DRIFT,
    NONCE,
    SIGNATURE,
    STREAMED,
    TIMESTAMP,
    canonical,
    is_streamed,
    prove_head,
    sign,
    signed_headers,
    verify,
)

SECRET = "test-secret-32-bytes-or-more-padding-padding"
AT = 1_779_000_000
REQUEST = {"method": "POST", "target": "/_sandbox/echo-1/dispatch?x=1", "body": b"{}"}
HEADERS = signed_headers(SECRET, **REQUEST, now=AT, nonce="n1")


@pytest.mark.parametrize(
    ("method", "target", "nonce", "body", "signature"),
    [
        pytest.param(
            "POST",
            "/_sandbox/dispatch",
            "fixed-nonce",
            b"{}",
            "5da679847a36c169fff4e3094523000b5b7f3a97e627a81b48d7d9122e584b96",
            id="POST",
        ),
        pytest.param(
            "post",
            "/_sandbox/dispatch",
            "fixed-nonce",
            b"{}",
            "5da679847a36c169fff4e3094523000b5b7f3a97e627a81b48d7d9122e584b96",
            id="post",
        ),
        pytest.param(
            "GET",
            "/api/sandboxes",
            "00112233445566778899aabbccddeeff",
            b"",
            "e077ba791ab84a62943f19f0812fa94fc9b05812f01745b8e1146e0829866feb",
            id="GET without a body",
        ),
    ],
)
def test_the_vectors_of_the_reference(method, target, nonce, body, signature):
    made = sign(SECRET, method=method, target=target, timestamp=str(AT), nonce=nonce, body=body)

    assert made == signature


def test_five_lines_without_a_last_line_feed():
    lines = canonical(method="get", target="/a?b", timestamp="1", nonce="n", body=b"").split("\n")

    assert lines[:4] == ["GET", "/a?b", "1", "n"]
    assert len(lines) == 5


CASES = [
    ("S18 fresh", {}, {}, None),
    ("S20 another secret", {"secret": "another"}, {}, BadSignature),
    ("another method", {"method": "PUT"}, {}, BadSignature),
    ("a sibling's handle", {"target": "/_sandbox/echo-2/dispatch?x=1"}, {}, BadSignature),
    ("another query", {"target": "/_sandbox/echo-1/dispatch?x=2"}, {}, BadSignature),
    ("no query", {"target": "/_sandbox/echo-1/dispatch"}, {}, BadSignature),
    ("another body", {"body": b"{ }"}, {}, BadSignature),
    ("another nonce", {}, {"x-mesh-nonce": "n2"}, BadSignature),
    ("another time", {}, {"x-mesh-timestamp": str(AT + 1)}, BadSignature),
    ("upper-case hex", {}, {"x-mesh-signature": HEADERS["x-mesh-signature"].upper()}, BadSignature),
    ("hex and junk", {}, {"x-mesh-signature": HEADERS["x-mesh-signature"] + "00"}, BadSignature),
    ("not ASCII", {}, {"x-mesh-signature": "é" * 64}, BadSignature),
    ("no signature", {}, {"x-mesh-signature": ""}, MissingHeaders),
    ("no time", {}, {"x-mesh-timestamp": ""}, MissingHeaders),
    ("no nonce", {}, {"x-mesh-nonce": ""}, MissingHeaders),
    ("1e9 is no plain time", {}, {"x-mesh-timestamp": "1e9"}, MissingHeaders),
    ("a time with a sign", {}, {"x-mesh-timestamp": f"+{AT}"}, MissingHeaders),
    ("a time in other digits", {}, {"x-mesh-timestamp": "١٧٧٩٠٠٠٠٠٠"}, MissingHeaders),
    ("late, just in time", {"now": AT + MAX_DRIFT}, {}, None),
    ("early, just in time", {"now": AT - MAX_DRIFT}, {}, None),
    ("too late", {"now": AT + MAX_DRIFT + 1}, {}, TimestampDrift),
    ("too early", {"now": AT - MAX_DRIFT - 1}, {}, TimestampDrift),
    ("forged and late: only 'forged' is told", {"secret": "x", "now": 0}, {}, BadSignature),
]


@pytest.mark.parametrize(
    ("changes", "headers", "error"), [pytest.param(c, h, e, id=name) for name, c, h, e in CASES]
)
def test_verify(changes, headers, error):
    given = {"secret": SECRET, **REQUEST, "now": AT, "nonces": Nonces(), **changes}

    with pytest.raises(error) if error else nullcontext():
        verify(given.pop("secret"), headers={**HEADERS, **headers}, **given)


def test_a_nonce_is_good_once():  # S22
    nonces = Nonces()
    verify(SECRET, **REQUEST, headers=HEADERS, now=AT, nonces=nonces)

    with pytest.raises(NonceReplay) as refused:
        verify(SECRET, **REQUEST, headers=HEADERS, now=AT, nonces=nonces)
    assert refused.value.body()["error"]["reason"] == "nonce_replay"


@pytest.mark.parametrize("now", [AT, AT + 99], ids=["forged", "late"])
def test_what_is_refused_leaves_no_nonce_behind(now):
    nonces = Nonces()
    headers = HEADERS if now != AT else {**HEADERS, "x-mesh-signature": "0" * 64}

    with pytest.raises((BadSignature, TimestampDrift)):
        verify(SECRET, **REQUEST, headers=headers, now=now, nonces=nonces)
    assert len(nonces) == 0


def test_an_empty_secret_signs_nothing():
    with pytest.raises(ValueError):
        signed_headers("", **REQUEST, now=AT, nonce="n1")


# Before the body is read


def head(**changes):
    request = {name: REQUEST[name] for name in ("method", "target")}
    return prove_head(SECRET, **{**request, "headers": HEADERS, **changes})


def test_a_head_proves_the_body_to_come():
    assert head()


def test_a_head_without_a_hash_proves_none():
    """As a server of before sends it."""
    assert not head(headers={name: HEADERS[name] for name in (SIGNATURE, TIMESTAMP, NONCE)})


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        pytest.param({"headers": {}}, MissingHeaders, id="nothing"),
        pytest.param({"headers": {**HEADERS, DIGEST: "0" * 64}}, BadSignature, id="another hash"),
        pytest.param({"headers": {**HEADERS, DIGEST: "x"}}, BadSignature, id="no hash"),
        pytest.param({"headers": {**HEADERS, SIGNATURE: "0" * 64}}, BadSignature, id="forged"),
        pytest.param({"target": "/other"}, BadSignature, id="for another address"),
    ],
)
def test_a_head_that_proves_nothing_is_refused(changes, error):
    with pytest.raises(error):
        head(**changes)


def test_a_proven_head_lets_no_other_body_through():
    with pytest.raises(BadSignature):
        verify(SECRET, **{**REQUEST, "body": b"{ }"}, headers=HEADERS, now=AT, nonces=Nonces())


# A body that is passed on as it arrives

UPLOAD = {"method": "POST", "target": "/_sandbox/h-1/preview/files?a=1"}
STREAMING = signed_headers(SECRET, **UPLOAD, body=None, now=AT, nonce="n")


def test_the_head_of_a_streamed_body_is_always_the_same():
    """Both ends of other versions must agree on it."""
    golden = Path(__file__).with_name("golden") / "open_streamed.json"
    head = json.loads(json.loads(golden.read_text())["frames"][0][2])

    assert {name: value for name, value in head["headers"] if name in STREAMING} == STREAMING
    assert (head["method"], head["target"]) == (UPLOAD["method"], UPLOAD["target"])


def test_it_proves_its_head():
    assert prove_head(SECRET, **UPLOAD, headers=STREAMING)
    assert (is_streamed(STREAMING), is_streamed(HEADERS)) == (True, False)


@pytest.mark.parametrize(
    ("changes", "headers"),
    [
        pytest.param({"target": "/_sandbox/h-2/preview/files?a=1"}, STREAMING, id="a sibling"),
        pytest.param({"method": "PUT"}, STREAMING, id="another method"),
        pytest.param({}, {**STREAMING, DIGEST: "Streamed"}, id="another word"),
        pytest.param(
            {}, {**STREAMING, DIGEST: hashlib.sha256(b"").hexdigest()}, id="taken as an empty body"
        ),
        pytest.param(
            {"target": REQUEST["target"]}, {**HEADERS, DIGEST: STREAMED}, id="a signed one changed"
        ),
    ],
)
def test_a_streamed_head_that_was_changed_is_refused(changes, headers):
    with pytest.raises(BadSignature):
        prove_head(SECRET, **{**UPLOAD, **changes}, headers=headers)


@pytest.mark.parametrize("body", [b"", b"streamed", b"{}"])
def test_no_body_is_taken_for_a_signed_one(body):
    """Also how a laptop of an older version, which reads every body, refuses it."""
    with pytest.raises(BadSignature):
        verify(SECRET, **UPLOAD, body=body, headers=STREAMING, now=AT, nonces=Nonces())
