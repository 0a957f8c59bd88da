"""Content types that Django fails at are refused before it sees them."""

import asyncio
import io
import json

import pytest
from django.core.handlers.asgi import ASGIRequest

from mesh.content_types import with_readable_type

READABLE = [
    pytest.param("application/json", id="plain"),
    pytest.param("", id="empty"),
    pytest.param("text/plain; charset=utf-8", id="UTF-8"),
    pytest.param('text/plain; charset="ISO-8859-1"', id="another of text"),
    pytest.param("text/plain; charset=nonsense", id="unknown"),
    pytest.param("multipart/form-data", id="no boundary"),
    pytest.param("a/b;;; =; c", id="odd"),
]
UNREADABLE = [
    pytest.param("text/plain; charset=rot13", id="not of text"),
    pytest.param("text/plain; charset=zlib", id="packed"),
    pytest.param("text/plain; charset*=utf-8''a%00b", id="NUL"),
    pytest.param("text/plain; charset*=nonsense''a", id="in no charset"),
    pytest.param("text/plain; x*=nonsense''a", id="another word in no charset"),
]


def scope_of(content_type, method="GET"):
    headers = [(b"content-type", content_type.encode()), (b"content-length", b"99")]
    return {
        "type": "http",
        "method": method,
        "path": "/",
        "headers": headers,
        "query_string": b"a=%61",
    }


def sent_for(content_type):
    """What is answered, and whether the application was asked."""
    sent = []

    async def app(scope, receive, send):
        sent.append("asked")

    async def send(message):
        sent.append(message)

    asyncio.run(with_readable_type(app)(scope_of(content_type), None, send))
    return sent


@pytest.mark.parametrize("content_type", READABLE)
def test_what_can_be_read_is_passed_on(content_type):
    assert sent_for(content_type) == ["asked"]
    assert list(ASGIRequest(scope_of(content_type), None).GET.values()) == ["a"]


@pytest.mark.parametrize("content_type", UNREADABLE)
def test_what_can_not_be_read_is_refused(content_type):
    start, body = sent_for(content_type)

    assert start["status"] == 400
    assert json.loads(body["body"])["error"]["code"] == "bad_content_type"


def fails_at(content_type):
    parts = b'--b\r\nContent-Disposition: form-data; name="a"\r\n\r\nx\r\n--b--\r\n'
    try:
        ASGIRequest(scope_of(content_type, "POST"), io.BytesIO(parts)).POST  # noqa: B018
    except (ValueError, LookupError):
        return True
    return False


@pytest.mark.parametrize("content_type", UNREADABLE)
def test_django_itself_fails_at_those(content_type):
    """Once it no longer does, the border can go."""
    assert fails_at(content_type.replace("text/plain", "multipart/form-data; boundary=b"))
