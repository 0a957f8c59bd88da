"""Who signed out, or lost a token, is not connected any longer: streams, sockets, previews."""

import re
from urllib.parse import urlsplit

import pytest

from tests.waiting import until

JSON = {"Content-Type": "application/json"}


@pytest.fixture
def again(front):
    """Ada, who has signed in once more: a token and a session to be lost."""
    return front._person(front.owner_name, "home", "owner")


def sign_out(front, person):
    page = front.rude().request("GET", "/accounts/logout/", {"Cookie": person.cookie})
    form = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', page.body.decode())[1]
    crumb = page.headers["set-cookie"].partition(";")[0]
    answer = front.rude().request(
        "POST",
        "/accounts/logout/",
        {
            "Cookie": f"{person.cookie}; {crumb}",
            "Origin": front.url,
            "Referer": f"{front.url}/accounts/logout/",
            "Content-Type": "application/x-www-form-urlencoded",
        },
        f"csrfmiddlewaretoken={form}".encode(),
    )
    assert answer.status == 302, answer.body


def revoke(front, person):
    newest = front.rude().request("GET", "/api/tokens", person.bearer).json()["tokens"][0]
    gone = front.rude().request("DELETE", f"/api/tokens/{newest['id']}", person.bearer)
    assert gone.status == 204


class Reader:
    """A connection that is read as it comes."""

    def __init__(self, front, head):
        self.connection = front.rude().connect()
        self.connection.sendall(f"{head}Host: {front.rude().host}\r\n\r\n".encode())
        self.said = b""

    def read(self):
        """Return all that came so far, and whether it has ended."""
        self.connection.settimeout(0.2)
        try:
            piece = self.connection.recv(65536)
        except TimeoutError:
            return self.said, False
        self.said += piece
        return self.said, not piece

    def until(self, part):
        until(lambda: part in self.read()[0], what=part)

    def until_end(self):
        until(lambda: self.read()[1], what="the end of the connection")


SANDBOX = "/api/home/decopilot/threads/{thread}/sandbox/events"
THREAD = "/api/home/decopilot/threads/{thread}/stream"


@pytest.mark.parametrize("path", [THREAD, SANDBOX], ids=["thread", "sandbox"])
@pytest.mark.parametrize(
    ("header", "end"),
    [
        pytest.param("Cookie: {0.cookie}", sign_out, id="signed out"),
        pytest.param("Authorization: Bearer {0.token}", revoke, id="revoked"),
    ],
)
def test_a_stream_ends(front, again, path, header, end):
    target = path.format(thread=front.thread)
    reader = Reader(front, f"GET {target} HTTP/1.1\r\n{header.format(again)}\r\n")
    reader.until(b"200 OK")

    end(front, again)

    reader.until(b"0\r\n\r\n")  # the last chunk


def test_the_page_s_socket_is_closed(front, again):
    reader = Reader(
        front,
        f"GET /ws HTTP/1.1\r\nCookie: {again.cookie}\r\nOrigin: {front.url}\r\n"
        "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
        "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n",
    )
    reader.until(b'"hello"')

    sign_out(front, again)

    reader.until(b"\x88\x02" + (4401).to_bytes(2, "big"))  # a frame that closes, and its code


def test_a_preview_ends_with_the_token_that_opened_it(front, again):
    asked = f"/api/home/decopilot/threads/{front.thread}/sandbox/preview"
    offer = front.rude().request("POST", asked, again.bearer | JSON, b"{}").json()
    host, ticket = urlsplit(offer["origin"]).netloc, offer["url"].partition("#ticket=")[2]
    entered = front.rude().request("POST", "/.mesh/enter", body=ticket.encode(), host=host)
    cookie = {"Cookie": entered.headers["set-cookie"].partition(";")[0]}

    def status():
        return front.rude().request("GET", "/", cookie, host=host).status

    assert status() != 401
    revoke(front, again)

    until(lambda: status() == 401, what="the preview's cookie to be refused")
