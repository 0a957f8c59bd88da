"""One connection to a preview's origin, in memory: how it is read and how it is answered."""

import asyncio
import json

import pytest

from sandboxes.preview.request import NOT_SIGNED_IN, PreviewRequest

ANY, PAGE, TEXT = b"*/*", b"text/html,*/*;q=0.8", b"text/plain"
ANCESTORS = "http://localhost:*"


class Asked:
    """A client's side of ASGI: the messages it sends, and those it was sent."""

    def __init__(self, *messages, accept=ANY, kind="http", **scope):
        self.messages = list(messages)
        self.sent = []
        headers = [(b"host", b"a.localhost"), (b"accept", accept), *scope.pop("headers", [])]
        self.scope = {
            "type": kind,
            "scheme": "http",
            "method": "GET",
            "raw_path": b"/",
            "query_string": b"",
            "headers": headers,
            **scope,
        }
        self.request = PreviewRequest(
            self.scope, self.receive, self.send, frame_ancestors=ANCESTORS
        )

    async def receive(self):
        if not self.messages:
            await asyncio.Event().wait()  # a client that stays
        return self.messages.pop(0)

    async def send(self, message):
        self.sent.append(message)

    @property
    def headers(self):
        return {name.decode(): value.decode() for name, value in self.sent[0]["headers"]}

    @property
    def body(self):
        return b"".join(message.get("body", b"") for message in self.sent)


def piece(body, *, more):
    return {"type": "http.request", "body": body, "more_body": more}


async def pieces(*values, fails=False):
    for value in values:
        yield value
    if fails:
        raise ConnectionError("the app hung up")


@pytest.mark.parametrize(
    ("scope", "target"),
    [
        pytest.param({"raw_path": b"/a%2Fb"}, "/a%2Fb", id="escapes stay"),
        pytest.param({"raw_path": b"/a", "query_string": b"x=%20"}, "/a?x=%20", id="a query"),
    ],
)
def test_the_target_is_what_was_sent(scope, target):
    assert Asked(**scope).request.target == target


@pytest.mark.parametrize(
    ("scheme", "told"), [("http", "http"), ("https", "https"), ("ws", "http"), ("wss", "https")]
)
def test_a_websocket_has_the_scheme_of_its_page(scheme, told):
    assert Asked(scheme=scheme).request.scheme == told


@pytest.mark.parametrize(
    ("headers", "origin"),
    [([], ""), ([(b"origin", b"http://b"), (b"origin", b"http://c")], "http://b")],
    ids=["none", "the first of two"],
)
def test_the_origin_that_asks(headers, origin):
    assert Asked(headers=headers).request.origin == origin


async def test_a_body_is_put_together():
    asked = Asked(piece(b"ab", more=True), piece(b"c", more=False))

    assert await asked.request.body(3) == b"abc"


async def test_a_body_above_the_limit_is_not_kept():
    asked = Asked(piece(b"ab", more=True), piece(b"cd", more=True))

    assert await asked.request.body(3) is None


async def test_a_client_that_hangs_up_in_its_body_gets_no_answer():
    asked = Asked(piece(b"ab", more=True), {"type": "http.disconnect"})

    with pytest.raises(asyncio.CancelledError):
        await asked.request.body(3)


@pytest.mark.parametrize(
    ("accept", "kind", "said"),
    [
        pytest.param(PAGE, "text/html; charset=utf-8", b"Not Found", id="a browser"),
        pytest.param(ANY, "application/json", b'"not_here"', id="a program"),
        pytest.param(TEXT, "text/plain; charset=utf-8", b"No <b>. Try", id="one that reads text"),
        pytest.param(TEXT + b", */*", "application/json", b'"not_here"', id="text among others"),
    ],
)
async def test_a_refusal_comes_in_the_form_that_was_asked_for(accept, kind, said):
    asked = Asked(accept=accept)

    await asked.request.refuse(404, "not_here", "No <b>.", hint="Try")

    assert (asked.sent[0]["status"], asked.headers["content-type"]) == (404, kind)
    assert said in asked.body
    assert asked.headers["content-length"] == str(len(asked.body))
    assert asked.headers["cache-control"] == "no-store"


async def test_a_page_of_ours_is_framed_by_mesh_alone_and_shows_no_markup_of_others():
    asked = Asked(accept=PAGE)

    await asked.request.refuse(404, "not_here", "No <b>.")

    assert asked.headers["content-security-policy"].endswith(f"; frame-ancestors {ANCESTORS}")
    assert b"No &lt;b&gt;." in asked.body


async def test_a_websocket_is_refused_before_it_is_accepted():
    asked = Asked({"type": "websocket.connect"}, kind="websocket")

    await asked.request.refuse(403, "foreign_origin", "Another site.")

    assert [message["type"] for message in asked.sent] == ["websocket.close"]


@pytest.mark.parametrize("accept", [PAGE, ANY, TEXT])
async def test_a_client_that_has_to_wait_learns_how_long(accept):
    asked = Asked(accept=accept)

    await asked.request.waiting("starting", "Starting…", "", 2)

    assert (asked.sent[0]["status"], asked.headers["retry-after"]) == (503, "2")


async def test_a_program_that_has_to_wait_reads_the_title_where_there_is_no_more_to_say():
    asked = Asked()

    await asked.request.waiting("starting", "Starting…", "", 2)

    error = json.loads(asked.body)["error"]
    assert error == {"code": "starting", "message": "Starting…", "hint": "Ask again in 2 s."}


async def test_no_content_has_no_length():
    asked = Asked()

    await asked.request.answer(204, [("set-cookie", "a=1")], b"")

    assert "content-length" not in asked.headers


async def test_an_answer_is_passed_on_in_its_pieces():
    asked = Asked()

    await asked.request.stream(200, [("x-some", "é")], pieces(b"a", b"b"))

    assert asked.sent[0]["headers"] == [(b"x-some", b"\xe9")]
    assert [message.get("body") for message in asked.sent[1:]] == [b"a", b"b", b""]
    assert [bool(message.get("more_body")) for message in asked.sent[1:]] == [True, True, False]


async def test_an_answer_that_breaks_off_does_not_look_whole():
    asked = Asked()

    with pytest.raises(asyncio.CancelledError):
        await asked.request.stream(200, [], pieces(b"a", fails=True))

    assert asked.sent[-1]["more_body"]


async def test_a_client_that_leaves_ends_the_stream():
    stopped = []

    async def endless():
        try:
            await asyncio.Event().wait()
            yield b""
        finally:
            stopped.append(True)

    await Asked({"type": "http.disconnect"}).request.stream(200, [], endless())

    assert stopped == [True]


async def test_cut_before_an_answer_is_a_refusal():
    asked = Asked()

    await asked.request.cut()

    assert asked.sent[0]["status"] == 401


async def test_cut_in_the_middle_of_an_answer_breaks_it_off():
    asked = Asked()
    await asked.request.stream(200, [], pieces(b"a"))

    with pytest.raises(asyncio.CancelledError):
        await asked.request.cut()


async def test_a_websocket_that_is_cut_is_told_why():
    asked = Asked(kind="websocket")

    await asked.request.cut()

    assert asked.sent == [{"type": "websocket.close", "code": NOT_SIGNED_IN}]


async def test_a_websocket_that_is_closed_already_can_be_cut():
    asked = Asked(kind="websocket")

    async def closed(message):
        raise RuntimeError("closed")

    asked.request.send = closed
    await asked.request.cut()
