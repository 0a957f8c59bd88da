"""What answers at the dev server's port, asked of servers that say what they are told to."""

import asyncio
import contextlib
import ssl

import pytest

from sandboxes.daemon.preview import probe
from sandboxes.daemon.preview.address import Address
from sandboxes.daemon.preview.probe import ProbeResult, best, look
from sandboxes.daemon.setup.candidates import Candidate
from tests.certificates import certificate_of


@contextlib.asynccontextmanager
async def serving(answer, *, tls=None):
    """Run a server that sends ``answer`` to whatever it is asked; yield its port and what it was
    asked."""
    asked = []

    async def serve(reader, writer):
        with contextlib.suppress(asyncio.IncompleteReadError):
            asked.append(await reader.readuntil(b"\r\n\r\n"))
            writer.write(answer)
            await reader.read()
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0, ssl=tls) as server:
        yield server.sockets[0].getsockname()[1], asked


@pytest.fixture
def own_certificate(tmp_path):
    """A server's TLS with a certificate that nobody trusts, as the tools make one."""
    pem = tmp_path / "own.pem"
    pem.write_bytes(certificate_of("localhost"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)
    return context


def answer_of(status=b"200 OK", *headers):
    return b"\r\n".join([b"HTTP/1.1 " + status, *headers, b"\r\n"])


@pytest.mark.parametrize(
    ("answer", "is_page"),
    [
        pytest.param(answer_of(b"200 OK", b"Content-Type: text/HTML; charset=x"), True, id="page"),
        pytest.param(answer_of(b"200 OK", b"content-type: text/plain"), False, id="no page"),
        pytest.param(answer_of(b"404 No", b"content-type: text/html"), True, id="an error's page"),
        pytest.param(answer_of(b"405 No"), False, id="one that refuses HEAD"),
        pytest.param(answer_of(b"200 OK", b"content-length: 9"), False, id="length of no body"),
        pytest.param(answer_of(b"103 Hints") + answer_of(), False, id="hints before it"),
    ],
)
async def test_a_server_that_answers_is_seen_whatever_it_says(answer, is_page):
    async with serving(answer) as (port, asked):
        assert await look(Candidate(port)) == ProbeResult(Address(port), is_page)

    assert asked[0].startswith(b"HEAD / HTTP/1.1\r\nhost: localhost:%d\r\n" % port)


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(b"SSH-2.0-x\r\n\r\n", id="another protocol"),
        pytest.param(b"HTTP/1.1 200 OK\r\nx: " + b"y" * 100_000, id="a head without end"),
    ],
)
async def test_what_does_not_answer_in_http_is_not_seen(answer, monkeypatch):
    monkeypatch.setattr(probe, "SECONDS", 0.2)
    async with serving(answer) as (port, _):
        assert await look(Candidate(port)) is None


async def test_one_that_takes_the_request_and_is_slow_is_seen(monkeypatch):
    """Its first page may take longer to build than we wait."""
    monkeypatch.setattr(probe, "SECONDS", 0.1)
    async with serving(b"") as (port, _):
        seen = await look(Candidate(port))

    assert seen == ProbeResult(Address(port), is_html=False, is_slow=True)


async def test_one_that_refuses_head_is_asked_for_a_page():
    async with serving(answer_of(b"405 No", b"content-type: text/html")) as (port, asked):
        await look(Candidate(port))

    assert [head.split()[0] for head in asked] == [b"HEAD", b"GET"]


async def test_one_with_a_certificate_of_its_own_is_seen(own_certificate):
    async with serving(answer_of(), tls=own_certificate) as (port, _):
        seen = await look(Candidate(port))

    assert seen is not None
    assert seen.address == Address(port, is_secure=True)
    assert seen.address.origin == b"https://localhost:%d" % port


def result(port, *, is_html=False, is_slow=False):
    return ProbeResult(Address(port), is_html, is_slow)


PAGE, DATA, SLOW = result(3, is_html=True), result(2), result(1, is_slow=True)


@pytest.mark.parametrize(
    ("seen", "wanted", "shown"),
    [
        ([SLOW, DATA, PAGE], None, PAGE),
        ([SLOW, None, DATA], None, DATA),
        ([None, SLOW], None, SLOW),
        ([DATA, PAGE], 2, DATA),
        ([SLOW, PAGE], 9, PAGE),
        ([None], None, None),
    ],
)
def test_which_of_several_servers_is_shown(seen, wanted, shown):
    assert best(seen, wanted=wanted) == shown


async def test_where_nobody_listens_nothing_is_seen():
    async with serving(b"") as (port, _):
        pass

    assert await look(Candidate(port)) is None


@pytest.mark.parametrize(
    ("wanted", "chosen", "shown"),
    [
        pytest.param(None, 2, DATA, id="the choice wins over a page"),
        pytest.param(1, 2, SLOW, id="what is written down wins over the choice"),
        pytest.param(9, 2, DATA, id="and does not while nothing answers there"),
        pytest.param(None, 9, PAGE, id="a choice that answers no more"),
    ],
)
def test_of_several_the_chosen_one_is_shown(wanted, chosen, shown):
    assert best([SLOW, DATA, PAGE], wanted=wanted, chosen=chosen) == shown
