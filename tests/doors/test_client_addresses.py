"""A client is limited by its own address, whatever it says of itself."""

from __future__ import annotations

import itertools

import pytest

from mesh.lib import oauth
from mesh.pairing.services import ASKS_PER_ADDRESS

NUMBERS = itertools.count(2)
FORM = {"Content-Type": "application/x-www-form-urlencoded"}


@pytest.fixture
def source():
    """A loopback address that no other test calls from."""
    return f"127.7.0.{next(NUMBERS)}"


def ask_for_a_code(front, source, **headers):
    told = {name.replace("_", "-"): value for name, value in headers.items()}
    client = front.rude(source=source)
    return client.request(
        "POST", f"/{oauth.DEVICE_CODE}", FORM | told, b"client_id=mesh-link"
    ).status


@pytest.mark.parametrize(
    "header",
    [
        pytest.param(lambda n: {"X_Forwarded_For": f"198.51.100.{n}"}, id="an address"),
        pytest.param(lambda n: {"X_Forwarded_For": f"198.51.100.{n}, unknown"}, id="hidden"),
        pytest.param(lambda n: {"X_Real_IP": f"198.51.100.{n}"}, id="another header"),
        pytest.param(lambda n: {"Forwarded": f"for=198.51.100.{n}"}, id="the standard's header"),
    ],
)
def test_nobody_chooses_the_address_that_counts(front, source, header):
    answers = [ask_for_a_code(front, source, **header(n)) for n in range(ASKS_PER_ADDRESS + 2)]

    assert answers == [200] * ASKS_PER_ADDRESS + [429] * 2


def test_another_client_is_not_limited_with_it(front, source):
    for _ in range(ASKS_PER_ADDRESS):
        ask_for_a_code(front, source)

    assert ask_for_a_code(front, source) == 429
    assert ask_for_a_code(front, "127.7.1.1") == 200


def test_the_sign_in_counts_the_same_address(front, source):
    client = front.rude(source=source)

    def sign_in(number):
        page = client.request("GET", "/accounts/login/")
        cookie = page.headers["set-cookie"].partition(";")[0]
        token = cookie.partition("=")[2]
        body = f"csrfmiddlewaretoken={token}&login=nobody{number}&password=wrong".encode()
        said = {"Cookie": cookie, "Referer": front.url, "X-Forwarded-For": f"198.51.100.{number}"}
        return client.request("POST", "/accounts/login/", FORM | said, body)

    # allauth: ten wrong ones a minute from one address, thirty of any kind.
    answers = [sign_in(number) for number in range(31)]
    assert any(answer.status == 429 or b"Too many" in answer.body for answer in answers)


def test_the_log_names_a_proxy_that_nobody_named_once(front, source):
    for _ in range(2):
        front.rude(source=source).request("GET", "/healthz", {"X-Forwarded-For": "198.51.100.1"})

    is_embedded = front.kind == "embedded"  # the other's proxy is named
    log = (front.laptop_home / "log" / "server.log").read_text() if is_embedded else front.log()
    assert log.count("set MESH_PROXIES=127.") == is_embedded
