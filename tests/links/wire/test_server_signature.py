"""The server's signature on what it asks of a sandbox, by itself."""

from __future__ import annotations

import re

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from links.wire.errors import (
    BadServerSignature,
    NonceReplay,
    NotSignedByServer,
    TimestampDrift,
)
from links.wire.server_signature import Verifier, is_key, sign

KEY = Ed25519PrivateKey.from_private_bytes(b"k" * 32)
PUBLIC = KEY.public_key().public_bytes_raw().hex()
ASKED = {"method": "POST", "target": "/_sandbox/dispatch?a=1", "body": b"{}"}
NONCE = "0" * 32


def signed(*, key=KEY, handle="h", now=1000.0, nonce=NONCE, **changes):
    return sign(key, handle=handle, now=now, nonce=nonce, **ASKED | changes)


@pytest.fixture
def verifier():
    return Verifier(PUBLIC, handle="h")


def test_what_the_server_signed_passes(verifier):
    verifier.verify(signed(), **ASKED, now=1000.0)


def test_the_signature_is_always_the_same():
    """Both ends of other versions must agree on it: a change needs a version of the protocol."""
    assert signed() == (
        f"1000.{NONCE}."
        "ec8dba746d525588c54251e5b0e3a1d8d36157d030790e19e600afb63ec6f000"
        "1fd8d3c1bd4674a2de2cbacf4ee0cb0d50256cfc97141e4d6492f63d7b852805"
    )


@pytest.mark.parametrize(
    "header",
    [
        pytest.param(signed(key=Ed25519PrivateKey.generate()), id="another key"),
        pytest.param(signed(handle="g"), id="another sandbox"),
        pytest.param(signed(method="GET"), id="another method"),
        pytest.param(signed(target="/_sandbox/dispatch"), id="another target"),
        pytest.param(signed(body=b"{ }"), id="another body"),
        pytest.param(signed().replace("1000.", "1001."), id="another time"),
        pytest.param(signed().replace(NONCE, "1" * 32), id="another nonce"),
    ],
)
def test_a_signature_of_anything_else_does_not(verifier, header):
    with pytest.raises(BadServerSignature):
        verifier.verify(header, **ASKED, now=1000.0)


UPLOAD = {"method": "POST", "target": "/_sandbox/preview/files?a=1", "body": None}


def test_the_signature_of_a_streamed_body_is_always_the_same(verifier):
    header = sign(KEY, handle="h", now=1000.0, nonce=NONCE, **UPLOAD)

    assert header == (
        f"1000.{NONCE}."
        "0ebfb3d1cdc72eebe890db1d0b540055e37b8281f56f6dfbd045936511ca560f"
        "4f65229eea5dec122d34cccb27e82359dd34a9b21e7ab2fcf4aba9c0b45ea20b"
        ".streamed"
    )
    assert verifier.is_streamed(header)
    verifier.verify(header, **UPLOAD, now=1000.0)


def test_a_sandbox_of_an_older_version_refuses_it_unread():
    older = re.compile(r"([0-9]{1,12})\.([0-9a-f]{32})\.([0-9a-f]{128})", re.ASCII)

    assert not older.fullmatch(sign(KEY, handle="h", now=1000.0, nonce=NONCE, **UPLOAD))


@pytest.mark.parametrize(
    ("header", "changes", "error"),
    [
        pytest.param(
            signed(body=None),
            {"target": "/_sandbox/dispatch?a=1"},
            BadServerSignature,
            id="for a route of the sandbox's own",
        ),
        pytest.param(
            signed(**UPLOAD | {"target": "/_sandbox/preview/b"}), {}, BadServerSignature, id="moved"
        ),
        pytest.param(
            signed(**UPLOAD).removesuffix(".streamed"),
            {},
            NotSignedByServer,
            id="not marked",
        ),
        pytest.param(
            signed(**UPLOAD), {"body": b"streamed"}, NotSignedByServer, id="taken as a whole body"
        ),
        pytest.param(
            signed(**UPLOAD | {"body": b""}) + ".streamed",
            {},
            BadServerSignature,
            id="marked",
        ),
    ],
)
def test_a_streamed_body_is_for_a_dev_server_alone(verifier, header, changes, error):
    with pytest.raises(error):
        verifier.verify(header, **UPLOAD | changes, now=1000.0)


def test_one_with_a_streamed_body_passes_once(verifier):
    header = signed(**UPLOAD)
    verifier.verify(header, **UPLOAD, now=1000.0)

    with pytest.raises(NonceReplay):
        verifier.verify(header, **UPLOAD, now=1001.0)


@given(st.text() | st.from_regex(r"[0-9]{1,13}\.[0-9a-f]{31,33}\.[0-9a-fA-F]{127,129}"))
def test_whatever_else_is_sent_is_refused(header):
    with pytest.raises((NotSignedByServer, BadServerSignature)):
        Verifier(PUBLIC, handle="h").verify(header, **ASKED, now=1000.0)


@pytest.mark.parametrize("now", [969.0, 1031.0])
def test_an_old_request_and_one_of_the_future_are_refused(verifier, now):
    with pytest.raises(TimestampDrift):
        verifier.verify(signed(), **ASKED, now=now)


def test_a_request_passes_once(verifier):
    verifier.verify(signed(), **ASKED, now=1000.0)

    with pytest.raises(NonceReplay):
        verifier.verify(signed(), **ASKED, now=1000.0)


@pytest.mark.parametrize("text", ["", None, 7, "ab" * 31, "AB" * 32, "ab" * 33, "zz" * 32])
def test_what_is_no_key(text):
    assert not is_key(text)
    if isinstance(text, str):
        with pytest.raises(ValueError, match="public key"):
            Verifier(text, handle="h")


MINUTES = b"x" * 400_000  # takes some three minutes over a slow line


@pytest.mark.parametrize(
    ("now", "passes"),
    [
        pytest.param(1000.0, True, id="at once"),
        pytest.param(1200.0, True, id="over a slow line"),
        pytest.param(1260.0, False, id="longer than it may take"),
        pytest.param(969.0, False, id="of the future"),
    ],
)
def test_a_long_body_may_have_been_on_the_way_for_as_long_as_it_takes(verifier, now, passes):
    asked = ASKED | {"body": MINUTES}
    header = signed(body=MINUTES)

    if passes:
        verifier.verify(header, **asked, now=now)
    else:
        with pytest.raises(TimestampDrift):
            verifier.verify(header, **asked, now=now)


def test_a_long_one_passes_once_however_late(verifier):
    asked = ASKED | {"body": MINUTES}
    verifier.verify(signed(body=MINUTES), **asked, now=1000.0)
    for number in range(1, 4):  # others make the memory turn over
        other = signed(body=MINUTES, now=1000.0 + number, nonce=f"{number:032x}")
        verifier.verify(other, **asked, now=1000.0 + 60 * number)

    with pytest.raises(NonceReplay):
        verifier.verify(signed(body=MINUTES), **asked, now=1220.0)
