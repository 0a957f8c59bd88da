"""What the program does about a connection's end; the rest is in test_end_to_end."""

import asyncio
import sys
from dataclasses import replace

import pytest

from links.daemon import api, main
from links.daemon.clock import Clock
from links.daemon.config import Agent, Config, machine_id, own_command
from links.daemon.errors import MachineCopied, NoToken, PairAgain, SignedOut, Superseded, TooOld
from links.daemon.main import Daemon, RetryLater
from links.daemon.oauth import Tokens
from links.daemon.tokens import TokenKeeper, TokenStore
from links.wire import timing
from links.wire.messages import MachineStatus
from tests.links.daemon import scripted
from tests.links.daemon.scripted import ScriptedServer
from tests.links.daemon.test_agent_levels import AGENT, SAID
from tests.links.daemon.test_oauth import CODES
from tests.waiting import PATIENCE, auntil


@pytest.fixture
def daemon(tmp_path):
    (tmp_path / "token").write_text("t")
    return Daemon(
        Config(
            server="http://127.0.0.1:1",
            home=tmp_path,
            token_file=tmp_path / "token",
            name="laptop",
        )
    )


@pytest.mark.parametrize(
    ("code", "error"),
    [
        (4001, Superseded),
        (4426, TooOld),
        (4404, RetryLater),
        (1006, RetryLater),
        (None, RetryLater),
    ],
)
def test_how_a_connection_ended_decides(daemon, code, error):
    with pytest.raises(error):
        daemon._raise_for_close(code, "")


@pytest.fixture
def copied(daemon, monkeypatch):
    """Return ``copied()``: it lets the program find out that another machine has its identity.

    ``copied.answers`` is what the server then says to an identity of its own.
    """
    now, first = [1.0], machine_id(daemon._config.home)
    daemon._clock = Clock(wall=lambda: 0.0, steady=lambda: now[0], sleep=asyncio.sleep)

    async def register(server, registration, **named):
        if registration.machine_id == first:
            raise api.IdentityInUse("Another machine is online.")
        raise copied.answers

    async def copied():
        for later in (0, 2 * timing.GRACE - 1, 1):
            now[0] += later
            assert machine_id(daemon._config.home) == first
            with pytest.raises(RetryLater, match="is online"):
                await daemon._link_once()
        return first

    monkeypatch.setattr(api, "register", register)
    return copied


async def test_a_copy_waits_for_a_while_and_then_is_a_machine_of_its_own(daemon, copied, caplog):
    first = await copied()

    own = machine_id(daemon._config.home)
    assert own == daemon._machine_id != first
    assert f"copy of a machine that is online ({first})" in caplog.text
    copied.answers = api.RegistrationFailed("asked as another")
    with pytest.raises(RetryLater, match="asked as another"):
        await daemon._link_once()


async def test_a_copy_whose_token_is_the_other_s_stops_and_says_so(daemon, copied):
    await copied()
    copied.answers = api.TokenOfAnother("This token belongs to another machine.")

    with pytest.raises(MachineCopied) as stopped:
        await daemon._link_once()

    assert "give it a token of its own" in stopped.value.hint
    assert (daemon._config.home / "token").exists()  # somebody else's file


async def test_a_paired_copy_forgets_the_other_s_sign_in_and_asks_to_be_linked(daemon, copied):
    store = TokenStore(daemon._config.home, daemon._config.server)
    store.write(Tokens(access="a", refresh="r", renew_at=1e12, expires_at=1e12))
    daemon._tokens = TokenKeeper(store, now=lambda: 0.0)
    await copied()
    copied.answers = api.TokenOfAnother("This token belongs to another machine.")

    with pytest.raises(MachineCopied) as stopped:
        await daemon._link_once()

    assert f"link it: {own_command(daemon._config.server)}" in stopped.value.hint
    assert store.read() is None


async def test_a_token_of_another_machine_does_not_pass_for_a_copy(daemon, monkeypatch):
    async def refuse(*args, **named):
        raise api.TokenOfAnother("This token belongs to another machine.")

    monkeypatch.setattr(api, "register", refuse)
    with pytest.raises(RetryLater, match="belongs to another"):
        await daemon._link_once()


def test_a_machine_the_server_does_not_know_registers_again(daemon):
    daemon._registered = object()

    with pytest.raises(RetryLater):
        daemon._raise_for_close(4404, "no_link")
    assert daemon._registered is None


