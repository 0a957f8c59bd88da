"""The laptop's side of the device flow, against a server that answers by script."""

import io
import stat

import pytest

from links.daemon import pairing
from links.daemon.config import Config
from links.daemon.errors import CodeExpired, PairingDenied, PairingFailed
from links.daemon.oauth import Codes
from links.daemon.pairing import ensure_paired, instructions, pair
from links.daemon.tokens import TokenStore
from tests.links.daemon import scripted
from tests.links.daemon.scripted import ScriptedServer, refusal
from tests.links.daemon.test_oauth import CODES

PENDING = refusal("authorization_pending")


@pytest.fixture
def server():
    with ScriptedServer() as server:
        yield server


@pytest.fixture
def config(server, tmp_path):
    return Config(server=server.url, home=tmp_path, name="my laptop")


class Waited(list):
    """Stands for sleep: remembers how long, and does not wait."""

    async def __call__(self, seconds):
        self.append(seconds)


@pytest.fixture
def run(config, server):
    """Return ``run(*answers)``: pair while the server answers polls so."""

    async def run(*answers, codes=CODES):
        server.script = [(200, codes), *answers]
        run.said, run.waited = [], Waited()
        return await pair(config, say=run.said.append, sleep=run.waited)

    return run


async def test_an_approved_machine_has_its_tokens(run, server):
    got = await run(PENDING, PENDING, scripted.tokens("1"))

    assert (got.access, got.refresh) == ("access-1", "refresh-1")
    assert run.waited == [2, 2, 2]
    assert server.asked[-1][1]["device_code"] == "d3vice"


async def test_it_tells_the_server_what_asks(run, server, tmp_path):
    await run(scripted.tokens("1"))

    facts = server.asked[0][1]
    assert facts["hostname"] == "my laptop"
    assert facts["machine_id"] == (tmp_path / "machine-id").read_text().strip()
    assert facts["platform"]
    assert facts["version"]


async def test_it_shows_address_and_code(run, server):
    await run(scripted.tokens("1"))

    (shown,) = run.said
    assert CODES["verification_uri"] + "\n" in shown
    assert "BCDF-GHJK" in shown
    assert "10 minutes" in shown
    assert "d3vice" not in shown


async def test_slow_down_is_for_good(run):
    await run(PENDING, refusal("slow_down"), PENDING, scripted.tokens("1"))

    assert run.waited == [2, 2, 7, 7]


async def test_a_server_that_is_away_is_asked_less_and_less_often(run):
    away = (503, b"")

    await run(away, away, away, PENDING, scripted.tokens("1"))

    assert run.waited[0] == 2
    assert max(run.waited[1:4]) > 2
    assert run.waited[-1] == 2


@pytest.mark.parametrize(
    ("answer", "raised"),
    [
        (refusal("access_denied"), PairingDenied),
        (refusal("expired_token"), CodeExpired),
        (refusal("invalid_grant"), CodeExpired),
        (refusal("unauthorized_client"), PairingFailed),
        ((404, b""), PairingFailed),
        ((200, {"access_token": "a b"}), PairingFailed),
    ],
    ids=["denied", "expired", "forgotten", "another no", "gone", "odd"],
)
async def test_how_it_may_end_without_tokens(run, answer, raised):
    with pytest.raises(raised) as ended:
        await run(PENDING, answer)

    assert ended.value.hint


async def test_pairing_gives_up_if_nobody_answers(run):
    with pytest.raises(CodeExpired):
        await run(PENDING)

    assert sum(run.waited) == pytest.approx(600, abs=2)


async def test_nor_is_a_server_that_stays_away(run):
    with pytest.raises(CodeExpired):
        await run((503, b""))


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        pytest.param((404, b""), "no Mesh at", id="no Mesh"),
        pytest.param((429, b""), "429", id="too many ask"),
        pytest.param((302, b""), "redirects", id="http for https"),
        pytest.param((200, b"<html>"), "not a Mesh server", id="a web page"),
        pytest.param(refusal("invalid_scope"), "invalid_scope", id="another version"),
    ],
)
async def test_when_there_is_no_code_the_reason_is_said(config, server, answer, said):
    server.script = [answer]

    with pytest.raises(PairingFailed, match=said):
        await pair(config, say=print)


async def test_the_tokens_are_kept_and_the_next_start_asks_nobody(config, server, capsys):
    server.script = [(200, CODES | {"interval": 0}), scripted.tokens("1")]

    await ensure_paired(config)
    await ensure_paired(config)

    store = TokenStore(config.home, config.server)
    assert store.read().access == "access-1"
    assert stat.S_IMODE(store.path.stat().st_mode) == 0o600
    assert len(server.asked) == 2
    shown = capsys.readouterr().out
    assert "Approved" in shown
    assert "access-1" not in shown


async def test_a_machine_with_a_token_file_does_not_pair(server, tmp_path):
    file = tmp_path / "token"

    await ensure_paired(Config(server=server.url, home=tmp_path, name="x", token_file=file))

    assert server.asked == []


async def test_a_disk_that_keeps_nothing_is_said(config, server):
    (config.home / "link").write_text("in the way")
    server.script = [(200, CODES | {"interval": 0}), scripted.tokens("1")]

    with pytest.raises(PairingFailed, match=r"can't be (read|written)"):
        await ensure_paired(config)


def test_the_qr_code_is_of_blocks_and_fits_a_terminal():
    shown = instructions("https://mesh.example", Codes.parse(CODES), qr=True)

    blocks = [line for line in shown.splitlines() if set(line) & set("█▀▄")]
    assert 15 <= len(blocks) <= 24
    assert max(map(len, blocks)) <= 80


class Terminal(io.StringIO):
    def __init__(self, encoding, is_terminal):
        super().__init__()
        self._encoding, self._is_terminal = encoding, is_terminal

    encoding = property(lambda self: self._encoding)

    def isatty(self):
        return self._is_terminal


@pytest.mark.parametrize(
    ("encoding", "is_terminal", "shown"),
    [("utf-8", True, True), ("UTF8", True, True), ("ascii", True, False), ("utf-8", False, False)],
)
def test_it_is_shown_where_it_can_be_read(monkeypatch, encoding, is_terminal, shown):
    monkeypatch.setattr("sys.stdout", Terminal(encoding, is_terminal))

    assert pairing.can_show_qr() is shown
