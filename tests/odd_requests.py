"""Requests that no program of good will sends: of odd form, and harmless.

Every page and form must answer each of them with a plain refusal, or bear it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

FORM = "application/x-www-form-urlencoded"
PARTS = "multipart/form-data; boundary=b"
JSON = "application/json"
LONG = 50_000  # more than any field takes

FIELDS = re.findall(
    r"\S+",
    "login password password1 password2 oldpassword username email code action next remember"
    " action_add action_remove action_primary action_send q o p e all _popup _to_field id__exact"
    " _selected_action select_across index post do user branch kind typed thread agent choice"
    " machine repository template title description instructions name url headers ticket"
    " grant_type client_id device_code refresh_token token token_type_hint scope hostname platform"
    " machine_id version permissions primary verified app_label model_name field_name term"
    " after limit cursor run path virtualMcpId userId file",
)

VALUES = {
    "NUL": b"%00",
    "NUL in it": b"a%00b",
    "no UTF-8": b"%ff%fe",
    "half a surrogate": b"%ed%a0%80",
    "not escaped right": b"%zz%",
    "huge number": b"9" * 5000,
    "negative number": b"-1",
    "beyond 64 bits": b"9223372036854775808",
    "odd digits": "²³".encode(),
    "no address": b"http://[",
    "another line": b"a%0d%0aSet-Cookie:%20a=b",
    "overlong": b"x" * LONG,
    "turned around": "\u202eevil".encode(),
    "a list": b"[1,2]",
    "nothing": b"",
}


def forms() -> Iterator[tuple[str, bytes]]:
    """Yield (name, body) of forms whose every field has the same odd value."""
    for name, value in VALUES.items():
        some = FIELDS[:20] if len(value) > 1000 else FIELDS  # the whole within 1 MB
        yield name, b"&".join(field.encode() + b"=" + value for field in some)
    yield "every field twice", b"&".join(f"{name}=a&{name}=b".encode() for name in FIELDS)
    yield "too many fields", b"&".join(b"f%d=" % number for number in range(1100))
    yield "no names", b"=&==&&=a"


def part(head: bytes, body: bytes, *, end: bytes = b"--b--\r\n") -> bytes:
    return b"--b\r\n" + head + b"\r\n\r\n" + body + b"\r\n" + end


FIELD, FILE = (
    b'Content-Disposition: form-data; name="code"',
    (b'Content-Disposition: form-data; name="file"; filename="%s"\r\nContent-Type: text/plain'),
)

BODIES: list[tuple[str, str, bytes]] = [
    ("parts without a boundary", "multipart/form-data", b"--b\r\n"),
    ("parts with an empty boundary", "multipart/form-data; boundary=", b"--b\r\n"),
    ("parts with an odd boundary", "multipart/form-data; boundary=\xff\xfe", b"--b\r\n"),
    ("parts with a long boundary", "multipart/form-data; boundary=" + "b" * 300, b"--b\r\n"),
    ("parts cut off", PARTS, part(FIELD, b"half", end=b"")),
    ("parts with no head", PARTS, part(b"", b"x")),
    ("parts with a broken head", PARTS, part(b"Content-Disposition form-data \xff", b"x")),
    ("parts of bad base64", PARTS, part(FIELD + b"\r\nContent-Transfer-Encoding: base64", b"!")),
    ("parts of no UTF-8", PARTS, part(FIELD, b"\xff\xfe\x00")),
    ("parts in UTF-16", PARTS + "; charset=utf-16", part(FIELD, b"x")),
    ("a name in no charset", PARTS, part(FIELD + b"; x*=nonsense''a", b"x")),
    ("a name in rot13", PARTS, part(FIELD + b"; x*=rot13''a", b"x")),
    ("a file named in no charset", PARTS, part(FIELD + b"; filename*=nonsense''a", b"x")),
    ("a file named NUL by its code", PARTS, part(FIELD + b"; filename*=utf-8''a%00", b"x")),
    ("a name with NUL", PARTS, part(FIELD.replace(b"code", b"co\0de"), b"x")),
    ("a file named NUL", PARTS, part(FILE % b"\0", b"x")),
    ("a file named dots", PARTS, part(FILE % b"../..", b"x")),
    ("a file without a name", PARTS, part(FILE % b"", b"x")),
    ("a file with a long name", PARTS, part(FILE % (b"n" * 9000), b"x")),
    ("a file with an odd name", PARTS, part(FILE % b"\xff\xfe", b"x")),
    ("a file of an odd encoding", PARTS, part(FILE % b"a" + b"\r\nContent-Length: x", b"x")),
    ("many parts", PARTS, part(FIELD, b"x", end=b"") * 1100 + b"--b--\r\n"),
    ("a form in UTF-7", FORM + "; charset=utf-7", b"code=+AAA-"),
    ("no JSON", JSON, b"{"),
    ("JSON of bytes", JSON, b"\xff\xfe\x00"),
    ("JSON in UTF-16", JSON + "; charset=utf-16", "{}".encode("utf-16")),
    ("a list", JSON, b"[]"),
    ("null", JSON, b"null"),
    ("deep JSON", JSON, b'{"a":' * 5000 + b"1" + b"}" * 5000),
    ("a number beyond all", JSON, b'{"limit":' + b"9" * 6000 + b"}"),
    ("NaN", JSON, b'{"limit":NaN}'),
    ("keys twice", JSON, b'{"title":"a","title":null}'),
    ("XML", "text/xml", b"<a/>"),
    ("no type", "", b"code=a"),
    ("a type that is none", "\xff/;;;=", b"code=a"),
    ("a type with many words", "a/b;" + "c=d;" * 500, b"code=a"),
]

# One at a time, each with a GET; the names as WSGI has them.
HEADERS: dict[str, dict[str, str]] = {
    "a cookie of NUL": {"HTTP_COOKIE": "mesh_session=\x00; mesh_csrf=\x00"},
    "an overlong cookie": {"HTTP_COOKIE": "mesh_session=" + "x" * 9000},
    "odd cookies": {"HTTP_COOKIE": "=;;; mesh_theme=\xff; a=b=c; mesh_choice=\xff:\x00"},
    "an odd machine": {"HTTP_COOKIE": 'mesh_machine=\x00; mesh_choice="\\\xff'},
    "an odd token": {"HTTP_AUTHORIZATION": "Bearer \xff\x00"},
    "a long token": {"HTTP_AUTHORIZATION": "Bearer " + "x" * 9000},
    "a basic word": {"HTTP_AUTHORIZATION": "Basic \xff"},
    "an odd host": {"HTTP_HOST": "[::1"},
    "a host of another": {"HTTP_HOST": "evil.example"},
    "an odd origin": {"HTTP_ORIGIN": "http://["},
    "an odd referrer": {"HTTP_REFERER": "http://[\xff"},
    "odd accepts": {"HTTP_ACCEPT": "\xff/;q=x,,;", "HTTP_ACCEPT_LANGUAGE": "\xff;q=z"},
    "an odd date": {"HTTP_IF_MODIFIED_SINCE": "Thu, 99 Foo 99999 99:99:99 GMT"},
    "odd tags": {"HTTP_IF_NONE_MATCH": '"\xff', "HTTP_IF_MATCH": "W/"},
    "an odd range": {"HTTP_RANGE": "bytes=9-1,x-"},
    "an odd event": {"HTTP_LAST_EVENT_ID": "9" * 5000},
    "a negative event": {"HTTP_LAST_EVENT_ID": "-1\xff"},
    "an odd length": {"CONTENT_LENGTH": "²"},
    "asked by script": {"HTTP_X_REQUESTED_WITH": "XMLHttpRequest"},
    "many of them": {f"HTTP_X_{number}": "x" * 500 for number in range(200)},
}

METHODS = ("HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "ODD")

ODD_SEGMENTS = {
    "NUL": "%00",
    "no UTF-8": "%ff",
    "half a surrogate": "%ed%a0%80",
    "overlong": "x" * 5000,
    "dots": "%2e%2e%2f",
    "a number": "99999999999999999999999999",
    "quoted": "_5F_00%27%22",
}


def addresses(patterns: Any, prefix: str = "") -> Iterator[str]:
    """Yield the route of every URL of the project, with what stands for values in ``<…>``."""
    for pattern in patterns:
        route = prefix + re.sub(r"\(\?P(<\w+>)(?:[^()]|\([^()]*\))*\)", r"\1", str(pattern.pattern))
        if hasattr(pattern, "url_patterns"):
            yield from addresses(pattern.url_patterns, route)
        else:
            yield "/" + re.sub(r"[\^$]|\\Z", "", route)


def filled(route: str, values: dict[str, str], *, odd: str = "") -> str:
    """Return the route with each value; with ``odd`` in the place of all but the organization."""

    def value(found: re.Match[str]) -> str:
        name = found[1].rpartition(":")[2]
        return odd if odd and name != "org" else values.get(name, "x")

    return re.sub(r"<([^>]+)>", value, route)