async def test_what_a_person_s_own_agent_can_hold_is_part_of_the_status(daemon, tmp_path):
    script = tmp_path / "agent.py"
    script.write_text(AGENT)
    mine = Agent("mine", (sys.executable, str(script), str(tmp_path / "log")))
    given = Daemon(replace(daemon._config, acp=(mine,)))
    probing = asyncio.create_task(given._probe())

    def reported():
        return given._status.harnesses.get("acp:mine") if given._status else None

    try:
        await auntil(lambda: reported() == SAID)
    finally:
        probing.cancel()
        await asyncio.wait([probing])


async def test_a_server_that_is_not_there_is_tried_again(daemon):
    with pytest.raises(RetryLater, match="can't be reached"):
        await daemon._link_once()


@pytest.mark.parametrize("text", [None, " \n"], ids=["missing", "empty"])
async def test_without_a_token_the_first_start_fails(daemon, tmp_path, text):
    (tmp_path / "token").unlink() if text is None else (tmp_path / "token").write_text(text)

    with pytest.raises(NoToken):
        await daemon._link_once()


async def test_a_token_that_is_gone_later_is_waited_for(daemon, tmp_path):
    daemon._has_been_up = True
    (tmp_path / "token").unlink()

    with pytest.raises(RetryLater):
        await daemon._link_once()


class Looks:
    """Replaces the probe: scripted findings, and whether each probe included ready programs."""

    def __init__(self, now, *found):
        self.found, self.include_ready, self.at, self.before = list(found), [], [], []
        self.now, self.is_there = now, "/bin/program"

    async def __call__(self, before, *, probes, include_ready):
        self.include_ready.append(include_ready)
        self.before.append(before.harnesses)
        self.at.append(self.now[0])
        found = self.found.pop(0) if len(self.found) > 1 else self.found[0]
        if isinstance(found, Exception):
            raise found
        return MachineStatus(capabilities=(), harnesses={"codex": {"state": found}})


@pytest.fixture
async def probing(daemon, monkeypatch):
    """Return ``probing(*found)``: a daemon that probes, in which an hour passes in no time."""
    now = [0.0]

    async def sleep(seconds):
        now[0] += seconds
        await asyncio.sleep(0)

    daemon._clock = Clock(wall=lambda: now[0], steady=lambda: now[0], sleep=sleep)

    def begin(*found):
        looks = Looks(now, *found)
        monkeypatch.setattr(main.probe, "find", lambda probe: looks.is_there)
        monkeypatch.setattr(main.probe, "look", looks)
        daemon._start_probing()
        return looks

    yield begin
    daemon._probing.cancel()


async def test_a_probe_that_fails_is_tried_again(probing, daemon, caplog):
    probing(RuntimeError("odd"), "ready")

    await auntil(lambda: daemon._status)

    assert daemon._status.harnesses == {"codex": {"state": "ready"}}
    assert "probing the agents' programs failed" in caplog.text


async def test_the_first_probe_knows_what_the_link_before_this_one_has_found(probing, daemon):
    daemon._state.found_before = {"codex": {"state": "ready"}}
    looks = probing("absent")

    await auntil(lambda: len(looks.before) >= 2)

    assert looks.before[:2] == [{"codex": {"state": "ready"}}, {"codex": {"state": "absent"}}]


async def test_what_is_ready_is_asked_again_each_hour(probing):
    looks = probing("ready")

    await auntil(lambda: len(looks.include_ready) >= 4)

    assert looks.include_ready[:4] == [True] * 4
    assert looks.at[3] == pytest.approx(3 * main.PROBE_READY)


async def test_what_is_missing_is_asked_each_minute(probing):
    looks = probing("absent")

    await auntil(lambda: len(looks.include_ready) >= 4)

    assert looks.include_ready[:4] == [True, False, False, False]


async def test_what_is_gone_is_looked_for_at_once(probing, daemon):
    asked = []
    daemon._environment = Asked(asked)
    looks = probing("ready", "absent")
    await auntil(lambda: daemon._status)
    looks.is_there = None  # an upgrade moved it
    gone_at = looks.now[0]

    await auntil(lambda: daemon._status.harnesses["codex"]["state"] == "absent")

    assert looks.at[1] - gone_at <= main.PROBE_AGAIN
    assert looks.include_ready[1]
    assert asked


class Asked:
    """An environment that notes when the login shell was asked."""

    digest = "d"

    def __init__(self, asked, now=lambda: 0.0):
        self.asked, self.now = asked, now

    async def refresh(self):
        self.asked.append(self.now())


async def test_while_no_program_is_ready_the_login_shell_is_asked_now_and_then(probing, daemon):
    asked = []
    daemon._environment = Asked(asked, daemon._clock.steady)
    probing("absent")

    await auntil(lambda: len(asked) >= 3)

    assert asked[1] - asked[0] >= main.ASK_AGAIN


async def test_a_link_of_a_terminal_asks_no_shell(probing, daemon):
    looks = probing("ready")

    await auntil(lambda: len(looks.include_ready) >= 2)

    assert daemon._environment is None


async def test_who_asks_for_it_need_not_wait(daemon, monkeypatch):
    looks = Looks([0.0], "ready")
    monkeypatch.setattr(main.probe, "look", looks)
    monkeypatch.setattr(main.probe, "find", lambda probe: "/bin/program")
    daemon._start_probing()
    await auntil(lambda: len(looks.include_ready) == 1)

    daemon.look_again()  # SIGHUP

    await auntil(lambda: looks.include_ready == [True, True])
    daemon._probing.cancel()


async def test_what_turned_out_not_to_be_signed_in_is_asked_at_the_next_look(probing, daemon):
    looks = probing("ready", "not_signed_in")
    await auntil(lambda: looks.include_ready)
    doubted_at = looks.now[0]
    daemon._reprobe_ready()

    await auntil(lambda: daemon._status.harnesses["codex"]["state"] == "not_signed_in")

    assert looks.at[1] - doubted_at <= main.PROBE_AGAIN


@pytest.fixture
def paired(tmp_path):
    """The program of a paired machine, and the server that it calls."""
    with ScriptedServer() as server:
        TokenStore(tmp_path, server.url).write(
            Tokens(access="a", refresh="r", renew_at=1e12, expires_at=1e12)
        )
        yield Daemon(Config(server=server.url, home=tmp_path, name="laptop")), server


async def test_a_refused_token_is_renewed_even_at_the_first_start(paired):
    daemon, server = paired
    server.script = [(401, b""), scripted.tokens("1"), (403, b"")]

    for _ in range(2):
        with pytest.raises(RetryLater):
            await daemon._link_once()

    assert [path for path, _ in server.asked] == [
        "/api/links",
        "/identity/o/api/token",
        "/api/links",
    ]


@pytest.mark.parametrize("status", [401, 403, 500, 503])
async def test_a_server_that_refuses_all_does_not_end_the_program(paired, status):
    daemon, server = paired
    server.script = [(status, b"")]

    for _ in range(3):
        with pytest.raises(RetryLater):
            await daemon._link_once()


@pytest.mark.parametrize("has_been_up", [True, False])
async def test_a_signed_out_person_learns_how_to_return(paired, has_been_up):
    daemon, server = paired
    daemon._has_been_up = has_been_up
    server.script = [(401, b""), scripted.refusal("invalid_grant")]
    with pytest.raises(RetryLater):
        await daemon._link_once()

    with pytest.raises(PairAgain, match="signed out"):
        await daemon._link_once()


async def test_a_token_file_that_is_refused_ends_the_first_start(tmp_path):
    (tmp_path / "token").write_text("t")
    with ScriptedServer() as server:
        server.script = [(401, b"")]
        daemon = Daemon(
            Config(server=server.url, home=tmp_path, name="x", token_file=tmp_path / "token")
        )
        with pytest.raises(SignedOut):
            await daemon._link_once()

        daemon._has_been_up = True
        with pytest.raises(RetryLater):
            await daemon._link_once()


async def test_stopping_while_the_code_is_shown_is_no_error(tmp_path):
    with ScriptedServer() as server:
        server.script = [(200, CODES), scripted.refusal("authorization_pending")]
        stopping = asyncio.Event()
        config = Config(server=server.url, home=tmp_path, name="x")
        pairing = asyncio.create_task(main._paired(config, stopping))
        await auntil(lambda: server.asked)
        stopping.set()

        assert await asyncio.wait_for(pairing, PATIENCE) is False


async def test_stopping_in_the_middle_of_waiting_is_at_once(daemon):
    stopping = asyncio.Event()
    running = asyncio.create_task(daemon.run(stopping))
    await asyncio.sleep(0)
    stopping.set()

    await asyncio.wait_for(running, PATIENCE)
